package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// leadAll moves every group to a node.
func (c *clusterOf) leadAll(n int) {
	c.t.Helper()
	for _, g := range c.status().Groups {
		c.operate(fmt.Sprintf("/cluster/transfer?group=%d&to=%d", g.Group, n))
	}
	c.settle(func(s cluster.Status) bool { return s.Nodes[n-1].Leads == len(s.Groups) })
}

// Files in a cluster whose nodes share a place for them: what one node fetched another
// serves, what was given to one is sent by another, and a file whose fetch its leader
// began and did not finish is attached by the next, once.
func TestCluster_FilesAreEveryNodes(t *testing.T) {
	began, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var slow sync.Map
	sims, args := quickSimulators(t, write(t, "bootstrap.yaml", twoTenants), func(o *metasim.Options) {
		o.Plan.Files = func(r metasim.FileRequest) metasim.FileFault {
			if _, waits := slow.Load("on"); waits && r.Sort == "file" {
				once.Do(func() { close(began) })
				<-release
			}
			return metasim.FileFaultNone
		}
	})
	c := foundCluster(t, 3, append(args, "--set", "media.dir="+filepath.Join(t.TempDir(), "shared"))...)
	c.start(2)
	c.start(3)
	c.settle(func(s cluster.Status) bool { return len(s.Groups[0].Voters) == 3 })
	c.leadAll(1)
	sims.meta.SetHooks("http://" + c.nodes[3].edge)
	events := c.nodes[3].stream("key-of-acme")
	picture := func(from string) (blob, conversation string, want string) {
		t.Helper()
		heard, err := sims.meta.Say(t.Context(), metasim.Said{Channel: "106000000000001", From: from, Type: "image"})
		if err != nil || !heard.Acknowledged {
			t.Fatal(heard, err)
		}
		seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "media_stored" || ev.Kind == "media_failed" })
		last := seen[len(seen)-1]
		return fileEvent(t, last).Blob, last.conversation(), string(metasim.FileContents(heard.ID, "image/jpeg"))
	}
	sent := func(id string) {
		t.Helper()
		seen := until(t, events, func(ev apiEvent) bool {
			return (ev.Kind == "message_accepted" || ev.Kind == "message_failed") && strings.Contains(ev.line, `"`+id+`"`)
		})
		if last := seen[len(seen)-1]; last.Kind != "message_accepted" {
			t.Fatalf("%s", last.line)
		}
	}

	blob, ada, want := picture("4915550100042")
	for n := 1; n <= 3; n++ {
		if status, got := get(t, "http://"+c.nodes[n].api+"/v1/media/"+blob, "key-of-acme"); status != 200 || got != want {
			t.Errorf("node %d answers %d with %d bytes", n, status, len(got))
		}
		req, err := http.NewRequest(http.MethodGet, "http://"+c.nodes[n].api+"/v1/media/"+blob, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer key-of-acme")
		req.Header.Set("Range", "bytes=3-7")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		part := make([]byte, 6)
		count, _ := resp.Body.Read(part)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusPartialContent || string(part[:count]) != want[3:8] || resp.Header.Get("Content-Range") != fmt.Sprintf("bytes 3-7/%d", len(want)) {
			t.Errorf("node %d answers a range with %d, %q, %s", n, resp.StatusCode, part[:count], resp.Header.Get("Content-Range"))
		}
		if head, err := http.NewRequest(http.MethodHead, req.URL.String(), nil); err == nil {
			head.Header.Set("Authorization", "Bearer key-of-acme")
			resp, err := http.DefaultClient.Do(head)
			if err != nil || resp.StatusCode != 200 || resp.ContentLength != int64(len(want)) {
				t.Errorf("node %d answers HEAD with %v, %v", n, resp, err)
			}
		}
	}

	// Taken by one node and sent through another; and what Ada sent goes to Eve.
	status, id := c.nodes[2].upload("image/jpeg", "key-of-acme", "the menu")
	if status != http.StatusCreated {
		t.Fatal(status, id)
	}
	sent(c.nodes[3].say(ada, "key-of-acme", `{"type":"image","image":{"blob":"`+id+`"}}`))
	_, eve, _ := picture("4915550100043")
	sent(c.nodes[2].say(eve, "key-of-acme", `{"type":"image","image":{"blob":"`+blob+`","caption":"from Ada"}}`))
	if status, text := c.nodes[2].request("POST", "/v1/conversations/"+eve+"/messages", "key-of-acme",
		`{"type":"image","image":{"blob":"`+blob[:len(blob)-13]+`aaaaaaaaaaaaa"}}`); status != 404 || !strings.Contains(text, "media_not_found") {
		t.Errorf("a file that is not there: %d %s", status, text)
	}

	// The leader begins a fetch; another leads before it ends.
	slow.Store("on", true)
	heard, err := sims.meta.Say(t.Context(), metasim.Said{Channel: "106000000000001", From: "4915550100044", Type: "image"})
	if err != nil || !heard.Acknowledged {
		t.Fatal(heard, err)
	}
	<-began
	c.leadAll(2)
	slow.Delete("on")
	close(release)
	seen := until(t, events, func(ev apiEvent) bool { return ev.Kind == "media_stored" || ev.Kind == "media_failed" })
	media := fileEvent(t, seen[len(seen)-1])
	if status, got := get(t, "http://"+c.nodes[1].api+"/v1/media/"+media.Blob, "key-of-acme"); status != 200 || got != string(metasim.FileContents(heard.ID, "image/jpeg")) {
		t.Errorf("after the change: %d with %d bytes", status, len(got))
	}
	c.stop(1)
	c.settle(nil)
	c.stop(3)
	c.stop(2)
	kek := "keys.file=" + filepath.Join(c.dir, "node-2", "kek")
	checked(t, c.data(2), "--set", kek)
	told := map[string]int{}
	for _, ev := range exported(t, c.data(2), "acme", "--set", kek) {
		if ev.Kind == "media_stored" {
			told[fileEvent(t, ev).MessageID]++
		}
	}
	for id, n := range told {
		if n != 1 {
			t.Errorf("the file of %s is told of %d times", id, n)
		}
	}
	if len(told) != 3 {
		t.Errorf("files of %d messages, want 3", len(told))
	}
}

// upload gives a file to an engine and returns its id.
func (e *engine) upload(mime, key, body string) (int, string) {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+e.api+"/v1/media", strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", mime)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	var u struct{ ID string }
	if err := json.NewDecoder(resp.Body).Decode(&u); err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, u.ID
}
