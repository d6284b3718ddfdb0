package chat

import (
	"errors"
	"strconv"
	"strings"
)

// Money is an amount in billionths of the currency of the price list.
type Money int64

// moneyDigits are those after the point; unitsMax bounds amounts, in whole units.
const (
	moneyDigits = 9
	unitsMax    = 1_000_000_000
)

var errMoney = errors.New(`wants an amount such as 12.50`)

// ParseMoney reads an amount such as "12.50", exactly.
func ParseMoney(text string) (Money, error) {
	whole, rest, point := strings.Cut(text, ".")
	if whole == "" || point && rest == "" || len(rest) > moneyDigits || !digits(whole, 10) || rest != "" && !digits(rest, moneyDigits) {
		return 0, errMoney
	}
	units, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || units > unitsMax {
		return 0, errMoney
	}
	parts, err := strconv.ParseInt(rest+strings.Repeat("0", moneyDigits-len(rest)), 10, 64)
	return Money(units)*1e9 + Money(parts), err
}

// String is the inverse of ParseMoney, with at least two digits after the point.
func (m Money) String() string {
	sign, n := "", uint64(m) // #nosec G115 -- the sign is written apart
	if m < 0 {
		sign, n = "-", -n
	}
	rest := strconv.FormatUint(n%1e9+1e9, 10)[1:]
	for len(rest) > 2 && rest[len(rest)-1] == '0' {
		rest = rest[:len(rest)-1]
	}
	return sign + strconv.FormatUint(n/1e9, 10) + "." + rest
}

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

// Price is what a model costs, per token, and per second of the sound that it hears.
type Price struct {
	Input, Cached, Output Money
	Second                Money
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
