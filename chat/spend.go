package chat

import "math"

// Operation is the kind of a call to a model.
type Operation string

// The operations beside those of turns.
const (
	OperationEmbeddings    Operation = "embeddings"
	OperationTranscription Operation = "transcription"
)

// Spend is what a call to a model used that is no step of a turn.
type Spend struct {
	Operation Operation `json:"operation"`
	Provider  string    `json:"provider,omitempty"`
	Model     string    `json:"model"`
	Tokens    Tokens    `json:"tokens"`
	// Seconds of sound were listened to, where the provider counts by them.
	Seconds float64 `json:"seconds,omitempty"`
	// Cost is by the price list; zero for a model that is not on it.
	Cost Money `json:"cost_nanos,omitempty"`
}

// For is the cost of a call, of its sound too.
func (p Price) For(s *Spend) Money {
	return p.Of(s.Tokens) + Money(math.Ceil(s.Seconds*float64(p.Second)))
}

// Spent is what a call used that belongs to no conversation: it is paid for once. ID
// tells it from every other.
type Spent struct {
	ID   string
	Used Spend
}

func (Spent) fact() {}

// Key makes it count once.
func (f Spent) Key() string { return "spent/" + f.ID }

// spentDays is how long it is remembered: longer than anybody repeats it.
const spentDays = 2

// spent pays for a call.
func (p *step) spent(f Spent) {
	if p.in.Known.Seen {
		p.duplicate()
		return
	}
	p.d.Claims = append(p.d.Claims, Claim{Kind: ClaimDigest, Key: f.Key(), Day: Day(p.now) + spentDays})
	p.pay(f.Used.Cost)
	used := f.Used
	p.emit(Event{Kind: ModelUsed, Spend: &used})
}

// Aside is what an event says was spent beside turns and summaries; nil for nothing.
func (e *Event) Aside() *Spend {
	if e.Media != nil {
		return e.Media.Used
	}
	return e.Spend
}
