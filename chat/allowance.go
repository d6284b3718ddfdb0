package chat

import (
	"encoding/json"
	"time"
)

// DocAllowance is the noun of Allowance, by "month".
const DocAllowance DocNoun = 'z'

// AllowanceKey is the id of a tenant's one Allowance.
const AllowanceKey = "month"

// Allowance is what a tenant lets its assistants spend in a month. It may be less than
// what the engine's configuration allows, never more. It is a document of the tenant
// with a version: who changes it names the one they have seen.
type Allowance struct {
	// Version counts changes; 0 is of a tenant that has set nothing.
	Version int64 `json:"version"`
	// Changed is when, and By the public id of the API key that set it.
	Changed time.Time `json:"changed_at,omitzero"`
	By      string    `json:"changed_by,omitempty"`
	// PerMonth bounds the money of a calendar month (UTC), Soft is where the team is
	// told; nil for those of the configuration. PerMonth of 0 lets no call be made that
	// costs anything.
	PerMonth *Money `json:"per_month_nanos,omitempty"`
	Soft     *Money `json:"soft_nanos,omitempty"`
	// Fallback is what customers get then; empty for that of the configuration.
	Fallback BudgetFallback `json:"fallback,omitempty"`
}

// Check reports what cannot be.
func (a *Allowance) Check() *LimitError {
	c := checker{}
	if a.Fallback != "" {
		c.oneOf("fallback", string(a.Fallback), string(BrokeApology), string(BrokeHandoff))
	}
	if a.PerMonth != nil && *a.PerMonth < 0 {
		c.invalid("per_month", "must not be negative.")
	}
	if a.Soft != nil && (*a.Soft < 0 || a.PerMonth != nil && *a.Soft > *a.PerMonth) {
		c.invalid("soft", "must not be negative, and not above per_month.")
	}
	if a.Version < 0 {
		c.invalid("version", "must be that of what you have read.")
	}
	return c.err
}

// SetAllowance replaces a tenant's allowance. It belongs to no conversation.
type SetAllowance struct {
	// Allowance has the version that was seen; Changed is not read.
	Allowance Allowance
}

func (SetAllowance) fact() {}

// AllowanceOf reads an allowance from its document, which may have no value.
func AllowanceOf(value []byte) (a Allowance) {
	if value == nil || json.Unmarshal(value, &a) != nil {
		return Allowance{}
	}
	return a
}

func (p *step) setAllowance(f SetAllowance) {
	var was Allowance
	for _, d := range p.in.Known.Docs {
		if d.Noun == DocAllowance {
			was = AllowanceOf(d.Value)
		}
	}
	next := f.Allowance
	switch {
	case next.Check() != nil:
		p.refuse("allowance_invalid")
		return
	case was.Version == next.Version+1 && was.same(&next):
		p.duplicate() // the answer to it was lost
		return
	case was.Version != next.Version:
		p.refuse("version_conflict")
		return
	}
	next.Version, next.Changed = next.Version+1, p.now
	p.emit(Event{Kind: BudgetChanged, Change: &DocChange{What: "budget", Put: 1, By: next.By}})
	p.putDoc(Doc{Noun: DocAllowance, ID: AllowanceKey}, &next)
}

func (a *Allowance) same(b *Allowance) bool {
	return sameMoney(a.PerMonth, b.PerMonth) && sameMoney(a.Soft, b.Soft) && a.Fallback == b.Fallback
}

func sameMoney(a, b *Money) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Allowing is s with what the tenant allows; s itself when that changes nothing.
func (s *Settings) Allowing(a Allowance) *Settings {
	own := *s
	if m := a.PerMonth; m != nil && (own.Budget <= 0 || *m < own.Budget) {
		own.Budget, own.BudgetSoft = *m, *m/5*4
		if *m == 0 {
			own.Budget = 1 // 0 would be no bound; nothing costs less than this
		}
	}
	if a.Soft != nil {
		own.BudgetSoft = *a.Soft
	}
	if own.Budget > 0 {
		own.BudgetSoft = min(own.BudgetSoft, own.Budget)
	}
	if a.Fallback != "" {
		own.Broke = a.Fallback
	}
	if own.Budget == s.Budget && own.BudgetSoft == s.BudgetSoft && own.Broke == s.Broke {
		return s
	}
	return &own
}

// BudgetView is how the money of a tenant's month stands.
type BudgetView struct {
	Allowance Allowance
	// Bound, Soft and Fallback are those that count: 0 is no bound.
	Bound, Soft Money
	Fallback    BudgetFallback
	// Month is as 2026-11, Counted what was spent in it and is reserved.
	Month   string
	Counted Money
}
