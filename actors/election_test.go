package actors

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Leadership goes away while the model thinks: the call is cancelled, mail is
// refused, activations end. When it comes back the turn is made again and the
// customer gets one answer.
func TestSystem_LosesAGroupAndGetsItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, graph := newMemStore(), &ledgerGraph{}
		calls, cancelled := 0, 0
		o := options(store, scriptModel{func(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
			if calls++; calls > 1 {
				return chat.Answer{Text: "re: " + p.Lines[len(p.Lines)-1].Text}, nil
			}
			<-ctx.Done()
			cancelled++
			return chat.Answer{}, &chat.ModelError{Reason: "cancelled"}
		}}, graph)
		s := started(t, o)
		defer ended(t, s)
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(5 * time.Second)
		if calls != 1 || s.resident.Load() != 1 {
			t.Fatalf("%d calls, %d resident while the model thinks", calls, s.resident.Load())
		}

		store.elect(0)
		settle(time.Second)
		if cancelled != 1 {
			t.Error("the call goes on after leadership was lost")
		}
		if n := s.resident.Load(); n != 0 {
			t.Errorf("%d activations outlive their epoch", n)
		}
		err := s.Ingress().Deliver(t.Context(), "meta", []chat.Inbound{textFrom("1555", "wamid.2", "anybody?")})
		if chat.KindOf(err) != chat.KindUnavailable {
			t.Errorf("a group that another node leads took mail: %v", err)
		}

		store.elect(7)
		settle(time.Minute)
		if got, want := graph.texts(), []string{"re: hello"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		for _, c := range store.commits {
			if c.Epoch != 1 && c.Epoch != 7 {
				t.Errorf("a commit of epoch %d", c.Epoch)
			}
		}
	})
}
