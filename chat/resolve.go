package chat

import "time"

// The defaults of TurnLimits.
const (
	DefaultTurnSteps    = 8
	DefaultTurnTools    = 16
	DefaultOutTokens    = 1024
	DefaultPromptTokens = 16 << 10
	DefaultTurnTime     = 2 * time.Minute
)

// EnsureDefaults fills every unset limit. Cost has no default: without one a turn is
// bounded by the tenant's budget.
func (l *TurnLimits) EnsureDefaults() {
	if l.Steps <= 0 {
		l.Steps = DefaultTurnSteps
	}
	if l.Tools <= 0 {
		l.Tools = DefaultTurnTools
	}
	if l.OutTokens <= 0 {
		l.OutTokens = DefaultOutTokens
	}
	if l.PromptTokens <= 0 {
		l.PromptTokens = DefaultPromptTokens
	}
	if l.Time <= 0 {
		l.Time = DefaultTurnTime
	}
}

// On is the assistant as it is on a channel: with the variant of it, and none for
// others. It shares what the variant leaves.
func (a *Assistant) On(ch ChannelID) *Assistant {
	on := *a
	on.Channels = nil
	v := a.Channels[ch]
	set(&on.Instructions, v.Instructions)
	set(&on.Tone, v.Tone)
	set(&on.Disclosure, v.Disclosure)
	on.Limits.EnsureDefaults()
	return &on
}

// Answering is what decisions depend on where an assistant of the tenant's own
// answers: s as it is without one, a the version with its granted tools. It changes
// none of them.
func (s *Settings) Answering(a *Assistant, ch ChannelID, tools map[string]Tool, cost CallCost) *Settings {
	own := *s
	own.Profile, own.Tools, own.CallCost = a.On(ch), tools, cost
	own.Instructions = SystemPrompt(own.Profile)
	set(&own.Apology, own.Profile.Apology)
	if a.Channels[ch].Off {
		own.Assistant, own.Simulated = false, false
	}
	return &own
}

// PriceList is what models cost. It is never changed.
type PriceList struct {
	// AsOf is the day the prices were looked up, as 2026-11-27; Currency an ISO 4217
	// word.
	AsOf     string
	Currency string
	// Prices are by model; a model without a provider is that of every provider that
	// the list does not name.
	Prices map[ModelRef]Price
	// Models are those of the configuration, in order: they answer for an assistant
	// that names none.
	Models []ModelRef
}

// Price is what a model costs; found is false for one that is not in the list, whose
// tokens are counted and whose money is not known.
func (l *PriceList) Price(m ModelRef) (p Price, found bool) {
	if p, found = l.Prices[m]; !found {
		p, found = l.Prices[ModelRef{Model: m.Model}]
	}
	return p, found
}

// CallCost is the most that one call of any of the models costs within limits. No
// models are those of the configuration. Models without a price cost nothing here:
// see Unpriced.
func (l *PriceList) CallCost(models []ModelRef, limits TurnLimits) (c CallCost) {
	limits.EnsureDefaults()
	if len(models) == 0 {
		models = l.Models
	}
	for _, m := range models {
		p, _ := l.Price(m)
		c.Prompt = max(c.Prompt, Money(limits.PromptTokens)*max(p.Input, p.Cached))
		c.Output = max(c.Output, Money(limits.OutTokens)*p.Output)
	}
	return c
}

// Unpriced are those of the models that the list has no price for: a budget cannot
// bound them. No models are those of the configuration.
func (l *PriceList) Unpriced(models []ModelRef) (list []ModelRef) {
	if len(models) == 0 {
		models = l.Models
	}
	for _, m := range models {
		if _, found := l.Price(m); !found {
			list = append(list, m)
		}
	}
	return list
}
