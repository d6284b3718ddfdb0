package metasim

import (
	"context"
	"crypto/rand"
	"sync"
	"time"
)

// PhoneEvent is something that happened on the phones of the customers.
type PhoneEvent struct {
	// N counts events from 1.
	N    uint64    `json:"n"`
	Time time.Time `json:"time"`
	// Type is "message", "tick", "typing" or "typing_off".
	Type    string `json:"type"`
	Kind    Kind   `json:"channel"`
	Account string `json:"account"`
	// Customer is whose phone it is; empty where Meta's request does not say,
	// as in a typing sign on WhatsApp. ID then tells.
	Customer string `json:"customer,omitempty"`
	// From is "customer" or "business", of a message.
	From string `json:"from,omitempty"`
	// ID is the message's; empty in a tick about all messages so far.
	ID   string `json:"id,omitempty"`
	Text string `json:"text,omitempty"`
	// Status is sent, delivered, read or failed, of a tick.
	Status string `json:"status,omitempty"`
}

// phoneMax is how many events a phone page that comes late can still read.
const phoneMax = 2000

// phone keeps the latest events of all phones. Safe for concurrent use.
type phone struct {
	now func() time.Time
	// run names this life of the simulator: numbers of events of another one
	// mean nothing here.
	run string

	mu     sync.Mutex
	last   uint64
	events []PhoneEvent
	// news is closed and replaced at each event.
	news chan struct{}
}

func newPhone(now func() time.Time) *phone {
	return &phone{now: now, run: rand.Text(), news: make(chan struct{})}
}

func (p *phone) add(e PhoneEvent) {
	e.Time = p.now().UTC()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	e.N = p.last
	if len(p.events) >= 2*phoneMax {
		p.events = append([]PhoneEvent(nil), p.events[phoneMax:]...)
	}
	p.events = append(p.events, e)
	close(p.news)
	p.news = make(chan struct{})
}

// wait returns the events after n, waiting for one if there is none, and the
// number of the last event there is.
func (p *phone) wait(ctx context.Context, n uint64) (events []PhoneEvent, last uint64) {
	for {
		p.mu.Lock()
		last = p.last
		news := p.news
		if n < last {
			kept := uint64(len(p.events))
			events = append(events, p.events[kept-min(last-n, kept):]...)
		}
		p.mu.Unlock()
		if len(events) > 0 {
			return events, last
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil, last
		}
	}
}

func (u Update) fromCustomer() bool {
	return u.Kind != UpdateStatus && u.Kind != UpdateEcho && u.Kind != UpdateRead
}

func (u Update) phoneEvent(typ string) PhoneEvent {
	e := PhoneEvent{Type: typ, Kind: u.Account.Kind, Account: u.Account.ID, Customer: u.Customer.ID, ID: u.RemoteID}
	if e.Customer == "" {
		e.Customer = u.Customer.UserID
	}
	return e
}

// wrote shows what a customer, or the business from another app, has written.
func (p *phone) wrote(u Update) {
	e := u.phoneEvent("message")
	e.Text = shown(string(u.Kind), u.Text)
	switch {
	case u.fromCustomer():
		e.From, e.Status = "customer", "sent"
	case u.Kind == UpdateEcho:
		e.From = "business"
	default:
		return
	}
	p.add(e)
}

// delivered ticks the customers' messages of a webhook answered 200.
func (p *phone) delivered(us []Update) {
	for _, u := range us {
		if u.fromCustomer() {
			e := u.phoneEvent("tick")
			e.Status = "delivered"
			p.add(e)
		}
	}
}

// received shows what the business has sent. On Instagram a reply marks what
// was before it as seen.
func (p *phone) received(a Account, c Customer, s Send) {
	u := Update{Account: a, Customer: c, RemoteID: s.RemoteID}
	e := u.phoneEvent("message")
	e.From, e.Text = "business", s.Text
	p.add(e)
	if a.Kind == Instagram {
		e = u.phoneEvent("tick")
		e.ID, e.Status = "", "read"
		p.add(e)
	}
}

// reported ticks the business's own message as Meta reports it.
func (p *phone) reported(u Update) {
	e := u.phoneEvent("tick")
	switch u.Kind {
	case UpdateStatus:
		e.Status = u.Status
	case UpdateRead:
		e.Status = "read"
	default:
		return
	}
	p.add(e)
}

// sign shows that the business has read or is typing. A WhatsApp typing sign
// marks the message as read, too.
func (p *phone) sign(a Account, r request) {
	e := PhoneEvent{Kind: a.Kind, Account: a.ID, Customer: r.to, ID: r.about}
	if r.sign == signRead || r.sign == signTyping && a.Kind == WhatsApp {
		e.Type, e.Status = "tick", "read"
		p.add(e)
	}
	if r.sign != signRead {
		e.Type, e.Status = r.sign, ""
		p.add(e)
	}
}
