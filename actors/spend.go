package actors

import (
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
)

// chargeWait is how long a call that was made waits for its record: a search goes on
// without it, and it is recorded all the same.
const chargeWait = time.Second

// Charge records and counts what a call outside conversations used, once, whatever the
// first answers of the store. It returns when that is durable, or after chargeWait.
func (s *System) Charge(t chat.TenantID, used chat.Spend) {
	used.Cost = s.priceOf(&used)
	f := chat.Spent{ID: strconv.FormatUint(s.opt.Boot, 36) + "." + strconv.FormatUint(s.charges.Add(1), 36), Used: used}
	done, late := make(chan struct{}), make(chan struct{})
	if !s.workers.run(func() {
		defer close(done)
		s.insistOn(func() *mail {
			return &mail{tenant: t, group: s.opt.Leadership.Group(t), items: []item{{fact: f}}}
		})
	}) {
		return
	}
	defer s.opt.Clock.AfterFunc(chargeWait, func() { close(late) })()
	select {
	case <-done:
	case <-late:
	}
}

// Affords reports whether a tenant's budget of the month has room for what a call uses
// at most. It reserves nothing: calls beside turns are paid when they are recorded, and
// several at once may together pass the bound by what they cost.
func (s *System) Affords(t chat.TenantID, most chat.Spend) bool {
	return s.affords(t, s.priceOf(&most))
}

func (s *System) affords(t chat.TenantID, most chat.Money) bool {
	b, err := s.Assistants().Budget(s.life, t)
	return err == nil && (b.Bound <= 0 || b.Counted+most <= b.Bound)
}

// priceOf is what a call beside turns cost; zero for a model without a price.
func (s *System) priceOf(used *chat.Spend) chat.Money {
	p := s.price(chat.ModelRef{Provider: used.Provider, Model: used.Model})
	return p.For(used)
}
