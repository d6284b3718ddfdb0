package chat_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// BenchmarkStep_Message is the core's share of accepting one customer message
// in a conversation that exists.
func BenchmarkStep_Message(b *testing.B) {
	w := newWorld(chat.WhatsApp)
	in := &chat.Inbound{Kind: chat.InboundMessage, Remote: "w1", Type: chat.TypeText, Text: "hello",
		Customer: w.customer(), Time: start}
	if err := w.do(in); err != nil {
		b.Fatal(err)
	}
	input := chat.Input{Now: w.now, Epoch: 1, Settings: &w.set, Fact: in,
		Known: chat.Known{Place: chat.Place{Conversation: w.state.ID, Contact: "ct_1", Found: true}}}
	b.ReportAllocs()
	for b.Loop() {
		d := chat.Step(&w.state, input)
		if len(d.Events) != 1 {
			b.Fatal("no event")
		}
	}
}
