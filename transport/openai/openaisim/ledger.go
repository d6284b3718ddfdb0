package openaisim

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Call is one request, as the ledger keeps it.
type Call struct {
	// Receipt counts requests from 1.
	Receipt uint64    `json:"receipt"`
	Time    time.Time `json:"time"`
	// Turn is the X-Chumi-Turn header, or Prompt when there is none.
	Turn string `json:"turn"`
	// Prompt is a hash of the messages, 32 hex characters.
	Prompt string `json:"prompt"`
	// Attempt counts requests with the same Turn from 1.
	Attempt int    `json:"attempt"`
	Model   string `json:"model"`
	Stream  bool   `json:"stream"`
	// API is chat, responses, embeddings or transcriptions.
	API string `json:"api"`
	// Form is what kind of answer was asked for, Stored whether the provider was asked to
	// keep it, Pictures how many images it was shown.
	Form     string `json:"form,omitempty"`
	Stored   bool   `json:"stored,omitempty"`
	Pictures int    `json:"pictures,omitempty"`
	// Tools were offered, Called are those the answer calls, in order.
	Tools  []string `json:"tools,omitempty"`
	Called []string `json:"called,omitempty"`
	// PromptTokens, of which CachedTokens, and OutTokens were used, and Cost is what they
	// come to by the price list. Of an answer that broke off they count what was said.
	PromptTokens int   `json:"prompt_tokens"`
	CachedTokens int   `json:"cached_tokens,omitempty"`
	OutTokens    int   `json:"output_tokens"`
	Cost         int64 `json:"cost,omitempty"`
	// Tokens are the #digits the reply answers.
	Tokens []string `json:"tokens,omitempty"`
	Fault  Fault    `json:"fault,omitempty"`
	// Answer is "answered", "refused", "failed" or "dropped"; it becomes "left"
	// when the client goes before the answer has been written.
	Answer Answer `json:"answer"`
	// Text is the reply as a person reads it; also of an answer that is cut.
	Text string `json:"text,omitempty"`

	latency   time.Duration
	reasoning int
	noUsage   bool
}

// Answer is how a request was answered.
type Answer string

// The answers.
const (
	AnswerGiven   Answer = "answered" // 200, whole
	AnswerRefused Answer = "refused"  // 429
	AnswerFailed  Answer = "failed"   // 500
	AnswerDropped Answer = "dropped"  // cut, or none
	AnswerLeft    Answer = "left"     // the client went first
)

// ledger keeps calls in memory. Safe for concurrent use.
type ledger struct {
	// max bounds the list; 0 keeps everything.
	max int

	mu       sync.Mutex
	receipts uint64
	calls    []Call
	attempts map[string]int
}

func (l *ledger) attempt(turn string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts[turn]++
	return l.attempts[turn]
}

func (l *ledger) add(c Call) Call {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receipts++
	c.Receipt = l.receipts
	if l.max > 0 && len(l.calls) >= 2*l.max {
		for _, old := range l.calls[:l.max] {
			delete(l.attempts, old.Turn)
		}
		l.calls = append([]Call(nil), l.calls[l.max:]...)
	}
	l.calls = append(l.calls, c)
	return c
}

// change edits a call that is still in the list.
func (l *ledger) change(receipt uint64, f func(*Call)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) == 0 || receipt < l.calls[0].Receipt {
		return
	}
	f(&l.calls[receipt-l.calls[0].Receipt])
}

// leave notes that the client of a call went first, after so many tokens.
func (s *Server) leave(c Call, out int) {
	s.ledger.change(c.Receipt, func(kept *Call) {
		kept.Answer, kept.OutTokens = AnswerLeft, out
		kept.Cost = s.o.Price.of(kept)
	})
}

// broke notes that a call was cut after so many tokens.
func (s *Server) broke(c Call, out int) {
	s.ledger.change(c.Receipt, func(kept *Call) {
		kept.OutTokens = out
		kept.Cost = s.o.Price.of(kept)
	})
}

// Price is what a token costs, in billionths of any currency. Cached tokens cost as
// others when Cached is zero.
type Price struct{ Prompt, Cached, Output int64 }

func (p Price) of(c *Call) int64 {
	cached := p.Cached
	if cached == 0 {
		cached = p.Prompt
	}
	return int64(c.PromptTokens-c.CachedTokens)*p.Prompt + int64(c.CachedTokens)*cached + int64(c.OutTokens)*p.Output
}

// Cost adds up what all calls in the ledger cost, also those whose client went first.
func (s *Server) Cost() int64 {
	var sum int64
	for _, c := range s.Calls() {
		sum += c.Cost
	}
	return sum
}

// Calls returns a copy of the ledger, in the order of receipt.
func (s *Server) Calls() []Call {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	return append([]Call(nil), s.ledger.calls...)
}

// DumpLedger writes the ledger as JSON lines, {"call":{…}}.
func (s *Server) DumpLedger(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, c := range s.Calls() {
		if err := enc.Encode(struct {
			Call Call `json:"call"`
		}{c}); err != nil {
			return err
		}
	}
	return nil
}
