package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/edge"
)

// A process that is killed in the middle of a backup, while customers write, loses
// nothing of theirs and leaves the backup before as it was; the next one is whole. So
// is one whose engine is killed right after it.
func TestBackup_SurvivesKills(t *testing.T) {
	_, args := outside(t)
	root := t.TempDir()
	dir, target := filepath.Join(root, "data"), filepath.Join(root, "target")
	o := child.Options{DataDir: dir, Config: args[1], Bootstrap: write(t, "b.yaml", twoTenants), Env: []string{"CHUMI_TEST_ENGINE=1"}, ReadyIn: patience}
	launch := func() *child.Engine {
		t.Helper()
		e, err := child.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Kill)
		return e
	}
	taken := 0
	say := func(e *child.Engine, n int) {
		for range n {
			body := waText("106000000000001", "102000000000001", fmt.Sprintf("49155504%05d", taken%7), fmt.Sprintf("wamid.KILL%d", taken), "hello")
			if (&engine{t: t, edge: e.Addrs.Edge}).post("acme-app", "secret-of-acme", body) == 200 {
				taken++
			}
		}
	}
	e := launch()
	say(e, 30)
	before := taken
	first := chumi(t, exitOK, "backup", "--to", target, "--ops-addr", e.Addrs.Ops)
	e.Kill()

	// Files make the second one long enough to be met in its middle.
	if err := os.MkdirAll(filepath.Join(dir, "media", "acme", "ab"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		if err := os.WriteFile(filepath.Join(dir, "media", "acme", "ab", fmt.Sprint("blob_", i)), fmt.Appendf(nil, "picture %d", i), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e = launch()
	ended := make(chan string, 1)
	go func() {
		var out, errs bytes.Buffer
		code := run(context.WithoutCancel(t.Context()), []string{"backup", "--to", target, "--ops-addr", e.Addrs.Ops}, nil, &out, &errs)
		ended <- fmt.Sprint(code, " ", errs.String())
	}()
	limit := time.Now().Add(patience)
	for met := false; !met; {
		say(e, 1)
		_, body := get(t, "http://"+e.Addrs.Ops+"/backup", "")
		var s edge.BackupState
		if err := json.Unmarshal([]byte(body), &s); err != nil || s.Ended || time.Now().After(limit) {
			t.Fatalf("the backup was not met in its middle: %s %v", body, err)
		}
		met = s.Doing == "copying media" && s.Done > 5
	}
	e.Kill()
	if said := <-ended; !strings.HasPrefix(said, "1 ") {
		t.Errorf("the command whose engine died: %s", said)
	}
	if _, err := os.Stat(filepath.Join(dir, "store", "image")); err != nil {
		t.Fatalf("the kill left no image to be removed: %v", err)
	}

	e = launch()
	if _, err := os.Stat(filepath.Join(dir, "store", "image")); err == nil {
		t.Error("the image of the backup that was killed pins its tables")
	}
	say(e, 10)
	third := chumi(t, exitOK, "backup", "--to", target, "--ops-addr", e.Addrs.Ops)
	e.Kill()
	checked(t, dir)

	list := chumi(t, exitOK, "backup", "list", "--from", target, "--data-dir", dir)
	if strings.Count(list, "whole") != 2 {
		t.Errorf("the backups are:\n%s", list)
	}
	for name, made := range map[string]string{"first": first, "third": third} {
		to := filepath.Join(root, name)
		said := chumi(t, exitOK, "restore", "--from", target, "--id", strings.Fields(word(t, made, "backup"))[0], "--data-dir", to, "--keys-file", filepath.Join(dir, "secrets", "kek"))
		if word(t, said, "state") != word(t, made, "state") {
			t.Errorf("%s: the restored state is another", name)
		}
		want := map[string]int{"first": before, "third": taken}[name]
		received := 0
		for _, ev := range exported(t, to, "acme", "--keys-file", filepath.Join(dir, "secrets", "kek")) {
			if ev.Kind == "message_received" {
				received++
			}
		}
		if received != want {
			t.Errorf("%s: %d messages came back, %d were taken", name, received, want)
		}
	}
	if files, err := filepath.Glob(filepath.Join(root, "third", "media", "acme", "ab", "*")); err != nil || len(files) != 150 {
		t.Errorf("%d files came back, %v", len(files), err)
	}
}
