package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// pgData is the cluster's directory in the working directory, pgSocket its socket.
	pgData   = "pg"
	pgSocket = pgData + "/.s.PGSQL.5432"
	// pgConns is the size of the pool; more backends than this are slower on few CPUs.
	pgConns = 32
	// bodyMax is the largest webhook Meta sends.
	bodyMax = 3 << 20
)

// pgCommand finds a program of PostgreSQL: Debian keeps them out of the path.
func pgCommand(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("%s is not installed", name)
	}
	return slices.Max(found), nil
}

func missingPostgres() string {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := pgCommand(name); err != nil {
			return err.Error()
		}
	}
	if os.Geteuid() == 0 {
		if _, err := pgUser(); err != nil {
			return "PostgreSQL does not run as root, and there is no user postgres"
		}
	}
	return ""
}

func postgresVersion() string {
	path, err := pgCommand("postgres")
	if err != nil {
		return ""
	}
	return firstLine(path, "--version")
}

// pgUser is who PostgreSQL runs as when this process is root's.
func pgUser() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// pgExec is a command of PostgreSQL, as whom it must run.
func pgExec(name string, args ...string) (*exec.Cmd, error) {
	path, err := pgCommand(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	if os.Geteuid() != 0 {
		return cmd, nil
	}
	credential, err := pgUser()
	if err != nil {
		return nil, err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	return cmd, os.Chown(pgData, int(credential.Uid), int(credential.Gid))
}

// startPostgres starts PostgreSQL with its defaults, but for where it listens, on a
// new cluster or on the one that is there.
func startPostgres(ctx context.Context) (*pgxpool.Pool, error) {
	if err := os.MkdirAll(pgData, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(pgData, "PG_VERSION")); errors.Is(err, os.ErrNotExist) {
		// What it writes here is flushed with everything else before a load begins.
		cmd, err := pgExec("initdb", "-D", pgData, "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C")
		if err != nil {
			return nil, err
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("initdb: %w: %s", err, out)
		}
	}
	if err := unlock(ctx); err != nil {
		return nil, err
	}
	cmd, err := pgExec("postgres", "-D", pgData, "-c", "listen_addresses=", "-c", "unix_socket_directories=.",
		"-c", "port=5432", "-c", "log_min_messages=fatal", "-c", "synchronous_commit=on", "-c", "fsync=on")
	if err != nil {
		return nil, err
	}
	if err := startChild(cmd); err != nil {
		return nil, err
	}
	config, err := pgxpool.ParseConfig("host=/ user=postgres dbname=postgres sslmode=disable")
	if err != nil {
		return nil, err
	}
	config.MaxConns = pgConns
	config.ConnConfig.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", pgSocket)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return pool, up(ctx, "postgres", pool.Ping)
}

// unlock removes the locks of a server that was killed, once it is gone. PostgreSQL
// does that itself, but takes one that nobody has reaped yet for alive.
func unlock(ctx context.Context) error {
	path := filepath.Join(pgData, "postmaster.pid")
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	pid, _, _ := strings.Cut(string(text), "\n")
	err = up(ctx, "the end of process "+pid, func(context.Context) error {
		stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
		if err != nil || bytes.Contains(stat, []byte(") Z ")) {
			return nil
		}
		return errors.New("it still runs")
	})
	if err != nil {
		return err
	}
	for _, p := range []string{path, pgSocket, pgSocket + ".lock"} {
		if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// servePostgresPlain is the obvious way: a row for each message as it comes.
func servePostgresPlain(ctx context.Context, s site) (string, error) {
	pool, err := startPostgres(ctx)
	if err != nil {
		return "", err
	}
	if _, err := pool.Exec(ctx, `CREATE TABLE inbound (id text PRIMARY KEY, received timestamptz NOT NULL DEFAULT now(), body jsonb NOT NULL)`); err != nil {
		return "", err
	}
	return serveHTTP(s, plainID, func(ctx context.Context, id string, body []byte) error {
		_, err := pool.Exec(ctx, `INSERT INTO inbound (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING`, id, json.RawMessage(body))
		return err
	})
}

// serveHTTP serves webhooks by net/http until the process ends.
func serveHTTP(s site, idOf func([]byte) (string, error), store put) (string, error) {
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return "", err
	}
	v := newVerifier(s.secret)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !v.signed([]byte(r.Header.Get("X-Hub-Signature-256")), body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		id, err := idOf(body)
		switch {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case store(r.Context(), id, body) != nil:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	go func() { fatal((&http.Server{Handler: handler}).Serve(l)) }()
	return l.Addr().String(), nil
}

// plainID is fastID as most would write it.
func plainID(body []byte) (string, error) {
	var hook struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Messages []struct {
						ID string `json:"id"`
					} `json:"messages"`
				} `json:"value"`
			} `json:"changes"`
			Messaging []struct {
				Message struct {
					MID string `json:"mid"`
				} `json:"message"`
			} `json:"messaging"`
		} `json:"entry"`
	}
	if err := json.Unmarshal(body, &hook); err != nil {
		return "", err
	}
	for _, e := range hook.Entry {
		for _, c := range e.Changes {
			for _, m := range c.Value.Messages {
				return m.ID, nil
			}
		}
		for _, m := range e.Messaging {
			return m.Message.MID, nil
		}
	}
	return "", errors.New("a webhook without a message")
}

func auditPostgres(ctx context.Context, found func(id string)) error {
	pool, err := startPostgres(ctx)
	if err != nil {
		return err
	}
	rows, err := pool.Query(ctx, `SELECT id FROM inbound WHERE length(body::text) > 2`)
	if err != nil {
		return err
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		found(id)
		return nil
	})
	return err
}
