package torture

import (
	"fmt"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// The authors of queued messages.
const (
	authorAssistant = "assistant"
	authorMember    = "member"
	authorEngine    = "engine"
)

// statusUnknown is how a send is shown that is not known to have gone or failed.
const statusUnknown = "unknown"

// ending is how the export says a queued send ended.
type ending struct {
	accepted, failed, cancelled, unknown bool
	// doubted is set when it was unknown at any time: another reply may then
	// answer the same message.
	doubted bool
	remotes []string
}

func (e ending) settled() bool { return e.accepted || e.failed || e.cancelled || e.unknown }

// endings collects the ends of a conversation's sends by message id.
func endings(th *thread) map[string]*ending {
	out := map[string]*ending{}
	of := func(e *child.Event) *ending {
		id := e.MessageID()
		if out[id] == nil {
			out[id] = &ending{}
		}
		return out[id]
	}
	for _, e := range th.events {
		switch e.Kind {
		case child.KindAccepted:
			end := of(e)
			end.accepted, end.unknown = true, false
			if r := e.RemoteID(); r != "" {
				end.remotes = append(end.remotes, r)
			}
		case child.KindFailed:
			of(e).failed = true
		case child.KindCancelled:
			of(e).cancelled = true
		case child.KindAttempt:
			of(e).unknown = false
		case child.KindStatus:
			if e.Status != nil && e.Status.Status == statusUnknown {
				of(e).unknown, of(e).doubted = true, true
			}
		}
	}
	return out
}

// sends checks that every queued send of a conversation ended, and as Graph
// knows it.
func (a *audit) sends(th *thread) {
	ends := endings(th)
	for _, e := range th.events {
		if e.Kind != child.KindQueued || e.Message == nil {
			continue
		}
		a.t.Chances[ChanceQueued]++
		end := ends[e.Message.ID]
		if end == nil {
			end = &ending{}
		}
		at := fmt.Sprintf("%s/%s", th.tenant, e.Message.ID)
		accepted := a.acceptedOf(th, e)
		switch {
		case !end.settled():
			a.t.breach(MissingSend, "%s by %s was queued and never settled", at, e.Message.Author)
		case end.accepted && len(accepted) == 0:
			a.t.breach(Claimed, "%s is said to be accepted, Graph never did", at)
		case end.cancelled && !end.accepted && len(accepted) > 0:
			a.t.breach(SentCancelled, "%s is cancelled, Graph accepted it", at)
		}
		for _, r := range end.remotes {
			if a.x.remotes[r] == nil {
				a.t.breach(Claimed, "%s is said to be accepted as an id Graph never gave", at)
			}
		}
		if end.unknown && !end.accepted {
			a.t.Unknown++
		}
	}
}

// graph checks Graph's ledger: what it accepted was queued, and how often.
func (a *audit) graph() {
	// A text without a callback may be queued several times: the apology is.
	queued := map[string]int{}
	for _, th := range a.x.order {
		for _, e := range th.events {
			if e.Kind == child.KindQueued && e.Message != nil {
				queued[e.Message.ID]++
				queued[textKey(th.customer, e.Message.Text)]++
			}
		}
	}
	attempts := map[string][]*metasim.Send{}
	for i := range a.b.Sends {
		s := &a.b.Sends[i]
		attempts[sendKey(s)] = append(attempts[sendKey(s)], s)
	}
	for key, accepted := range a.x.accepted {
		s := accepted[0]
		extra := max(0, int64(len(accepted)-max(1, queued[key])))
		if queued[key] == 0 {
			a.t.breach(Unqueued, "%s/%s: accepted as %d", s.Account, s.To, s.Receipt)
		}
		if a.x.instagram[s.Account] {
			a.t.Chances[ChanceAtMost]++
			for range extra {
				a.t.breach(DoubleSend, "%s/%s: %q accepted %d times", s.Account, s.To, s.Text, len(accepted))
			}
			continue
		}
		a.t.Chances[ChanceAtLeast]++
		a.t.Doubled += extra
	}
	for key, list := range attempts {
		if queued[key] <= 1 {
			a.hasty(list)
		}
	}
}

// receiptSlack is how much later than its sending the simulator may note a
// request: what a killed engine left in a socket is read when the simulator's
// turn comes, while the next engine already counts.
const receiptSlack = 100 * time.Millisecond

// hasty checks that an attempt whose outcome could not be known was not
// followed by another one before reconciliation could end.
func (a *audit) hasty(list []*metasim.Send) {
	for i := 1; i < len(list); i++ {
		before, again := list[i-1], list[i]
		if before.Answer == metasim.AnswerRefused {
			continue
		}
		if pause := again.Time.Sub(before.Time); pause < a.b.ReconcileAfter-receiptSlack {
			a.t.breach(Hasty, "%s/%s: attempt %d came %v after attempt %d, which was %s", again.Account, again.To,
				again.Attempt, pause, before.Attempt, before.Answer)
		}
	}
}

// answers checks that each customer message of a conversation was answered, and
// none twice. A reply names the messages it answers; one that names #n also saw
// what came before, so it settles every earlier message.
func (a *audit) answers(th *thread) {
	ends := endings(th)
	named := map[int64]string{}
	// Going backwards, best is the highest token of the replies queued since,
	// people whether somebody else took the rest on.
	best, people := int64(0), false
	held := heldAt(th)
	for i := len(th.events) - 1; i >= 0; i-- {
		e := th.events[i]
		switch e.Kind {
		case child.KindHandoff, child.KindTaken:
			people = true
		case child.KindQueued:
			if e.Message == nil {
				continue
			}
			if e.Message.Author != authorAssistant {
				people = true
				continue
			}
			top := lastToken(e.Message.Text)
			best = max(best, top)
			end := ends[e.Message.ID]
			if top == 0 || end == nil || !end.accepted || end.doubted {
				continue
			}
			if other, twice := named[top]; twice {
				a.t.breach(AnsweredTwice, "%s: #%d by %s and %s", th.customer, top, e.Message.ID, other)
			}
			named[top] = e.Message.ID
		case child.KindReceived:
			if e.Message == nil || people || held[i] {
				continue
			}
			if n := lastToken(e.Message.Text); n > best {
				a.t.breach(Unanswered, "%s: #%d in %s/%s", th.customer, n, th.tenant, th.id)
			}
		}
	}
}

// heldAt tells at which events the conversation was with people.
func heldAt(th *thread) []bool {
	out := make([]bool, len(th.events))
	held := false
	for i, e := range th.events {
		switch e.Kind {
		case child.KindHandoff, child.KindTaken:
			held = true
		case child.KindReturned:
			held = false
		}
		out[i] = held
	}
	return out
}
