package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/persistence/seal"
	"github.com/chumiai/chumi/transport/edge"
)

// largeArchive writes an archive of acme that takes a while to import, and returns the
// state in it.
func largeArchive(t *testing.T, file, keyFile string) string {
	t.Helper()
	must := func(errs ...error) {
		t.Helper()
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	o := persistencetest.Options(t)
	o.Dir, o.FS = "data", vfs.NewMem()
	s, err := persistence.Open(o)
	must(err)
	_, err = replica.Start(s, replica.Options{Logger: slog.New(slog.DiscardHandler)})
	must(err)
	d, err := persistence.OpenDirectory(t.Context(), s, chat.Settings{})
	must(err)
	must(d.PutApp(t.Context(), chat.App{ID: "acme-app", Secrets: []chat.Secret{"s"}, VerifyTokens: []chat.Secret{"v"}}),
		d.PutTenant(t.Context(), chat.Tenant{ID: "acme"}),
		d.PutChannel(t.Context(), chat.Channel{ID: "wa", Tenant: "acme", App: "acme-app", Kind: chat.WhatsApp, Account: "106000000000001", Token: "t"}),
		d.PutAPIKey(t.Context(), "acme", "key-of-acme", []string{"*"}))
	for n := range 40 {
		p, err := persistencetest.NewPerson(s, "acme", n)
		must(err)
		for range 100 {
			c := p.Message(strings.Repeat("x", 4000))
			_, err := s.Append(t.Context(), c)
			must(err)
			p.Adopt(c)
		}
	}
	kek, err := seal.LoadKEK(keyFile)
	must(err)
	f, err := os.Create(file)
	must(err)
	end, err := backup.WriteArchive(t.Context(), f, backup.NewKey(kek), backup.ArchiveSource{Store: s, Tenant: "acme", Made: time.Now()})
	must(err, f.Close(), s.Close())
	return end.State
}

// An engine that is killed in the middle of an import shows nobody of the tenant; the
// same command then takes it in.
func TestTenant_ImportSurvivesKills(t *testing.T) {
	_, args := outside(t)
	root, key := t.TempDir(), moveKey(t)
	dir, file := filepath.Join(root, "data"), filepath.Join(root, "acme.archive")
	state := largeArchive(t, file, key)
	o := child.Options{DataDir: dir, Config: args[1], Bootstrap: write(t, "b.yaml", elsewhere), Env: []string{"CHUMI_TEST_ENGINE=1"}, ReadyIn: patience}
	launch := func() *child.Engine {
		t.Helper()
		e, err := child.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Kill)
		return e
	}
	take := func(e *child.Engine) []string {
		return []string{"tenant", "import", "--in", file, "--key-file", key, "--ops-addr", e.Addrs.Ops}
	}
	e := launch()
	for range 2 {
		ended, command := make(chan string, 1), take(e)
		go func() {
			var out, errs bytes.Buffer
			code := run(context.WithoutCancel(t.Context()), command, nil, &out, &errs)
			ended <- fmt.Sprint(code, " ", errs.String())
		}()
		limit := time.Now().Add(patience)
		for met := false; !met; {
			_, body := get(t, "http://"+e.Addrs.Ops+"/tenants", "")
			var s edge.BackupState
			if err := json.Unmarshal([]byte(body), &s); err != nil || s.Ended || time.Now().After(limit) {
				t.Fatalf("the import was not met in its middle: %s %v", body, err)
			}
			met = strings.HasPrefix(s.Doing, "writing rows")
		}
		e.Kill()
		if said := <-ended; !strings.HasPrefix(said, "1 ") {
			t.Errorf("the command whose engine died: %s", said)
		}
		checked(t, dir)
		e = launch()
		if status, body := get(t, "http://"+e.Addrs.API+"/v1/conversations", "key-of-acme"); status != 401 {
			t.Errorf("after a kill the tenant is there: %d %s", status, body)
		}
	}
	if got := word(t, chumi(t, exitOK, take(e)...), "state"); got != state {
		t.Errorf("the state is %s, where it comes from %s", got, state)
	}
	if status, body := get(t, "http://"+e.Addrs.API+"/v1/conversations", "key-of-acme"); status != 200 {
		t.Errorf("the tenant is not there: %d %s", status, body)
	}
	e.Kill()
	checked(t, dir)
}
