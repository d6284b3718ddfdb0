package chat_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// message is a customer's message to a conversation that exists.
func (w *world) message(t testing.TB) chat.Input {
	t.Helper()
	in := &chat.Inbound{Kind: chat.InboundMessage, Remote: "w1", Type: chat.TypeText, Text: "hello",
		Customer: w.customer(), Time: start}
	if err := w.do(in); err != nil {
		t.Fatal(err)
	}
	return chat.Input{Now: w.now, Epoch: 1, Settings: &w.set, Fact: in,
		Known: chat.Known{Place: chat.Place{Conversation: w.state.ID, Contact: "ct_1", Found: true}}}
}

// BenchmarkStep_Message is the core's share of accepting one customer message
// in a conversation that exists.
func BenchmarkStep_Message(b *testing.B) {
	w := newWorld(chat.WhatsApp)
	input := w.message(b)
	b.ReportAllocs()
	for b.Loop() {
		d := chat.Step(&w.state, input)
		if len(d.Events) != 1 {
			b.Fatal("no event")
		}
	}
}
