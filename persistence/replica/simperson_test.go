package replica

import (
	"fmt"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// simPerson is a customer who writes, one message or two at a time, the next once
// the ones before are acknowledged to Meta.
type simPerson struct {
	town    *town
	id      int
	channel chat.Channel
	address chat.Address
	said    int
	// place is where the person's messages belong, once known.
	place chat.Place
}

func (p *simPerson) live(f *fiber) {
	s := p.town.sim
	for !s.ended {
		f.sleep(s.between(50*time.Millisecond, 3*time.Second))
		if s.ended {
			return
		}
		updates := []chat.Inbound{p.message()}
		if s.chance(15) {
			updates = append(updates, p.message())
		}
		a := &acknowledgement{fiber: f}
		p.town.webhook(updates, a)
		if s.chance(20) { // Meta may send the same twice
			s.after(s.between(0, 400*time.Millisecond), func() { p.town.webhook(updates, a) })
		}
		f.wait()
		for _, in := range updates {
			p.town.acknowledged = append(p.town.acknowledged, acknowledged{p, in.Remote})
		}
		p.town.total.acknowledged += len(updates)
	}
}

// remote is the id of the person's nth message.
func (p *simPerson) remote(n int) chat.RemoteID {
	return chat.RemoteID(fmt.Sprintf("wamid.in.%d.%d", p.id, n))
}

func (p *simPerson) message() chat.Inbound {
	p.said++
	return chat.Inbound{Kind: chat.InboundMessage, App: townApp, ChannelKind: p.channel.Kind, Account: p.channel.Account,
		Remote: p.remote(p.said), Type: chat.TypeText, Text: fmt.Sprintf("%d/%d", p.id, p.said),
		Customer: []chat.Address{p.address}, Name: "Ada", Time: simBegan.Add(p.town.sim.now).Truncate(time.Millisecond)}
}

// locate finds out where the person's messages belong.
func (p *simPerson) locate() bool {
	if p.place.Conversation != "" {
		return true
	}
	n := p.town.sim.leader(p.town.groupOf(p.channel))
	if n == nil {
		return false
	}
	place, err := n.store.Locate(p.channel.Tenant, p.channel.ID, []chat.Address{p.address})
	if err != nil {
		return false
	}
	p.place = place
	return true
}

// desk is where the people of the businesses sit: they write, take over and hand
// back.
func (w *town) desk(f *fiber) {
	s := w.sim
	for number := 1; !s.ended; number++ {
		f.sleep(s.between(200*time.Millisecond, 2*time.Second))
		if w.turns != nil {
			f.sleep(s.between(0, 4*time.Second)) // turns that call tools take longer
		}
		p := w.people[s.rng.IntN(len(w.people))]
		n := s.leader(w.groupOf(p.channel))
		if s.ended || n == nil || !p.locate() {
			continue
		}
		var fact chat.Fact = chat.HandBack{Member: "mia"}
		if c := s.rng.IntN(100); c < 12 {
			fact = chat.TakeOver{Member: "mia"}
		} else if c < 30 {
			fact = chat.MemberSend{Text: fmt.Sprintf("by hand %d", number), Member: "mia", Idempotency: fmt.Sprint("key", number), Digest: "d"}
		}
		for range 3 {
			n := s.leader(w.groupOf(p.channel))
			if n == nil {
				break
			}
			e := n.engine
			replies, all := e.ask(f, []*actors.Letter{e.solos.Write(p.channel.Tenant, p.place.Conversation, fact)}, 4*time.Second)
			if !all || !e.alive() || replies[0].Err != nil {
				f.sleep(s.between(0, 200*time.Millisecond))
				continue
			}
			w.wrote(p, replies[0].Verdicts[0])
			break
		}
	}
}

// wrote notes a message of a member that was acknowledged.
func (w *town) wrote(p *simPerson, v chat.Verdict) {
	if v.Message == "" {
		return
	}
	w.total.byMembers++
	w.written = append(w.written, written{p, v.Message})
}
