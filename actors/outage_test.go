package actors

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The provider of the model is down for six hours, in every way it can be. Each customer
// who writes meanwhile hears or has people within the silence deadline, the model is not
// asked without end, and who writes when it is back is answered by it.
func TestSystem_ModelDownForHours(t *testing.T) {
	const down, customers = 6 * time.Hour, 60
	var back atomic.Bool
	var calls atomic.Int64
	model := scriptModel{func(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
		if back.Load() {
			return chat.Answer{Text: "re: " + p.Lines[len(p.Lines)-1].Text, Model: "m"}, nil
		}
		switch calls.Add(1) % 4 {
		case 0:
			<-ctx.Done()
			return chat.Answer{}, ctx.Err()
		case 1:
			return chat.Answer{}, &chat.ModelError{Reason: "throttled", RetryAfter: 20 * time.Second}
		case 2:
			return chat.Answer{}, &chat.ModelError{Reason: "unavailable"}
		}
		return chat.Answer{}, &chat.ModelError{Reason: "cut"}
	}}
	inBubble(t, func(o *Options) { o.Model = model }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		for i := range customers {
			who := fmt.Sprintf("1555%04d", i)
			deliver(t, s, textFrom(who, "wamid."+who+".1", "hello"))
			settle(down / customers)
		}
		if n := calls.Load(); n < customers || n > customers*chat.DefaultModelTryMax {
			t.Errorf("the model was asked %d times for %d messages, at most %d each", n, customers, chat.DefaultModelTryMax)
		}
		for i := range customers {
			id := conversationOf(fmt.Sprintf("1555%04d", i))
			if wait := silence(t, store, id); wait > chat.DefaultSilenceDeadline {
				t.Errorf("%s waited %v for a word or a person; %v", id, wait, store.kinds(id))
			}
		}
		back.Store(true)
		deliver(t, s, textFrom("15559999", "wamid.back", "are you there"))
		settle(time.Minute)
		if got := graph.texts(); !slices.Contains(got, "re: are you there") {
			t.Errorf("the model is back, and sent was %q", got)
		}
	})
}

// silence is how long the first message of a conversation waited until something was
// said to its customer, or people had it.
func silence(t *testing.T, store *memStore, id chat.ConversationID) time.Duration {
	t.Helper()
	events, err := store.Events("acme", id, 0, chat.PromptEventMax)
	if err != nil || len(events) == 0 {
		t.Fatalf("events of %s: %d, %v", id, len(events), err)
	}
	var came time.Time
	for i := range events {
		switch e := &events[i]; e.Kind {
		case chat.MessageReceived:
			came = e.Time
		case chat.MessageQueued, chat.HandoffRequested:
			return e.Time.Sub(came)
		}
	}
	t.Errorf("%s got neither a word nor a person: %v", id, store.kinds(id))
	return 0
}
