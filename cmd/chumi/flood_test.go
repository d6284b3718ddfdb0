package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
)

// Every kind of poison that `chumi bench --parts poison` floods an engine with is answered
// as it says, kept aside or stored as often as it should be, and leaves a good message be.
func TestServe_AnswersPoisonAsTheBenchSays(t *testing.T) {
	world := child.NewWorld(2)
	files := t.TempDir()
	config, bootstrap, err := child.WriteFiles(files, world, child.Config{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	e := startEngine(t, dir, bootstrap, "--config", config)
	const n = 1500
	flood := bench.NewPoisonFlood(world, n, 1, time.Now())
	wire := &poisonWire{t: t, addr: e.edge}
	defer wire.close()
	kinds, quarantined, again, taken := map[string]bool{}, 0, 0, 0
	for i := range flood.Len() {
		kind := flood.Kind(i)
		kinds[kind.Name] = true
		if got := wire.post(flood.At(i)); got != kind.Status {
			t.Errorf("%s (%d): answered %d, want %d", kind.Name, i, got, kind.Status)
		}
		switch {
		case kind.Quarantined:
			quarantined++
		case strings.Contains(kind.Name, "an id again"):
			again++
		case kind.Status == http.StatusOK:
			taken++
		}
	}
	if len(kinds) < 12 || again < 40 {
		t.Fatalf("only %d kinds, and %d messages with an id again", len(kinds), again)
	}
	good := waText(world.Channels[0].PhoneNumberID, world.Channels[0].WABA, "4915550100001", "wamid.GOOD", "hello")
	if status := e.post(world.Apps[0].ID, world.Apps[0].Secret, good); status != http.StatusOK {
		t.Errorf("a good message was answered %d", status)
	}
	_, metrics := get(t, "http://"+e.ops+"/metrics", "")
	kept := 0
	for line := range strings.Lines(metrics) {
		if rest, ok := strings.CutPrefix(line, "chumi_quarantined_total{"); ok {
			var of int
			if _, err := fmt.Sscan(rest[strings.LastIndex(rest, " ")+1:], &of); err != nil {
				t.Fatal(err)
			}
			kept += of
		}
	}
	if kept != quarantined {
		t.Errorf("%d were kept aside, want %d", kept, quarantined)
	}
	e.stop()
	stored := map[string]int{}
	for _, tenant := range world.Tenants {
		for _, ev := range exported(t, dir, tenant.ID) {
			if ev.Kind == "message_received" {
				stored[*ev.Message.RemoteID]++
			}
		}
	}
	others := 0
	for id, times := range stored {
		if times != 1 {
			t.Errorf("%s is stored %d times", id, times)
		}
		if !strings.HasSuffix(id, "-again") && id != "wamid.GOOD" {
			others++
		}
	}
	if stored["wamid.GOOD"] != 1 || others != taken || len(stored)-others-1 > 20 {
		t.Errorf("stored: the good message %d times, %d of %d others, %d with an id again of at most 20",
			stored["wamid.GOOD"], others, taken, len(stored)-others-1)
	}
	checked(t, dir)
}

// poisonWire posts raw requests over a connection as long as it lasts.
type poisonWire struct {
	t    *testing.T
	addr string
	conn net.Conn
	r    *bufio.Reader
}

func (w *poisonWire) post(request []byte) int {
	w.t.Helper()
	if w.conn == nil {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			w.t.Fatal(err)
		}
		w.conn, w.r = c, bufio.NewReader(c)
	}
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.conn.Write(request); err != nil {
		w.t.Fatal(err)
	}
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		w.t.Fatal(err)
	}
	if resp.Close {
		w.close()
	}
	return resp.StatusCode
}

func (w *poisonWire) close() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}
