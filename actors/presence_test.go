package actors

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// signs remembers what customers were shown.
type signs struct {
	mu    sync.Mutex
	shown []chat.Sign
	at    []time.Time
	f     func(ctx context.Context)
}

// Show implements Presence.
func (s *signs) Show(ctx context.Context, sign chat.Sign) error {
	s.mu.Lock()
	s.shown, s.at = append(s.shown, sign), append(s.at, time.Now())
	f := s.f
	s.mu.Unlock()
	if f != nil {
		f(ctx)
	}
	return nil
}

func slowModel(d time.Duration) Model {
	return scriptModel{func(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
		select {
		case <-time.After(d):
			return chat.Answer{Text: "here", Model: "m"}, nil
		case <-ctx.Done():
			return chat.Answer{}, ctx.Err()
		}
	}}
}

func TestTyping_IsShownWhileATurnRunsAndNoLonger(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		off   bool
		want  []time.Duration // after the call began
	}{
		{"a long call", 44 * time.Second, false, []time.Duration{500 * time.Millisecond, 20500 * time.Millisecond, 40500 * time.Millisecond}},
		{"a short call", 3 * time.Second, false, []time.Duration{500 * time.Millisecond}},
		{"a quick call", 100 * time.Millisecond, false, nil},
		{"switched off", 44 * time.Second, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown := &signs{}
			var began time.Time
			model := scriptModel{func(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
				began = time.Now()
				return slowModel(c.takes).Complete(ctx, p)
			}}
			inBubble(t, func(o *Options) { o.Presence, o.Model = shown, model }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
				store.set.Typing = !c.off
				deliver(t, s, textFrom("1555", "wamid.1", "hello"), textFrom("1555", "wamid.2", "are you open?"))
				settle(3 * time.Minute)
				if got := graph.texts(); !slices.Equal(got, []string{"here"}) {
					t.Errorf("sent %q", got)
				}
				var at []time.Duration
				for i, sign := range shown.shown {
					at = append(at, shown.at[i].Sub(began))
					if sign.Message != "wamid.2" || !sign.Typing || sign.Channel.ID != "acme-wa" || sign.To.Value != "1555" {
						t.Errorf("shown %+v", sign)
					}
				}
				if !slices.Equal(at, c.want) {
					t.Errorf("shown at %v, want %v", at, c.want)
				}
			})
		})
	}
}

// Who is not answered is shown nothing: not when people answer, and not for a turn
// that a person ended.
func TestTyping_IsShownOnlyToWhoIsAnswered(t *testing.T) {
	shown := &signs{}
	inBubble(t, func(o *Options) { o.Presence, o.Model = shown, slowModel(40*time.Second) }, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		store.set.Typing = true
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(3 * time.Second)
		if len(shown.shown) != 1 {
			t.Fatalf("%d signs while the turn runs, want 1", len(shown.shown))
		}
		if _, err := s.Ingress().TakeOver(t.Context(), "acme", conversationOf("1555"), chat.TakeOver{Member: "ana"}); err != nil {
			t.Fatal(err)
		}
		deliver(t, s, textFrom("1555", "wamid.2", "hello?"))
		settle(2 * time.Minute)
		if len(shown.shown) != 1 {
			t.Errorf("%d signs after the takeover, want none more", len(shown.shown)-1)
		}
	})
}

func TestMarkRead_NamesTheLatestMessageOnce(t *testing.T) {
	shown := &signs{}
	inBubble(t, func(o *Options) { o.Presence = shown }, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		store.set.Assistant = false
		deliver(t, s, textFrom("1555", "wamid.1", "hello"), textFrom("1555", "wamid.2", "there?"))
		remote, err := s.Ingress().MarkRead(t.Context(), "acme", conversationOf("1555"))
		settle(time.Second)
		if err != nil || remote != "wamid.2" || len(shown.shown) != 1 || shown.shown[0].Typing || shown.shown[0].Message != "wamid.2" {
			t.Errorf("%q, %v, shown %+v", remote, err, shown.shown)
		}
		if _, err := s.Ingress().MarkRead(t.Context(), "acme", conversationOf("1999")); chat.KindOf(err) != chat.KindNotFound {
			t.Errorf("of nobody: %v", err)
		}
	})
}

// A Graph that does not answer costs a bounded number of requests, and nobody waits.
func TestMarkRead_NeverBlocks(t *testing.T) {
	shown := &signs{f: func(ctx context.Context) { <-ctx.Done() }}
	inBubble(t, func(o *Options) { o.Presence = shown }, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		store.set.Assistant = false
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		began := time.Now()
		for range 3 * signsMax {
			if _, err := s.Ingress().MarkRead(t.Context(), "acme", conversationOf("1555")); err != nil {
				t.Fatal(err)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited %v", waited)
		}
		settle(time.Minute)
		if n := len(shown.shown); n != signsMax {
			t.Errorf("%d requests, want %d", n, signsMax)
		}
		if len(s.signs) != 0 {
			t.Errorf("%d signs are still under way", len(s.signs))
		}
	})
}
