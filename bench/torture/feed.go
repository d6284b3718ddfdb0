package torture

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// feed follows one tenant's event stream over every restart and remembers what
// it showed. It also knows, as far as the stream tells, what the engine still
// owes.
type feed struct {
	stage  *stage
	tenant string
	secret string
	onward func(*child.Event) // told of every event, outside the lock

	mu     sync.Mutex
	shown  []child.Event
	last   uint64
	latest time.Time
	// since is when the stream was last opened; zero while it is broken.
	since time.Time
	// conversations in the order they were first seen.
	conversations []string
	known         map[string]bool
	// open holds queued sends without an end, waiting the highest token that
	// nobody has answered, by conversation.
	open    map[string]bool
	waiting map[string]int64
	held    map[string]bool
}

func newFeed(s *stage, tenant, secret string, onward func(*child.Event)) *feed {
	return &feed{stage: s, tenant: tenant, secret: secret, onward: onward, known: map[string]bool{}, open: map[string]bool{},
		waiting: map[string]int64{}, held: map[string]bool{}, shown: []child.Event{}}
}

// follow reads the stream until ctx ends, and again from where it was whenever
// it breaks.
func (f *feed) follow(ctx context.Context) {
	for ctx.Err() == nil {
		if api := f.stage.api(); api != "" {
			_ = f.read(ctx, api) // it breaks with every kill
		}
		pause(ctx, 5*time.Millisecond)
	}
}

func (f *feed) read(ctx context.Context, api string) error {
	f.mu.Lock()
	from := f.last
	f.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+api+"/v1/events?from="+strconv.FormatUint(from, 10), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+f.secret)
	req.Header.Set("Accept", "text/event-stream")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return fmt.Errorf("torture: feed: status %d: %s", resp.StatusCode, body)
	}
	f.connected(time.Now())
	defer f.connected(time.Time{})
	lines := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return err // a line that is cut off is shown again
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue
		}
		var e child.Event
		if json.Unmarshal(data, &e) == nil && f.add(&e) {
			f.onward(&e)
		}
	}
}

func (f *feed) connected(at time.Time) {
	f.mu.Lock()
	f.since = at
	f.mu.Unlock()
}

// add takes one event; false when it was shown before.
func (f *feed) add(e *child.Event) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e.Pos <= f.last {
		return false
	}
	f.last, f.latest = e.Pos, time.Now()
	f.shown = append(f.shown, *e)
	if c := e.Conversation; c != "" {
		if !f.known[c] {
			f.known[c] = true
			f.conversations = append(f.conversations, c)
		}
		f.owed(c, e)
	}
	return true
}

// owed updates what is owed in conversation c.
func (f *feed) owed(c string, e *child.Event) {
	switch e.Kind {
	case child.KindReceived:
		if e.Message != nil && !f.held[c] {
			f.waiting[c] = max(f.waiting[c], lastToken(e.Message.Text))
		}
	case child.KindQueued:
		if e.Message == nil {
			return
		}
		f.open[e.Message.ID] = true
		if e.Message.Author != authorAssistant || lastToken(e.Message.Text) >= f.waiting[c] {
			delete(f.waiting, c)
		}
	case child.KindAccepted, child.KindFailed, child.KindCancelled:
		delete(f.open, e.MessageID())
	case child.KindStatus:
		if e.Status != nil && e.Status.Status == statusUnknown {
			delete(f.open, e.MessageID())
		}
	case child.KindAttempt:
		f.open[e.MessageID()] = true
	case child.KindHandoff, child.KindTaken:
		f.held[c] = true
		delete(f.waiting, c)
	case child.KindReturned:
		delete(f.held, c)
	}
}

// drained reports whether nothing is owed and nothing has happened for a while.
func (f *feed) drained(quiet time.Duration) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open) == 0 && len(f.waiting) == 0 && time.Since(f.latest) >= quiet &&
		!f.since.IsZero() && time.Since(f.since) >= quiet
}

// debts says what is owed, for the log, with one message or conversation.
func (f *feed) debts() (open, waiting int, example string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.waiting {
		example = c
	}
	for id := range f.open {
		example = id
	}
	return len(f.open), len(f.waiting), example
}

// conversation returns the nth conversation modulo their number, "" when there
// is none yet.
func (f *feed) conversation(n int) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.conversations) == 0 {
		return ""
	}
	return f.conversations[n%len(f.conversations)]
}

// events returns what was shown.
func (f *feed) events() []child.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown
}

// pause waits; it ends early with ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
