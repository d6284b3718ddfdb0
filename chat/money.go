package chat

// Money is an amount in billionths of the currency of the price list.
type Money int64

// Tokens are what a call used, as the provider counts them.
type Tokens struct {
	// Prompt includes Cached; Output includes Reasoning.
	Prompt    int64 `json:"prompt"`
	Cached    int64 `json:"cached,omitempty"`
	Output    int64 `json:"output"`
	Reasoning int64 `json:"reasoning,omitempty"`
	// Estimated is true when the provider did not say, and they were counted here.
	Estimated bool `json:"estimated,omitempty"`
}

// Price is what a model costs, per token.
type Price struct {
	Input, Cached, Output Money
}

// Of is the cost of a call; cached tokens cost as any where the list has no price
// for them.
func (p Price) Of(t Tokens) Money {
	cached := min(max(t.Cached, 0), t.Prompt)
	perCached := p.Cached
	if perCached == 0 {
		perCached = p.Input
	}
	return Money(t.Prompt-cached)*p.Input + Money(cached)*perCached + Money(t.Output)*p.Output
}
