package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/persistence/blob/blobtest"
)

// chumi runs one command and returns what it printed.
func chumi(t testing.TB, want int, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, nil, &out, &errs); code != want {
		t.Fatalf("chumi %s exited %d, want %d:\n%s%s", strings.Join(args, " "), code, want, out.String(), errs.String())
	}
	return out.String() + errs.String()
}

// word returns what follows a word at the begin of a line.
func word(t testing.TB, text, word string) string {
	t.Helper()
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, word+" "); ok {
			return strings.TrimSpace(strings.SplitN(rest, ",", 2)[0])
		}
	}
	t.Fatalf("no line begins with %q:\n%s", word, text)
	return ""
}

// writes has customers of acme write until stop is called, and returns how many
// webhooks were answered 200.
func (e *engine) writes(canary string) (stop func() int) {
	done, n := make(chan struct{}), 0
	var work sync.WaitGroup
	work.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			body := waText("106000000000001", "102000000000001", fmt.Sprintf("49155502%05d", i%40), fmt.Sprintf("wamid.LOAD%d", i), canary)
			if e.post("acme-app", "secret-of-acme", body) == 200 {
				n++
			}
		}
	})
	return func() int { close(done); work.Wait(); return n }
}

// holds names the files below a directory that hold one of the words.
func holds(t testing.TB, dir string, words ...string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) || strings.Contains(p, w) {
				names = append(names, p+" holds "+w)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A backup that is made while customers write can be restored; what is restored takes
// webhooks and sends nothing until it is let, and then owes what it owed.
func TestBackup_OfARunningEngineIsRestoredAndHeld(t *testing.T) {
	bootstrap := write(t, "b.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	dir, target, restored := t.TempDir(), filepath.Join(t.TempDir(), "target"), filepath.Join(t.TempDir(), "restored")
	const canary = "canary-of-a-customer"
	e := startEngine(t, dir, bootstrap, args...)
	stop := e.writes(canary)
	first := chumi(t, exitOK, "backup", "--to", target, "--ops-addr", e.ops)
	second := chumi(t, exitOK, "backup", "--to", target, "--ops-addr", e.ops)
	if n := stop(); n < 20 {
		t.Errorf("only %d webhooks were taken while backups were made", n)
	}
	e.stop()
	checked(t, dir)
	state := word(t, second, "state")
	if state == word(t, first, "state") {
		t.Error("two backups under load have the same state")
	}
	if names := holds(t, target, canary, "4915550200001", "secret-of-acme", "acme"); len(names) > 0 {
		t.Errorf("the target shows what it holds: %v", names[0])
	}

	kek := filepath.Join(dir, "secrets", "kek")
	drill := chumi(t, exitOK, "backup", "drill", "--from", target, "--keys-file", kek)
	if !strings.Contains(drill, "can be restored; it took") {
		t.Errorf("the drill says: %s", drill)
	}
	said := chumi(t, exitOK, "restore", "--from", target, "--data-dir", restored, "--keys-file", kek)
	if got := word(t, said, "state"); got != state {
		t.Errorf("the restored state is %s, the backup's %s", got, state)
	}
	checked(t, restored, "--keys-file", kek)
	chumi(t, exitUsage, "restore", "--from", target, "--data-dir", restored, "--keys-file", kek)

	sends := len(sims.meta.Sends())
	asked := len(sims.model.Calls())
	e = startEngine(t, restored, bootstrap, append(args, "--set", "keys.file="+kek)...)
	for i := range 5 {
		if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001",
			fmt.Sprintf("49155503%05d", i), fmt.Sprintf("wamid.HELD%d", i), canary)); status != 200 {
			t.Errorf("a held engine answers a webhook with %d", status)
		}
	}
	status, body := get(t, "http://"+e.ops+"/readyz", "")
	var ready struct{ Checks []struct{ Name, Note string } }
	if err := json.Unmarshal([]byte(body), &ready); err != nil || status != 200 || !strings.Contains(body, "restored from backup") {
		t.Errorf("readyz: %d %s", status, body)
	}
	time.Sleep(300 * time.Millisecond) // room for what must not happen
	if got := len(sims.meta.Sends()); got != sends {
		t.Errorf("a held engine sent %d messages", got-sends)
	}
	if got := len(sims.model.Calls()); got != asked {
		t.Errorf("a held engine called the model %d times", got-asked)
	}
	events := e.stream("key-of-acme")
	chumi(t, exitOK, "restore", "--confirm", "--ops-addr", e.ops)
	answered := map[string]bool{}
	newest := map[string]bool{}
	until(t, events, func(ev apiEvent) bool {
		if ev.Message != nil && ev.Message.RemoteID != nil && strings.HasPrefix(*ev.Message.RemoteID, "wamid.HELD") {
			newest[ev.conversation()] = true
		}
		if ev.Kind == "message_accepted" && newest[ev.conversation()] {
			answered[ev.conversation()] = true
		}
		return len(answered) == 5
	})
	e.stop()
	checked(t, restored, "--keys-file", kek)
	gapFree(t, exported(t, restored, "acme", "--keys-file", kek))
}

