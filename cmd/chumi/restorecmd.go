package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/seal"
)

// restoreFlags say which backup is restored and who was erased since.
type restoreFlags struct{ from, id, erasures string }

func (o *restoreFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.from, "from", "", "directory or s3://BUCKET/PREFIX (default backup.to)")
	f.StringVar(&o.id, "id", "", "which backup (default the newest; chumi backup list shows them)")
	f.StringVar(&o.erasures, "erasures", "", "file of who was erased since, which chumi erasures prints")
}

func (c *cli) restoreCommand() *cobra.Command {
	var o restoreFlags
	var confirm bool
	op := operator{cli: c}
	cmd := &cobra.Command{Use: "restore", Short: "Make a data directory of a backup",
		Long: `restore fetches a backup, proves every file of it, and makes a new data directory:

  chumi restore --from /mnt/backups --data-dir new --keys-file kek-copy

Nothing is used before it is proven: each file is what the manifest says, the state of
every group adds up to what it did, no invariant is broken. Whoever was erased since,
as far as the place of the backups was told and --erasures says, is erased again.

What it makes is a node of its own, in no cluster, that sends nothing: the messages
that it owes may have been sent since by the engine it is a copy of. Start it, look at
it, and when the other is gone for good let it act:

  chumi restore --confirm --ops-addr 127.0.0.1:8082

Webhooks are taken before that too.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if confirm {
				if _, err := op.request(fasthttp.MethodPost, "/restore/confirm"); err != nil {
					return err
				}
				_, err := fmt.Fprintln(c.stdout, "the engine acts from now on")
				return err
			}
			config, target, err := c.loadTarget(cmd, o.from)
			if err != nil {
				return err
			}
			return c.restore(cmd.Context(), config, target, o)
		}}
	o.flags(cmd)
	c.configFlags(cmd, offlineKeys...)
	cmd.Flags().BoolVar(&confirm, "confirm", false, "let a restored engine that runs send and answer")
	cmd.Flags().StringVar(&op.addr, "ops-addr", DefaultConfig().Ops.Addr, "ops listener of the running engine, with --confirm")
	return cmd
}

// restoringDir, in the new data directory, holds what is not proven yet.
const restoringDir = "restoring"

// restore makes the configured data directory of a backup.
func (c *cli) restore(ctx context.Context, config *Config, target *backup.Target, o restoreFlags) error {
	if err := vacant(config); err != nil {
		return err
	}
	kek, err := loadKey(config)
	if err != nil {
		return err
	}
	m, err := target.Manifest(ctx, o.id)
	if err != nil {
		return err
	}
	erased, until, err := target.Erased(ctx)
	if err != nil {
		return err
	}
	if o.erasures != "" {
		more, at, err := readErasures(o.erasures)
		if err != nil {
			return err
		}
		erased = append(erased, more...)
		if at.After(until) {
			until = at
		}
	}
	dir := filepath.Join(config.DataDir, restoringDir)
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return err
	}
	r := restored{cli: c, config: config, kek: kek, dir: dir}
	if err = r.make(ctx, target, m, erased, until); err == nil {
		err = r.moveIn()
	}
	if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	if m.Bucket != "" {
		fmt.Fprintln(c.stdout, "note: files of messages are in "+m.Bucket+" and were not part of the backup")
	}
	fmt.Fprintf(c.stdout, "restored backup %s to %s\nstate %s, as when the backup was made\n", m.ID, config.DataDir, m.State)
	_, err = fmt.Fprintln(c.stdout, "it is held: it sends nothing until chumi restore --confirm")
	return err
}

// vacant refuses a data directory that holds anything but a key.
func vacant(config *Config) error {
	entries, err := os.ReadDir(config.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != "secrets" && name != restoringDir {
			return usageError(fmt.Errorf("%s is not empty (%s): restore into a new directory", config.DataDir, name))
		}
	}
	return nil
}

// restored is a data directory in the making.
type restored struct {
	*cli
	config *Config
	kek    *seal.KEK
	dir    string
}

func (r *restored) options(files persistence.Files) persistence.Options {
	log := r.config.Log
	log.Level = "error"
	return persistence.Options{Dir: filepath.Join(r.dir, "store"), KEK: r.kek, Files: files, DiskReserve: -1,
		Logger: newLog(r.stderr, log)}
}

// make fetches and proves the backup, and erases whoever was erased since.
func (r *restored) make(ctx context.Context, target *backup.Target, m *backup.Manifest, erased []persistence.Tombstone, until time.Time) error {
	var media blob.Place
	if m.Bucket == "" {
		d, err := blob.OpenDir(nil, filepath.Join(r.dir, "media"), 0)
		if err != nil {
			return err
		}
		media = d
	}
	said := ""
	report, err := target.Restore(ctx, m, backup.RestoreOptions{Store: r.options(nil), Media: media, Now: time.Now(),
		Progress: func(p backup.Progress) { said = r.progress(said, p) }})
	if err != nil {
		return err
	}
	fmt.Fprintf(r.stdout, "checked: %d tenants, %d conversations, %d events, %d rows: no violation\n",
		report.Tenants, report.Conversations, report.Events, report.Rows)
	n, err := r.eraseAgain(ctx, erased, media)
	if err != nil {
		return err
	}
	if until.IsZero() {
		_, err = fmt.Fprintln(r.stdout, "erased again: nobody; the place of the backups was never told of an erasure: name who was erased since with --erasures")
	} else {
		_, err = fmt.Fprintf(r.stdout, "erased again: %d persons; known up to %s: name who was erased later with --erasures\n", n, until.UTC().Format(time.RFC3339))
	}
	return err
}

func (r *restored) eraseAgain(ctx context.Context, list []persistence.Tombstone, media blob.Place) (n int, err error) {
	if len(list) == 0 {
		return 0, nil
	}
	var files persistence.Files
	if media != nil {
		files = blob.New(media)
	}
	o := r.options(files)
	s, err := persistence.Open(o)
	if err != nil {
		return 0, err
	}
	if err = serveAlone(r.config, s, o.Logger, metrics.New(nil)); err == nil {
		n, err = s.EraseAgain(ctx, list)
	}
	return n, errors.Join(err, s.Close())
}

// moveIn puts what was proven in its place, the store last: it is what makes the
// directory one of data.
func (r *restored) moveIn() error {
	media := filepath.Join(r.dir, "media")
	if _, err := os.Stat(media); err == nil {
		to := mediaDir(r.config)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.Rename(media, to); err != nil {
			return fmt.Errorf("the files of messages cannot be put in %s, which must be empty and on the same file system: %w", to, err)
		}
	}
	if err := os.Rename(filepath.Join(r.dir, "store"), storeDir(r.config)); err != nil {
		return err
	}
	d, err := os.Open(r.config.DataDir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// readErasures reads what chumi erasures prints.
func readErasures(name string) ([]persistence.Tombstone, time.Time, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, time.Time{}, usageError(fmt.Errorf("--erasures: %w", err))
	}
	var f backup.Record
	if err := json.Unmarshal(b, &f); err != nil || f.Until.IsZero() {
		return nil, time.Time{}, usageError(fmt.Errorf("--erasures: %s is not what chumi erasures prints", name))
	}
	return f.List, f.Until, nil
}
