package actors

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
)

func TestSystem_AnswersACustomer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, graph := newMemStore(), &ledgerGraph{}
		s := started(t, options(store, echoModel(), graph))
		in := []chat.Inbound{textFrom("1555", "wamid.1", "hello")}
		if err := s.Ingress().Deliver(t.Context(), "meta", in); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if got, want := graph.texts(), []string{"re: hello"}; !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		want := []string{"conversation_started", "message_received", "turn_started", "turn_answered",
			"message_queued", "attempt_started", "message_accepted"}
		if got := store.kinds(conversationOf("1555")); !slices.Equal(got, want) {
			t.Errorf("events %q, want %q", got, want)
		}
		ended(t, s)
	})
}