// A backup of a cluster holds what any node has acknowledged, whichever node makes it;
// what is restored is a node of its own that the cluster does not take for one of its.
func TestCluster_BackupFromOneNode(t *testing.T) {
	_, args := quickSimulators(t, write(t, "b.yaml", twoTenants))
	c := foundCluster(t, 3, args...)
	c.start(2)
	c.start(3)
	c.settle(func(s cluster.Status) bool { return len(s.Nodes) == 3 })
	target, restored := filepath.Join(t.TempDir(), "target"), filepath.Join(t.TempDir(), "restored")
	for i := range 30 {
		body := waText("106000000000001", "102000000000001", fmt.Sprintf("49155505%05d", i), fmt.Sprintf("wamid.NODE%d", i), "hello")
		if status := c.nodes[1+i%3].post("acme-app", "secret-of-acme", body); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	// Whoever leads the tenant, each node has what the others acknowledged.
	for n := 1; n <= 3; n++ {
		said := chumi(t, exitOK, "backup", "--to", target, "--ops-addr", c.nodes[n].ops)
		if !strings.Contains(said, "name every node with --ops-addr") {
			t.Errorf("nothing is said of files on other nodes: %s", said)
		}
		kek := filepath.Join(c.dir, "node-1", "kek")
		to := fmt.Sprint(restored, n)
		chumi(t, exitOK, "restore", "--from", target, "--data-dir", to, "--keys-file", kek)
		received := 0
		for _, ev := range exported(t, to, "acme", "--keys-file", kek) {
			if ev.Kind == "message_received" {
				received++
			}
		}
		if received != 30 {
			t.Errorf("the backup of node %d holds %d messages, 30 were acknowledged", n, received)
		}
	}
	all := chumi(t, exitOK, "backup", "--to", target, "--ops-addr", strings.Join([]string{c.nodes[1].ops, c.nodes[2].ops, c.nodes[3].ops}, ","))
	if !strings.Contains(all, "17 groups") || strings.Count(all, "\n0 groups") != 2 {
		t.Errorf("of three nodes the first gives every group: %s", all)
	}

	c.stop(3)
	var out, errs bytes.Buffer
	join := append([]string{"serve", "--data-dir", restored + "1", "--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0",
		"--join", c.nodes[1].peer()}, c.flags(3)...)
	if code := run(t.Context(), join, nil, &out, &errs); code == exitOK || !strings.Contains(errs.String(), "was alone") {
		t.Errorf("a restored node joins the cluster: exit %d, %s", code, errs.String())
	}
	e := startEngine(t, restored+"1", c.bootstrap, append([]string{"--set", "keys.file=" + filepath.Join(c.dir, "node-1", "kek")}, args...)...)
	if status, body := get(t, "http://"+e.ops+"/readyz", ""); status != 200 || !strings.Contains(body, "restored from backup") {
		t.Errorf("readyz: %d %s", status, body)
	}
	e.stop()
}

// A backup lies in a part of a bucket, beside what others have there, and is restored
// from it; so is one of a stopped engine, with a key of its own.
func TestBackup_InABucket(t *testing.T) {
	bucket := blobtest.Start(t)
	bootstrap := write(t, "b.yaml", twoTenants)
	_, args := quickSimulators(t, bootstrap)
	key := write(t, "backup.key", strings.Repeat("5a", 32)+"\n")
	if err := os.Chmod(key, 0o400); err != nil {
		t.Fatal(err)
	}
	config := write(t, "chumi.yaml", fmt.Sprintf("backup:\n  to: s3://%s/shop/chumi\n  key_file: %s\n  s3: {endpoint: %q, region: eu-central-1, access_key: access, secret_key: secret, tls: false}\n",
		blobtest.Bucket, key, bucket.Addr))
	dir := t.TempDir()
	kek := filepath.Join(dir, "secrets", "kek")
	e := startEngine(t, dir, bootstrap, append(args, "--config", config)...)
	const canary = "canary-in-a-bucket"
	if status := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", "4915550800001", "wamid.S3", canary)); status != 200 {
		t.Fatalf("status %d", status)
	}
	chumi(t, exitOK, "backup", "--ops-addr", e.ops)
	e.stop()
	made := chumi(t, exitOK, "backup", "--offline", "--data-dir", dir, "--config", config)
	for name, b := range bucket.Stored() {
		if !strings.HasPrefix(name, "shop/chumi/") || bytes.Contains(b, []byte(canary)) {
			t.Errorf("the bucket holds %s", name)
		}
	}
	if list := chumi(t, exitOK, "backup", "list", "--config", config); strings.Count(list, "whole") != 2 {
		t.Errorf("the backups are:\n%s", list)
	}
	chumi(t, exitOK, "backup", "drill", "--config", config, "--keys-file", kek)
	to := filepath.Join(t.TempDir(), "restored")
	said := chumi(t, exitOK, "restore", "--config", config, "--data-dir", to, "--keys-file", kek)
	if word(t, said, "state") != word(t, made, "state") {
		t.Error("the restored state is another")
	}
	// Either key alone opens nothing.
	chumi(t, exitFailed, "restore", "--config", config, "--set", "backup.key_file="+kek, "--data-dir", to+"2", "--keys-file", kek)
	chumi(t, exitFailed, "restore", "--config", config, "--data-dir", to+"3", "--keys-file", key)
}
