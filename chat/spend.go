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
