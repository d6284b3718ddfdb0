package replica

import (
	"fmt"
	"time"

	"github.com/chumiai/chumi/chat"
)

// simGraph is Meta's side of sending, outside of every process: what reached it
// has happened, whoever died meanwhile.
type simGraph struct {
	town *town
	// ledger is what was accepted, in order; times counts it by message.
	ledger []accepted
	times  map[chat.MessageID]int
}

type accepted struct {
	conversation chat.ConversationID
	message      chat.MessageID
	seq          chat.Seq
}

// travelMax is the longest way to Graph: below the time after which an attempt
// without an answer is given up.
const travelMax = 3 * time.Second

// travel has arrive called when a request reaches Graph, if it does.
func (g *simGraph) travel(arrive func()) {
	s := g.town.sim
	d := s.between(time.Millisecond, 60*time.Millisecond)
	if !s.healed {
		if s.chance(3) {
			return
		}
		if s.chance(8) {
			d = s.between(300*time.Millisecond, travelMax)
		}
	}
	s.after(d, arrive)
}

// take decides about a request, and whether the answer finds its way back.
func (g *simGraph) take(st *chat.Conversation, out chat.Outbound) (o chat.SendOutcome, answered bool) {
	s := g.town.sim
	answered = s.healed || !s.chance(8)
	if !s.healed {
		switch n := s.rng.IntN(100); {
		case n < 2:
			return chat.SendOutcome{Result: chat.SendRefused, Code: 131026, Reason: "undeliverable"}, answered
		case n < 7:
			return chat.SendOutcome{Result: chat.SendThrottled, Code: 130429, Reason: "throttled", RetryAfter: s.between(0, time.Second)}, answered
		case n < 9: // an answer that says nothing about a message that was not taken
			return chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "server_error"}, answered
		}
	}
	id, seq, ok := out.Message.Parse()
	if !ok || id != st.ID {
		s.violate("Graph is sent %s in the conversation %s", out.Message, st.ID)
	}
	g.times[out.Message]++
	g.ledger = append(g.ledger, accepted{id, out.Message, seq})
	g.town.total.accepted++
	remote := chat.RemoteID(fmt.Sprintf("wamid.out.%d", len(g.ledger)))
	s.note("Graph takes %s as %s", out.Message, remote)
	g.report(out, remote)
	if !s.healed && s.chance(2) {
		return chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "server_error"}, answered
	}
	return chat.SendOutcome{Result: chat.SendAccepted, Remote: remote}, answered
}

// report sends what Meta tells of a message later: statuses on WhatsApp, an echo
// on Instagram. Some are never sent.
func (g *simGraph) report(out chat.Outbound, remote chat.RemoteID) {
	s := g.town.sim
	if s.chance(15) {
		return
	}
	in := chat.Inbound{App: townApp, ChannelKind: out.Channel.Kind, Account: out.Channel.Account, Remote: remote,
		Customer: []chat.Address{out.To}, Time: simBegan.Add(s.now)}
	send := func(in chat.Inbound) {
		d := s.between(10*time.Millisecond, 2*time.Second)
		g.town.webhookAfter(d, in)
		if s.chance(10) {
			g.town.webhookAfter(d+s.between(0, time.Second), in)
		}
	}
	if out.Channel.Kind == chat.Instagram {
		in.Kind, in.Type, in.Text = chat.InboundEcho, chat.TypeText, out.Text
		send(in)
		return
	}
	in.Kind, in.Callback = chat.InboundStatus, string(out.Message)
	for _, word := range []string{"sent", "delivered"} {
		in.Type = word
		send(in)
	}
}
