package actors

import (
	"context"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/chat"
)

const (
	// reserveTogether bounds the persons of one commit.
	reserveTogether = 256
	// reserveTimeout bounds one commit: it is below reserveLost.
	reserveTimeout = 20 * time.Second
	// reserveRetry is the pause after a reservation that failed.
	reserveRetry = 2 * time.Second
	// crowdLookEvery is how often a sender with conversations that wait for a place
	// looks whether the limit has changed.
	crowdLookEvery = 30 * time.Second
)

// tills gathers, for each portfolio, the reservations that the senders of this node
// ask for: one commit at a time is under way, and takes all that came meanwhile.
// Safe for concurrent use.
type tills struct {
	mu sync.Mutex
	// open holds what waits; a portfolio is there while a goroutine serves it.
	open map[string][]order
}

// order is the reservations that a sender asks for.
type order struct {
	to     *actor.PID
	tenant chat.TenantID
	limit  int
	wants  []Want
}

// reserved is the answer to an order.
type reserved struct{ list []Reservation }

// order asks for reservations; the answer comes as mail.
func (s *System) order(portfolio string, o order) {
	t := &s.tills
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting, served := t.open[portfolio]
	if !served && !s.workers.run(func() { s.serve(portfolio) }) {
		return
	}
	if t.open == nil {
		t.open = make(map[string][]order)
	}
	t.open[portfolio] = append(waiting, o)
}

// serve answers the orders of a portfolio until there are none.
func (s *System) serve(portfolio string) {
	for {
		orders := s.tills.take(portfolio)
		if len(orders) == 0 {
			return
		}
		s.reserve(portfolio, orders)
	}
}

// take takes the next orders that one commit can answer; none closes the till.
func (t *tills) take(portfolio string) (orders []order) {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := t.open[portfolio]
	if len(waiting) == 0 {
		delete(t.open, portfolio)
		return nil
	}
	n, persons := 0, 0
	for n < len(waiting) && waiting[n].limit == waiting[0].limit && (n == 0 || persons+len(waiting[n].wants) <= reserveTogether) {
		persons += len(waiting[n].wants)
		n++
	}
	orders, t.open[portfolio] = waiting[:n:n], waiting[n:]
	return orders
}

// reserve makes one commit and answers its orders.
func (s *System) reserve(portfolio string, orders []order) {
	var persons []chat.Address
	for _, o := range orders {
		for _, w := range o.wants {
			persons = append(persons, s.identity(o.tenant, w))
		}
	}
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	defer s.opt.Clock.AfterFunc(reserveTimeout, cancel)()
	began := s.opt.Clock.Now()
	granted, frees, err := s.opt.Portfolios.Reserve(ctx, portfolio, orders[0].limit, persons)
	if err != nil && s.life.Err() == nil {
		s.opt.Logger.Warn("no place in a portfolio's limit could be reserved; it is tried again", "err", err)
	}
	for _, o := range orders {
		list := make([]Reservation, len(o.wants))
		for i, w := range o.wants {
			list[i] = Reservation{Conversation: w.Conversation}
			word := "full"
			switch one := &list[i]; {
			case err != nil:
				word, one.Until = "failed", s.opt.Clock.Now().Add(reserveRetry)
			case granted[i]:
				word, one.Granted, one.Until = "granted", true, began.Add(chat.ReserveValid)
			default:
				one.Until = later(frees, s.opt.Clock.Now().Add(reserveRetry))
			}
			s.met.Graph.Reservations.WithLabelValues(word).Inc()
		}
		if err == nil {
			granted = granted[len(o.wants):]
		}
		s.root.Send(o.to, &reserved{list})
	}
}

// identity is whom a reservation is for. Who has no address that a portfolio knows
// is counted as whoever the conversation is with.
func (s *System) identity(t chat.TenantID, w Want) chat.Address {
	if c, err := s.opt.Contacts.Contact(t, w.Contact); err == nil {
		if a, ok := c.Identity(); ok {
			return a
		}
	}
	return chat.Address{Value: string(w.Conversation)}
}

// lookAtPortfolio learns which limit the channel shares, and how large it is.
func (s *senderActor) lookAtPortfolio(now time.Time, ch *chat.Channel, st *chat.ChannelState) {
	limit, limited := chat.TierLimit(st.Tier)
	s.portfolio = chat.PortfolioOf(ch, st)
	s.core.Places(now, limit, limited && ch.Kind == chat.WhatsApp && s.sys.opt.Portfolios != nil)
}

// reserve asks for the places that the core wants, and tells when to look again
// whether the limit is what it was.
func (s *senderActor) reserve(now, next time.Time) time.Time {
	if wants := s.core.Wants(); len(wants) > 0 {
		s.sys.order(s.portfolio, order{to: s.self, tenant: s.tenant, limit: s.core.places.limit, wants: wants})
	}
	crowded := s.core.Crowded()
	s.sys.met.Graph.Crowded.Add(float64(crowded - s.crowded))
	if s.crowded = crowded; crowded > 0 {
		next = sooner(next, now.Add(crowdLookEvery))
	}
	return next
}

// uncovered is the outcome of an attempt whose place in the portfolio's limit has
// lapsed before it began: it asks for another.
var uncovered = chat.SendOutcome{Result: chat.SendUnstarted, Reason: "no_reservation"}
