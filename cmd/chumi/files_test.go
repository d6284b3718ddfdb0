package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// fileEvent is what an event says of a file.
func fileEvent(t *testing.T, ev apiEvent) (media struct {
	MessageID string `json:"message_id"`
	Index     int    `json:"index"`
	Blob      string `json:"blob"`
	Size      int    `json:"size"`
	SHA256    string `json:"sha256"`
	MIME      string `json:"mime_type"`
	Filename  string `json:"filename"`
	Reason    string `json:"reason"`
	Key       []byte `json:"key"`
}) {
	t.Helper()
	var line struct {
		Media json.RawMessage `json:"media"`
	}
	if err := json.Unmarshal([]byte(ev.line), &line); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(line.Media, &media); err != nil {
		t.Fatalf("%v: %s", err, ev.line)
	}
	if media.Key != nil {
		t.Errorf("the key of a file is shown: %s", ev.line)
	}
	return media
}

// plainAnywhere looks for bytes in every file below a directory.
func plainAnywhere(t *testing.T, dir string, needle []byte) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, needle) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A picture arrives, is fetched with the channel's token, and is attached to the
// message it came with; what lies on the disk is sealed. Files that cannot be had
// are told of, and one that Meta serves wrong at first arrives all the same.
func TestServe_FilesOfCustomersArrive(t *testing.T) {
	dir, bootstrap := t.TempDir(), write(t, "bootstrap.yaml", twoTenants)
	var broken atomic.Bool
	sims, flags := quickSimulators(t, bootstrap, func(o *metasim.Options) {
		o.Plan.Files = func(r metasim.FileRequest) metasim.FileFault {
			switch {
			case r.Sort != "file":
			case broken.Load():
				return metasim.FileFaultWrongHash
			case r.Attempt == 1:
				return metasim.FileFaultMissing
			case r.Attempt == 2:
				return metasim.FileFaultTruncated
			}
			return metasim.FileFaultNone
		}
	})
	e := startEngine(t, dir, bootstrap, flags...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")

	for _, channel := range []string{"106000000000001", "17841400000000001"} {
		heard, err := sims.meta.Say(t.Context(), metasim.Said{Channel: channel, From: "4915550100042", Type: "image"})
		if err != nil || !heard.Acknowledged {
			t.Fatal(heard, err)
		}
		seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "media_stored" || ev.Kind == "media_failed" })
		media := fileEvent(t, seen[len(seen)-1])
		want := metasim.FileContents(heard.ID, "image/jpeg")
		message := ""
		for _, ev := range seen {
			if ev.Kind == "message_received" {
				message = ev.Message.ID
			}
		}
		if media.MessageID != message || media.Size != len(want) || media.MIME != "image/jpeg" || media.Reason != "" {
			t.Errorf("%s: %+v, of message %s with %d bytes", channel, media, message, len(want))
		}
	}
	broken.Store(true)
	heard, err := sims.meta.Say(t.Context(), metasim.Said{Channel: "106000000000001", From: "4915550100042", Type: "document"})
	if err != nil || !heard.Acknowledged {
		t.Fatal(heard, err)
	}
	seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "media_failed" })
	if media := fileEvent(t, seen[len(seen)-1]); media.Reason != "hash_mismatch" || media.Blob != "" {
		t.Errorf("a file that never is what Meta said: %+v", media)
	}
	e.stop()
	checked(t, dir)
	stored := 0
	all := exported(t, dir, "acme")
	gapFree(t, all)
	for _, ev := range all {
		if ev.Kind == "media_stored" {
			stored++
		}
	}
	if stored != 2 {
		t.Errorf("%d files stored, want 2", stored)
	}
	if found := plainAnywhere(t, dir, []byte("file of ")); len(found) > 0 {
		t.Errorf("plain files lie in %v", found)
	}
	files := plainAnywhere(t, filepath.Join(dir, "media"), nil)
	if len(files) != 2 {
		t.Errorf("%d files lie on the disk, want 2: %v", len(files), files)
	}
}
