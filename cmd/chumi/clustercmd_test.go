package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/peer"
)

// ran is one command line and what came of it.
func ran(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, nil, &o, &e)
	return code, o.String(), e.String()
}

func TestCluster_MakesFilesNodesCanUse(t *testing.T) {
	ca, node := filepath.Join(t.TempDir(), "ca"), filepath.Join(t.TempDir(), "node1")
	if code, out, errs := ran(t, "cluster", "ca", "--cluster-id", "shop", "--out", ca); code != exitOK || !strings.Contains(out, "ca.key") {
		t.Fatalf("ca exited %d: %s%s", code, out, errs)
	}
	if code, out, errs := ran(t, "cluster", "cert", "--ca", ca, "--node", "1", "--out", node, "--host", "n1.example", "--host", "10.0.0.1", "--days", "30"); code != exitOK || !strings.Contains(out, "node.crt") {
		t.Fatalf("cert exited %d: %s%s", code, out, errs)
	}
	for path, mode := range map[string]os.FileMode{
		filepath.Join(ca, "ca.key"): 0o400, filepath.Join(ca, "ca.crt"): 0o444,
		filepath.Join(node, "node.key"): 0o400, filepath.Join(node, "node.crt"): 0o444, filepath.Join(node, "ca.crt"): 0o444,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&^mode != 0 {
			t.Errorf("%s has mode %v, at most %v", path, info.Mode().Perm(), mode)
		}
	}
	creds, err := peer.OpenCredentials(peer.CredentialOptions{CertFile: filepath.Join(node, "node.crt"), KeyFile: filepath.Join(node, "node.key"),
		CAFile: filepath.Join(node, "ca.crt"), Metrics: &metrics.New(nil).Peer, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if id := creds.Identity(); id != (peer.Identity{Cluster: "shop", Node: 1}) {
		t.Errorf("the certificate is of %+v", id)
	}
}

func TestCluster_RefusesWithAReason(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca")
	if code, _, errs := ran(t, "cluster", "ca", "--cluster-id", "shop", "--out", ca, "--days", "10"); code != exitOK {
		t.Fatal(errs)
	}
	key, err := os.ReadFile(filepath.Join(ca, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "node.crt"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no flags", []string{"ca"}, exitUsage, "--cluster-id"},
		{"bad id", []string{"ca", "--cluster-id", "Shop One", "--out", t.TempDir()}, exitUsage, "lower-case"},
		{"no days", []string{"ca", "--cluster-id", "shop", "--out", t.TempDir(), "--days", "0"}, exitUsage, "--days"},
		{"authority exists", []string{"ca", "--cluster-id", "shop", "--out", ca}, exitFailed, "ca.key exists"},
		{"no node", []string{"cert", "--ca", ca, "--out", t.TempDir()}, exitUsage, "--node"},
		{"no authority", []string{"cert", "--ca", t.TempDir(), "--node", "1", "--out", t.TempDir(), "--days", "1"}, exitFailed, "chumi cluster ca"},
		{"outlives the authority", []string{"cert", "--ca", ca, "--node", "1", "--out", t.TempDir()}, exitUsage, "the authority ends"},
		{"file exists", []string{"cert", "--ca", ca, "--node", "1", "--out", used, "--days", "1"}, exitFailed, "node.crt exists"},
		{"argument", []string{"cert", "1"}, exitUsage, "takes no argument"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := ran(t, append([]string{"cluster"}, c.args...)...)
			if code != c.code || !strings.Contains(errs, c.want) {
				t.Errorf("exit %d, want %d; stderr %q lacks %q", code, c.code, errs, c.want)
			}
			if out != "" {
				t.Errorf("it printed %q", out)
			}
		})
	}
	if again, err := os.ReadFile(filepath.Join(ca, "ca.key")); err != nil || !bytes.Equal(again, key) {
		t.Error("the authority's key was replaced")
	}
	if _, err := os.Stat(filepath.Join(used, "node.key")); err == nil {
		t.Error("half of a refused certificate was left behind")
	}
}
