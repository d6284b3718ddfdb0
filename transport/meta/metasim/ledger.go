package metasim

import (
	"encoding/json"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Answer is how a send request was answered.
type Answer string

// The answers.
const (
	AnswerAccepted Answer = "accepted" // 200 with a remote id
	AnswerRefused  Answer = "refused"  // a Graph error
	AnswerFailed   Answer = "failed"   // a 5xx that is not a Graph error
	AnswerDropped  Answer = "dropped"  // no answer at all
)

// Send is one request to send a message, as the send ledger keeps it.
type Send struct {
	// Receipt orders it among all sends and acknowledgements.
	Receipt uint64    `json:"receipt"`
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"channel"`
	Account string    `json:"account"`
	To      string    `json:"to"`
	// Type is the message's type, Text what the phone shows of it.
	Type string `json:"type"`
	Text string `json:"text"`
	// Callback is biz_opaque_callback_data.
	Callback string `json:"callback,omitempty"`
	// Attempt counts requests with the same account and callback from 1, or
	// with the same account, recipient and text where there is no callback.
	Attempt int   `json:"attempt"`
	Fault   Fault `json:"fault,omitempty"`
	// Over names the limit it was too fast for; Private is set for a private reply.
	Over    Limit `json:"over,omitempty"`
	Private bool  `json:"private,omitempty"`
	// Answer is what the client is told; Accepted is whether the message
	// reaches the phone, which the client may not learn.
	Answer   Answer `json:"answer"`
	Accepted bool   `json:"accepted"`
	// Code is the Graph error code of a refusal.
	Code     int    `json:"code,omitempty"`
	RemoteID string `json:"remote_id,omitempty"`
}

// Arrival is one update made for the business, as the inbound ledger keeps it.
type Arrival struct {
	Kind UpdateKind `json:"kind"`
	// Conversation is the ConversationKey; Number counts the customer messages
	// of a conversation from 1 and is 0 for other updates.
	Conversation string `json:"conversation"`
	Number       int64  `json:"number,omitempty"`
	RemoteID     string `json:"remote_id"`
	Status       string `json:"status,omitempty"`
	Text         string `json:"text,omitempty"`
	// Posted is the receipt number drawn when it was first posted, Acknowledged
	// the one drawn when its first 200 was read; 0 while that has not happened.
	Posted       uint64 `json:"posted"`
	Acknowledged uint64 `json:"acknowledged"`
	// Posts and Acks count the times it was posted and answered 200.
	Posts int `json:"posts"`
	Acks  int `json:"acks"`
	// LastStatus is the last HTTP status, 0 for none.
	LastStatus int `json:"last_status,omitempty"`
}

// ledger keeps sends and arrivals in memory. Safe for concurrent use.
type ledger struct {
	receipts atomic.Uint64
	// max bounds each list; 0 keeps everything.
	max int

	mu       sync.Mutex
	sends    []Send
	attempts map[sendKey]int
	arrivals []*Arrival
	numbers  map[string]int64
}

type sendKey struct{ account, to, callback, text string }

func keyOf(s Send) sendKey {
	if s.Callback != "" {
		return sendKey{account: s.Account, callback: s.Callback}
	}
	return sendKey{account: s.Account, to: s.To, text: s.Text}
}

func newLedger(max int) *ledger {
	return &ledger{max: max, attempts: map[sendKey]int{}, numbers: map[string]int64{}}
}

func (l *ledger) receipt() uint64 { return l.receipts.Add(1) }

// attempt counts one more attempt of a message.
func (l *ledger) attempt(s Send) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := keyOf(s)
	l.attempts[k]++
	return l.attempts[k]
}

// addSend draws the receipt inside the lock, so that the list is in its order.
func (l *ledger) addSend(s Send) Send {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.Receipt = l.receipt()
	if l.max > 0 && len(l.sends) >= 2*l.max {
		for _, old := range l.sends[:l.max] {
			delete(l.attempts, keyOf(old))
		}
		l.sends = append([]Send(nil), l.sends[l.max:]...)
	}
	l.sends = append(l.sends, s)
	return s
}

// nextNumber counts one more customer message of a conversation.
func (l *ledger) nextNumber(conversation string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.numbers[conversation]++
	return l.numbers[conversation]
}

func (l *ledger) addArrival(a Arrival) *Arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.max > 0 && len(l.arrivals) >= 2*l.max {
		l.arrivals = append([]*Arrival(nil), l.arrivals[l.max:]...)
	}
	l.arrivals = append(l.arrivals, &a)
	return &a
}

func (l *ledger) posting(as []*Arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range as {
		if a.Posts++; a.Posted == 0 {
			a.Posted = l.receipt()
		}
	}
}

// posted notes the answer to a POST. first is true when it is the first 200.
func (l *ledger) posted(as []*Arrival, status int) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range as {
		a.LastStatus = status
		if status != 200 {
			continue
		}
		if a.Acks++; a.Acknowledged == 0 {
			a.Acknowledged = l.receipt()
			first = true
		}
	}
	return first
}

func (l *ledger) copySends() []Send {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Send(nil), l.sends...)
}

func (l *ledger) copyArrivals() []Arrival {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Arrival, len(l.arrivals))
	for i, a := range l.arrivals {
		out[i] = *a
	}
	return out
}

// Sends returns a copy of the send ledger, in the order of receipt.
func (s *Server) Sends() []Send { return s.ledger.copySends() }

// Arrivals returns a copy of the inbound ledger, in the order the updates were
// made.
func (s *Server) Arrivals() []Arrival { return s.ledger.copyArrivals() }

// Receipt draws a receipt number, to place something of the caller's own
// between the entries of the ledgers.
func (s *Server) Receipt() uint64 { return s.ledger.receipt() }

// DumpLedger writes both ledgers as JSON lines: first the arrivals as
// {"arrival":{…}}, then the sends as {"send":{…}}.
func (s *Server) DumpLedger(w io.Writer) error {
	enc := json.NewEncoder(w)
	for _, a := range s.Arrivals() {
		if err := enc.Encode(struct {
			Arrival Arrival `json:"arrival"`
		}{a}); err != nil {
			return err
		}
	}
	for _, e := range s.Sends() {
		if err := enc.Encode(struct {
			Send Send `json:"send"`
		}{e}); err != nil {
			return err
		}
	}
	return nil
}
