package actors

import "github.com/chumiai/chumi/chat"

// priceOf is what a call beside turns cost; zero for a model without a price.
func (s *System) priceOf(used *chat.Spend) chat.Money {
	p := s.price(chat.ModelRef{Provider: used.Provider, Model: used.Model})
	return p.For(used)
}

// affords reports whether a tenant's budget of the month has room for an amount. It
// reserves nothing: calls beside turns are paid when they are recorded, and several at
// once may together pass the bound by what they cost.
func (s *System) affords(t chat.TenantID, most chat.Money) bool {
	b, err := s.Assistants().Budget(s.life, t)
	return err == nil && (b.Bound <= 0 || b.Counted+most <= b.Bound)
}
