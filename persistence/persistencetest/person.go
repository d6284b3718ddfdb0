package persistencetest

import (
	"fmt"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// began is when every test conversation begins.
var began = time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)

// Person is a customer and the conversation with them, driven as an activation
// would. Used by one goroutine.
type Person struct {
	Store   *persistence.Store
	Address chat.Address
	Place   chat.Place
	State   chat.Conversation
	// From is the time of the first message.
	From time.Time
}

// NewPerson is customer n of a tenant, who has not written yet.
func NewPerson(s *persistence.Store, t chat.TenantID, n int) (*Person, error) {
	p := &Person{Store: s, Address: chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", n)},
		State: chat.Conversation{Tenant: t}, From: began}
	var err error
	p.Place, err = s.Locate(t, "wa", []chat.Address{p.Address})
	return p, err
}

// Message is the commit of the person's next message. It changes nothing.
func (p *Person) Message(text string) chat.Commit {
	st := p.State.Clone()
	now := p.From.Add(time.Duration(st.Seq) * time.Second)
	c := chat.Commit{Tenant: st.Tenant, Channel: "wa", Conversation: p.Place.Conversation,
		Epoch: p.Store.Epoch(p.Store.Group(st.Tenant)), Expected: st.Seq, Now: now}
	if st.Seq == 0 {
		c.Contact = &chat.Contact{ID: p.Place.Contact, Name: "Ada", Addresses: []chat.Address{p.Address}}
		c.Claims = []chat.Claim{{Kind: chat.ClaimAddress, Address: p.Address}}
		p.add(&c, &st, chat.Event{Kind: chat.ConversationStarted, Contact: c.Contact})
	}
	seq := st.Seq + 1
	id := chat.MessageIDAt(p.Place.Conversation, seq)
	p.add(&c, &st, chat.Event{Kind: chat.MessageReceived, At: now.Add(2 * time.Second), Deadline: now.Add(time.Minute),
		Message: &chat.Message{ID: id, RemoteID: p.Remote(seq), Direction: chat.DirectionIn, Author: chat.AuthorCustomer,
			Type: chat.TypeText, Text: text, ProviderTime: now, Name: "Ada"}})
	c.Rows = []chat.RemoteRow{{Remote: p.Remote(seq), Conversation: p.Place.Conversation, Seq: seq, Message: id, Fresh: true}}
	st.Armed = now.Add(2 * time.Second)
	c.State = &st
	return c
}

// Remote is the remote id of the message with the given seq.
func (p *Person) Remote(seq chat.Seq) chat.RemoteID {
	return chat.RemoteID(fmt.Sprintf("wamid.%s.%d", p.Address.Value, seq))
}

// Adopt takes over the state of a commit that was applied.
func (p *Person) Adopt(c chat.Commit) { p.State = *c.State }

func (p *Person) add(c *chat.Commit, st *chat.Conversation, e chat.Event) {
	e.Seq, e.Time = st.Seq+1, c.Now
	e.Tenant, e.Channel, e.Conversation = c.Tenant, c.Channel, c.Conversation
	c.Events = append(c.Events, e)
	st.Apply(e)
}

// Running makes c start a turn too: an obligation that dies with the process.
func (p *Person) Running(c chat.Commit) chat.Commit {
	st := c.State
	p.add(&c, st, chat.Event{Kind: chat.TurnStarted, At: c.Now.Add(time.Minute), Turn: &chat.TurnRecord{
		ID: chat.TurnIDAt(c.Conversation, st.Seq+1), Call: 1, Epoch: c.Epoch, From: st.WaitingFrom, UpTo: st.LastIn}})
	return c
}
