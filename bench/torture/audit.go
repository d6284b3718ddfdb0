package torture

import (
	"slices"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// Audit compares the accounts and returns what it found.
func (b *Book) Audit() *Tally {
	a := &audit{b: b, x: b.index(), t: newTally()}
	for _, th := range a.x.order {
		a.sequence(th)
	}
	a.messages()
	a.statuses()
	a.requests()
	for _, th := range a.x.order {
		a.sends(th)
		a.answers(th)
	}
	a.graph()
	a.takeovers()
	a.tools()
	a.feed()
	return a.t
}

// AuditInbound compares only what came in, for a run in which nothing is
// answered.
func (b *Book) AuditInbound() *Tally {
	a := &audit{b: b, x: b.index(), t: newTally()}
	for _, th := range a.x.order {
		a.sequence(th)
	}
	a.messages()
	return a.t
}

type audit struct {
	b *Book
	x *index
	t *Tally
}

// sequence checks that a conversation's seqs are 1, 2, 3, ... in feed order and
// that its messages belong to one customer, in the customer's order.
func (a *audit) sequence(th *thread) {
	last := int64(0)
	for _, e := range th.events {
		a.t.Chances[ChanceEvents]++
		if e.Seq != th.lastSeq+1 {
			a.t.breach(Gap, "%s/%s: seq %d after %d", th.tenant, th.id, e.Seq, th.lastSeq)
		}
		th.lastSeq = e.Seq
		if e.Kind != child.KindReceived || e.Message == nil {
			continue
		}
		arrival := a.x.arrivals[e.Message.Remote]
		if arrival == nil {
			a.t.breach(Invented, "%s/%s: seq %d has an unknown remote id", th.tenant, th.id, e.Seq)
			continue
		}
		switch {
		case th.customer == "":
			th.customer = arrival.Conversation
		case th.customer != arrival.Conversation:
			a.t.breach(Split, "%s/%s: holds messages of %s and %s", th.tenant, th.id, th.customer, arrival.Conversation)
		}
		if arrival.Number < last {
			a.t.breach(Reordered, "%s: #%d stored after #%d", arrival.Conversation, arrival.Number, last)
		}
		last = max(last, arrival.Number)
		if e.Message.Text != arrival.Text {
			a.t.breach(Altered, "%s: #%d stored as %q, posted as %q", arrival.Conversation, arrival.Number, e.Message.Text, arrival.Text)
		}
		if owner := a.x.tenantOf[accountOf(arrival.Conversation)]; owner != th.tenant {
			a.t.breach(Foreign, "%s: #%d of %s stored with %s", arrival.Conversation, arrival.Number, owner, th.tenant)
		}
	}
}

// messages checks that every acknowledged message is stored exactly once, in
// one conversation per customer.
func (a *audit) messages() {
	home := map[string]string{}
	for i := range a.b.Arrivals {
		in := &a.b.Arrivals[i]
		if in.Number == 0 {
			continue
		}
		tenant := a.x.tenantOf[accountOf(in.Conversation)]
		found := a.x.received[remoteKey{tenant, in.RemoteID}]
		if in.Acks > 0 {
			a.t.Chances[ChanceMessages]++
			if len(found) == 0 {
				a.t.breach(Lost, "%s: #%d, acknowledged as %d", in.Conversation, in.Number, in.Acknowledged)
			}
		}
		if len(found) > 1 {
			a.t.breach(Duplicated, "%s: #%d is stored %d times", in.Conversation, in.Number, len(found))
		}
		for _, e := range found {
			if at, seen := home[in.Conversation]; seen && at != e.Conversation {
				a.t.breach(Split, "%s is in %s and %s", in.Conversation, at, e.Conversation)
			}
			home[in.Conversation] = e.Conversation
		}
	}
}

// statuses checks that every acknowledged WhatsApp status is one event.
func (a *audit) statuses() {
	seen := map[statusKey]bool{}
	for i := range a.b.Arrivals {
		in := &a.b.Arrivals[i]
		if in.Kind != metasim.UpdateStatus || in.Acks == 0 {
			continue
		}
		k := statusKey{a.x.tenantOf[accountOf(in.Conversation)], in.RemoteID, in.Status}
		if seen[k] {
			continue
		}
		seen[k] = true
		a.t.Chances[ChanceStatuses]++
		if a.x.statuses[k] == 0 {
			a.t.breach(StatusLost, "%s: %s of %s", in.Conversation, in.Status, in.RemoteID)
		}
	}
	for k, n := range a.x.statuses {
		if n > 1 {
			a.t.breach(StatusTwice, "%s: %s of %s is stored %d times", k.tenant, k.status, k.remote, n)
		}
	}
}

// requests checks that every acknowledged API send was queued exactly once.
func (a *audit) requests() {
	for _, r := range a.b.Requests {
		n := a.x.texts[r.Tenant+"/"+r.Text]
		if r.Acknowledged {
			a.t.Chances[ChanceRequests]++
			if n == 0 {
				a.t.breach(RequestLost, "%s: %q", r.Tenant, r.Text)
			}
		}
		if n > 1 {
			a.t.breach(RequestTwice, "%s: %q is queued %d times", r.Tenant, r.Text, n)
		}
	}
}

// takeovers checks that no assistant message was accepted while a person held
// the conversation.
func (a *audit) takeovers() {
	spans := map[string][]Takeover{}
	for _, t := range a.b.Takeovers {
		spans[t.Tenant+"/"+t.Conversation] = append(spans[t.Tenant+"/"+t.Conversation], t)
	}
	a.t.Chances[ChanceTakeover] += int64(len(a.b.Takeovers))
	for _, th := range a.x.order {
		held := spans[th.tenant+"/"+th.id]
		if len(held) == 0 || th.customer == "" {
			continue
		}
		for _, e := range th.events {
			if e.Kind != child.KindQueued || e.Message == nil || e.Message.Author != authorAssistant {
				continue
			}
			for _, s := range a.acceptedOf(th, e) {
				if slices.ContainsFunc(held, func(t Takeover) bool {
					return s.Receipt > t.From && (t.Until == 0 || s.Receipt < t.Until)
				}) {
					a.t.breach(AfterTakeover, "%s/%s: %s accepted as %d", th.tenant, th.id, e.Message.ID, s.Receipt)
				}
			}
		}
	}
}

// acceptedOf lists what Graph accepted of a queued message.
func (a *audit) acceptedOf(th *thread, queued *child.Event) []*metasim.Send {
	if list := a.x.accepted[queued.Message.ID]; len(list) > 0 {
		return list
	}
	if !a.x.instagram[accountOf(th.customer)] {
		return nil
	}
	return a.x.accepted[textKey(th.customer, queued.Message.Text)]
}

// feed checks that the feed showed exactly what was stored.
func (a *audit) feed() {
	for _, t := range a.b.World.Tenants {
		shown := a.b.Shown[t.ID]
		if shown == nil {
			continue
		}
		type place struct {
			pos, seq           uint64
			kind, conversation string
		}
		at := func(e *child.Event) place { return place{e.Pos, e.Seq, e.Kind, e.Conversation} }
		stored := map[place]bool{}
		exported := a.b.Exported[t.ID]
		last := uint64(0)
		for i := range exported {
			stored[at(&exported[i])] = false
			if p := exported[i].Pos; p <= last {
				a.t.breach(Gap, "%s: pos %d after %d", t.ID, p, last)
			}
			last = exported[i].Pos
		}
		for i := range shown {
			if _, ok := stored[at(&shown[i])]; !ok {
				a.t.breach(FeedUndurable, "%s: pos %d, %s", t.ID, shown[i].Pos, shown[i].Kind)
				continue
			}
			stored[at(&shown[i])] = true
		}
		for i := range exported {
			if !stored[at(&exported[i])] {
				a.t.breach(FeedMissed, "%s: pos %d, %s", t.ID, exported[i].Pos, exported[i].Kind)
			}
		}
	}
}
