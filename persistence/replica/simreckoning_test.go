package replica

import (
	"fmt"

	"github.com/chumiai/chumi/chat"
)

// story is what the journal of a conversation tells.
type story struct {
	person *simPerson
	// received counts customer messages by remote id; waiting are those nobody
	// answered yet.
	received map[chat.RemoteID]int
	// last is the number of the latest, upTo the seq that replies reach up to.
	last     int
	waiting  []chat.Seq
	upTo     chat.Seq
	answered map[chat.TurnID]bool
	replies  map[chat.TurnID]int
	// queued are sends in order, with how each ended first.
	queued []*sendStory
	byID   map[chat.MessageID]*sendStory
}

type sendStory struct {
	message chat.MessageID
	class   chat.Class
	ended   chat.EventKind
}

// reckon holds a town that has come to rest against what it promised.
func (w *town) reckon() {
	stories := map[*simPerson]*story{}
	for _, p := range w.people {
		if p.said == 0 || len(w.sim.broken) > 0 {
			continue
		}
		n := w.sim.leader(w.groupOf(p.channel))
		if n == nil || !p.locate() {
			w.sim.violate("person %d has no leader in the end", p.id)
			return
		}
		events, err := n.store.Events(p.channel.Tenant, p.place.Conversation, 0, 1<<20)
		if err != nil {
			w.sim.violate("person %d: %v", p.id, err)
			return
		}
		w.total.conversations++
		st := &story{person: p, received: map[chat.RemoteID]int{}, answered: map[chat.TurnID]bool{},
			replies: map[chat.TurnID]int{}, byID: map[chat.MessageID]*sendStory{}}
		stories[p] = st
		for i := range events {
			w.tell(st, &events[i])
		}
		if len(st.waiting) > 0 {
			w.sim.violate("person %d: nobody answered the messages at %v, nor was anybody asked to", p.id, st.waiting)
		}
		for _, s := range st.queued {
			w.sent(p, s)
		}
	}
	for _, a := range w.acknowledged {
		if n := stories[a.person].received[a.remote]; n != 1 {
			w.sim.violate("%s was acknowledged and is stored %d times", a.remote, n)
		}
	}
	for _, m := range w.written {
		if stories[m.person].byID[m.message] == nil {
			w.sim.violate("the member's message %s was acknowledged and is not stored", m.message)
		}
	}
	w.ordered(stories)
	if w.turns != nil {
		w.turns.reckon()
	}
}

// tell takes an event into a story.
func (w *town) tell(st *story, e *chat.Event) {
	p := st.person
	if w.turns != nil {
		w.turns.tell(e)
	}
	switch e.Kind {
	case chat.MessageReceived:
		st.received[e.Message.RemoteID]++
		if st.received[e.Message.RemoteID] > 1 {
			w.sim.violate("%s is stored twice", e.Message.RemoteID)
		}
		var id, number int
		if _, err := fmt.Sscanf(e.Message.Text, "%d/%d", &id, &number); err != nil || id != p.id || number <= st.last {
			w.sim.violate("person %d: %q follows message %d", p.id, e.Message.Text, st.last)
		}
		st.last = number
		if !e.Deadline.IsZero() {
			st.waiting = append(st.waiting, e.Seq)
		}
	case chat.TurnStarted:
		w.total.turns++
	case chat.TurnAnswered:
		w.total.replies++
		if st.answered[e.Turn.ID] || e.Turn.UpTo <= st.upTo {
			w.sim.violate("person %d: %s answers again what was answered up to %d: %d to %d", p.id, e.Turn.ID, st.upTo, e.Turn.From, e.Turn.UpTo)
		}
		st.answered[e.Turn.ID], st.upTo = true, e.Turn.UpTo
		for len(st.waiting) > 0 && st.waiting[0] <= e.Turn.UpTo {
			st.waiting = st.waiting[1:]
		}
	case chat.MessageQueued:
		m := e.Message
		s := &sendStory{message: m.ID, class: m.Class}
		st.queued, st.byID[m.ID] = append(st.queued, s), s
		switch m.Author {
		case chat.AuthorAssistant:
			if st.replies[m.Turn]++; st.replies[m.Turn] > 1 || !st.answered[m.Turn] {
				w.sim.violate("person %d: reply %d of %s, which is answered: %v", p.id, st.replies[m.Turn], m.Turn, st.answered[m.Turn])
			}
		case chat.AuthorEngine:
			w.total.apologies++
			if len(st.waiting) == 0 {
				w.total.both++ // the reply is not known to have gone in time
			}
		case chat.AuthorMember:
			st.waiting = nil
		}
	case chat.HandoffRequested, chat.HandoffTaken:
		w.total.handoffs++
		st.waiting = nil
	case chat.MessageAccepted, chat.MessageFailed, chat.MessageCancelled:
		st.end(e.Attempt.Message, e.Kind)
	case chat.StatusChanged:
		if e.Status.Status == chat.StatusUnknown && !e.At.After(e.Time) {
			st.end(e.Status.Message, chat.StatusChanged)
		}
	}
}

func (st *story) end(id chat.MessageID, how chat.EventKind) {
	if s := st.byID[id]; s != nil && s.ended == 0 {
		s.ended = how
	}
}

// sent holds what the journal says of a send against Graph's ledger.
func (w *town) sent(p *simPerson, s *sendStory) {
	times := w.graph.times[s.message]
	switch {
	case times <= 1:
	case s.class == chat.AtLeastOnce:
		w.total.doubled++
	default:
		w.total.twice++
		w.sim.violate("Graph took %s, which is sent at most once, %d times", s.message, times)
	}
	switch s.ended {
	case 0:
		w.sim.violate("person %d: %s was queued and has no end", p.id, s.message)
	case chat.MessageAccepted:
		if times == 0 {
			w.sim.violate("%s is said to be accepted, Graph does not have it", s.message)
		}
	case chat.StatusChanged:
		w.total.unknownSends++
	default:
		w.total.failed++
		if times > 0 {
			w.sim.violate("%s is said not to have gone (%v), Graph has it", s.message, s.ended)
		}
	}
}

// ordered holds the order in which Graph took messages against that in which they
// were queued. A clock that jumps makes time for others before a request arrives.
func (w *town) ordered(stories map[*simPerson]*story) {
	known := map[chat.MessageID]bool{}
	for _, p := range w.people {
		if st := stories[p]; st != nil {
			for _, s := range st.queued {
				known[s.message] = true
			}
		}
	}
	last, seen := map[chat.ConversationID]chat.Seq{}, map[chat.MessageID]bool{}
	for _, a := range w.graph.ledger {
		if !known[a.message] {
			w.sim.violate("Graph took %s, which is not stored", a.message)
		}
		if seen[a.message] {
			continue
		}
		seen[a.message] = true
		if a.seq < last[a.conversation] {
			if w.total.overtaken++; !w.sim.plan.jumps {
				w.sim.violate("Graph took %s after the message at %d", a.message, last[a.conversation])
			}
		}
		last[a.conversation] = max(last[a.conversation], a.seq)
	}
}
