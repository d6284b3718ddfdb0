package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
)

// listener reads one open stream.
type listener struct {
	t    *testing.T
	resp *http.Response
	r    *bufio.Reader
}

func (s *site) listen(t *testing.T, path, key string, header ...string) *listener {
	t.Helper()
	resp, err := s.client.Do(s.request(t, "GET", path, key, "", header...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("stream: %d %s", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
	return &listener{t, resp, bufio.NewReader(resp.Body)}
}

// block returns the next block of lines up to an empty one.
func (l *listener) block() (string, error) {
	var b strings.Builder
	for {
		line, err := l.r.ReadString('\n')
		if err != nil {
			return b.String(), err
		}
		if line == "\n" {
			return b.String(), nil
		}
		b.WriteString(line)
	}
}

// event returns the id and data of the next event, skipping comments.
func (l *listener) event() (id, kind, data string) {
	l.t.Helper()
	for {
		b, err := l.block()
		if err != nil {
			l.t.Fatalf("the stream ended: %v", err)
		}
		if !strings.HasPrefix(b, "id: ") {
			continue
		}
		lines := strings.Split(strings.TrimSuffix(b, "\n"), "\n")
		if len(lines) != 3 {
			l.t.Fatalf("block %q", b)
		}
		return strings.TrimPrefix(lines[0], "id: "), strings.TrimPrefix(lines[1], "event: "), strings.TrimPrefix(lines[2], "data: ")
	}
}

func (l *listener) ids(n int) string {
	var ids []string
	for range n {
		id, _, _ := l.event()
		ids = append(ids, id)
	}
	return strings.Join(ids, " ")
}

func TestStream_ReplaysThenFollows(t *testing.T) {
	s := start(t, nil)
	l := s.listen(t, "/v1/events?from=0", "acme-key", "Accept", "*/*")
	if got := l.ids(6); got != "1 4 7 10 13 16" {
		t.Errorf("replayed %s", got)
	}
	for i := range 3 {
		s.add("rival", other, "not for acme")
		s.add("acme", bob, fmt.Sprintf("live %d", i))
		id, kind, data := l.event()
		if id != fmt.Sprint(19+3*i) || kind != "message_received" || !strings.Contains(data, fmt.Sprintf(`"text":"live %d"`, i)) || !strings.Contains(data, `"raw":{"a":1}`) {
			t.Errorf("live event %s %s %s", id, kind, data)
		}
	}
	if got := s.listen(t, "/v1/events?from=13", "acme-key").ids(2); got != "16 19" {
		t.Errorf("from=13 gave %s", got)
	}
	if got := s.listen(t, "/v1/events?from=0", "acme-key", "Last-Event-ID", "16").ids(1); got != "19" {
		t.Errorf("Last-Event-ID 16 gave %s", got)
	}
}

// Every reader sees every event exactly once, whatever the pages.
func TestStream_NoEventIsSkippedOrRepeated(t *testing.T) {
	s := start(t, nil)
	for i := range 1000 {
		s.add("acme", ada, fmt.Sprint(i))
	}
	l := s.listen(t, "/v1/events", "acme-key")
	for want := 1; want <= 3*1006; want += 3 {
		if id, _, _ := l.event(); id != fmt.Sprint(want) {
			t.Fatalf("event %s, want %d", id, want)
		}
	}
	seen, cursor := 0, ""
	for {
		got := s.do(t, "GET", "/v1/events?limit=7"+cursor, "acme-key", "")
		seen += strings.Count(got.body, `"kind":"message_received"`)
		_, next, _ := strings.Cut(got.body, `"next_cursor":`)
		next = strings.Trim(strings.TrimSpace(next), `"}`)
		if next == "null" {
			break
		}
		cursor = "&cursor=" + next
	}
	if seen != 1006 {
		t.Errorf("the pages held %d events, want 1006", seen)
	}
}

// The listener's WriteTimeout bounds an answer, not a stream.
func TestStream_OutlivesTheWriteTimeout(t *testing.T) {
	s := start(t, func(o *api.Options, l *edge.Limits) {
		o.Heartbeat = 40 * time.Millisecond
		l.WriteTimeout = 100 * time.Millisecond
	})
	l := s.listen(t, "/v1/events?from=16", "acme-key")
	for beats := 0; beats < 8; {
		b, err := l.block()
		if err != nil {
			t.Fatalf("cut after %d heartbeats: %v", beats, err)
		}
		if strings.HasPrefix(b, ": alive") {
			beats++
		}
	}
	s.add("acme", ada, "still here")
	if id, _, _ := l.event(); id != "19" {
		t.Errorf("event %s", id)
	}
}

func TestStream_EndsOnDrain(t *testing.T) {
	s := start(t, nil)
	l := s.listen(t, "/v1/events?from=0", "acme-key")
	l.ids(6)
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		drained <- s.server.Drain(ctx)
	}()
	if _, err := io.ReadAll(l.r); err != nil {
		t.Errorf("the stream was cut instead of ended: %v", err)
	}
	if err := <-drained; err != nil {
		t.Errorf("drain: %v", err)
	}
}

func TestStream_RefusesNewOnesAfterEndStreams(t *testing.T) {
	s := start(t, nil)
	s.api.EndStreams()
	if got := s.do(t, "GET", "/v1/events", "acme-key", ""); got.status != 503 || !strings.Contains(got.body, `"draining"`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestStream_PlacesAreLimitedAndGivenBack(t *testing.T) {
	s := start(t, func(o *api.Options, _ *edge.Limits) {
		o.KeyStreamMax, o.StreamMax, o.Heartbeat = 1, 2, 10*time.Millisecond
	})
	first := s.listen(t, "/v1/events?from=16", "acme-key")
	if got := s.do(t, "GET", "/v1/events", "acme-key", ""); got.status != 429 || !strings.Contains(got.body, "too_many_streams") || got.header.Get("Retry-After") == "" {
		t.Errorf("a second stream of the key: %d %s", got.status, got.body)
	}
	s.listen(t, "/v1/events?from=16", "acme-reader")
	first.resp.Body.Close()
	deadline := time.Now().Add(5 * time.Second)
	for {
		resp, err := s.client.Do(s.request(t, "GET", "/v1/events?from=16", "acme-key", ""))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the place of a client that left was never given back")
		}
	}
}

// A client that stops reading loses its stream after FlushTimeout; it must not
// hold memory or a place.
func TestStream_DropsAClientThatStopsReading(t *testing.T) {
	s := start(t, func(o *api.Options, _ *edge.Limits) {
		o.KeyStreamMax, o.FlushTimeout, o.Heartbeat = 1, 200*time.Millisecond, 20*time.Millisecond
	})
	big := strings.Repeat("x", 16<<10)
	for range 1000 {
		s.add("acme", ada, big)
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(s.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer acme-key\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(c, first); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		resp, err := s.client.Do(s.request(t, "GET", "/v1/events?from=999999", "acme-key", ""))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 200 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a client that stopped reading holds its place")
		}
	}
}

func TestStream_EndsWhenTheFeedFails(t *testing.T) {
	s := start(t, nil)
	l := s.listen(t, "/v1/events?from=0", "acme-key")
	l.ids(6)
	s.fail(chat.E("feed", chat.KindCorrupt, "secret detail", errors.New("inside")))
	s.add("acme", ada, "never read")
	rest, err := io.ReadAll(l.r)
	if err != nil || strings.Contains(string(rest), "secret") {
		t.Errorf("ended with %q, %v", rest, err)
	}
}
