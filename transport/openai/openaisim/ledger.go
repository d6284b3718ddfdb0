package openaisim

import (
	"encoding/json"
	"io"
	"sync"
	"time"
)

// Call is one request for a completion, as the ledger keeps it.
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
	// Tokens are the #digits the reply answers.
	Tokens []string `json:"tokens,omitempty"`
	Fault  Fault    `json:"fault,omitempty"`
	// Answer is "answered", "refused", "failed" or "dropped"; it becomes "left"
	// when the client goes before the answer has been written.
	Answer Answer `json:"answer"`
	// Text is the reply; also of an answer that is cut.
	Text string `json:"text,omitempty"`
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

// leave notes that the client of a call went first.
func (l *ledger) leave(receipt uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.calls) == 0 || receipt < l.calls[0].Receipt {
		return
	}
	l.calls[receipt-l.calls[0].Receipt].Answer = AnswerLeft
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
