package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
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
		for _, id := range []string{media.Blob, message} {
			if status, got := get(t, "http://"+e.api+"/v1/media/"+id, "key-of-acme"); status != 200 || got != string(want) {
				t.Errorf("%s: %s is answered %d with %d bytes", channel, id, status, len(got))
			}
			if status, _ := get(t, "http://"+e.api+"/v1/media/"+id, "key-of-bolt"); status != 404 {
				t.Errorf("another tenant reads %s: %d", id, status)
			}
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
	contact := contactOf(t, all[0].line)
	if found := plainAnywhere(t, dir, []byte("file of ")); len(found) > 0 {
		t.Errorf("plain files lie in %v", found)
	}
	files := plainAnywhere(t, filepath.Join(dir, "media"), nil)
	if len(files) != 2 {
		t.Errorf("%d files lie on the disk, want 2: %v", len(files), files)
	}

	// Who is erased has no files any more; others keep theirs.
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"erase", "--data-dir", dir, "--tenant", "acme", "--contact", contact}, nil, &out, &errs); code != exitOK {
		t.Fatalf("erase exited %d: %s", code, errs.String())
	}
	checked(t, dir)
	if files := plainAnywhere(t, filepath.Join(dir, "media"), nil); len(files) != 1 {
		t.Errorf("%d files lie on the disk after an erase, want the other person's: %v", len(files), files)
	}
}

// contactOf is the contact that an event is about.
func contactOf(t *testing.T, line string) string {
	t.Helper()
	var ev struct {
		Contact struct {
			ID string `json:"id"`
		} `json:"contact"`
	}
	if err := json.Unmarshal([]byte(line), &ev); err != nil || ev.Contact.ID == "" {
		t.Fatal(line, err)
	}
	return ev.Contact.ID
}

// A file that a client uploads is stored once per key, sealed, and read by its own
// tenant alone.
func TestServe_TakesUploads(t *testing.T) {
	dir, bootstrap := t.TempDir(), write(t, "bootstrap.yaml", twoTenants)
	_, flags := quickSimulators(t, bootstrap)
	e := startEngine(t, dir, bootstrap, flags...)
	menu := bytes.Repeat([]byte("the menu of today "), 100_000)
	upload := func(key, idempotency string, body []byte) (status int, id string) {
		t.Helper()
		req, err := http.NewRequest(http.MethodPost, "http://"+e.api+"/v1/media?filename=menu.pdf", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/pdf")
		req.Header.Set("Idempotency-Key", idempotency)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var u struct{ ID string }
		if err := json.NewDecoder(resp.Body).Decode(&u); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, u.ID
	}
	status, id := upload("key-of-acme", "k", menu)
	if status != http.StatusCreated {
		t.Fatal(status)
	}
	if status, again := upload("key-of-acme", "k", menu); status != http.StatusCreated || again != id {
		t.Errorf("the same again: %d, %s and not %s", status, again, id)
	}
	if status, _ := upload("key-of-acme", "k", menu[1:]); status != http.StatusConflict {
		t.Errorf("the key for another file: %d", status)
	}
	if status, other := upload("key-of-bolt", "k", menu); status != http.StatusCreated || other == id {
		t.Errorf("another tenant's key: %d, %s", status, other)
	}
	if status, got := get(t, "http://"+e.api+"/v1/media/"+id, "key-of-acme"); status != 200 || got != string(menu) {
		t.Errorf("it is answered %d with %d bytes", status, len(got))
	}
	if status, _ := get(t, "http://"+e.api+"/v1/media/"+id, "key-of-bolt"); status != 404 {
		t.Errorf("another tenant reads it: %d", status)
	}
	e.stop()
	checked(t, dir)
	if found := plainAnywhere(t, dir, []byte("menu of today")); len(found) > 0 {
		t.Errorf("plain files lie in %v", found)
	}
	if files := plainAnywhere(t, filepath.Join(dir, "media"), nil); len(files) != 2 {
		t.Errorf("%d files lie on the disk, want one for each tenant", len(files))
	}
}

// An Instagram customer who writes is shown with name and picture; another day's
// message does not ask again while that is young; and an erase takes it all.
func TestServe_InstagramCustomersHaveFaces(t *testing.T) {
	dir, bootstrap := t.TempDir(), write(t, "bootstrap.yaml", twoTenants)
	sims, flags := quickSimulators(t, bootstrap, func(o *metasim.Options) {
		o.Plan.Files = func(r metasim.FileRequest) metasim.FileFault {
			if r.Sort == "profile" && r.ID == "900000000000002" {
				return metasim.FileFaultMissing
			}
			return metasim.FileFaultNone
		}
	})
	e := startEngine(t, dir, bootstrap, flags...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")
	profileOf := func(from string) (contact struct {
		ID, Name  string
		Addresses []struct{ Kind, Value string }
		Profile   *struct {
			Username, Picture, Refused string
			Type                       string `json:"picture_type"`
			Key                        []byte `json:"picture_key"`
		}
	}) {
		t.Helper()
		heard, err := sims.meta.Say(t.Context(), metasim.Said{Channel: "17841400000000001", From: from, Name: "Ida", Text: "hi"})
		if err != nil || !heard.Acknowledged {
			t.Fatal(heard, err)
		}
		seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "contact_linked" })
		var ev struct{ Contact any }
		ev.Contact = &contact
		if err := json.Unmarshal([]byte(seen[len(seen)-1].line), &ev); err != nil {
			t.Fatal(err)
		}
		return contact
	}
	ida := profileOf("900000000000001")
	if p := ida.Profile; p == nil || ida.Name != "Ida" || p.Username != "user.900000000000001" || p.Picture == "" || p.Key != nil || p.Type != metasim.PictureType {
		t.Fatalf("%+v, %+v", ida, ida.Profile)
	}
	want := metasim.FileContents("picture of 900000000000001", metasim.PictureType)
	if status, got := get(t, "http://"+e.api+"/v1/media/"+ida.Profile.Picture, "key-of-acme"); status != 200 || got != string(want) {
		t.Errorf("the picture is answered %d with %d bytes", status, len(got))
	}
	if status, _ := get(t, "http://"+e.api+"/v1/media/"+ida.Profile.Picture, "key-of-bolt"); status != 404 {
		t.Errorf("another tenant sees it: %d", status)
	}
	if shy := profileOf("900000000000002"); shy.Profile == nil || shy.Profile.Refused != "consent_missing" || shy.Profile.Picture != "" {
		t.Errorf("without consent: %+v", shy.Profile)
	}
	for _, r := range sims.meta.FileRequests() {
		if r.Sort == "file" && r.Token || r.Sort == "profile" && !r.Token {
			t.Errorf("%s of %s with token %v", r.Sort, r.ID, r.Token)
		}
	}
	e.stop()
	checked(t, dir)
	if found := plainAnywhere(t, dir, []byte("file of picture")); len(found) > 0 {
		t.Errorf("plain pictures lie in %v", found)
	}
	if files := plainAnywhere(t, filepath.Join(dir, "media"), nil); len(files) != 1 {
		t.Errorf("%d files lie on the disk, want the picture: %v", len(files), files)
	}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"erase", "--data-dir", dir, "--tenant", "acme", "--contact", ida.ID}, nil, &out, &errs); code != exitOK {
		t.Fatalf("erase exited %d: %s", code, errs.String())
	}
	checked(t, dir)
	if files := plainAnywhere(t, filepath.Join(dir, "media"), nil); len(files) != 0 {
		t.Errorf("%d files lie on the disk after the erase", len(files))
	}
}
