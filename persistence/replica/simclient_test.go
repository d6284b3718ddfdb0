package replica

import (
	"fmt"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// simTenants are spread over the groups; two clients share each conversation, so
// that activations compete.
var simTenants = []chat.TenantID{"acme", "bolt", "cafe", "dent"}

// client appends to a conversation, and reads it, as an activation would: it
// loads the state behind a confirmed read, keeps the epoch it was born under, and
// begins anew after every answer but Applied.
type client struct {
	fiber *fiber
	sim   *simulator
	id    int

	tenant  chat.TenantID
	address chat.Address
	// message numbers what is said; the same number is said until it is known to
	// be stored. words is what a script says.
	message int
	words   string

	node  *simNode
	life  int
	epoch chat.Epoch
	place chat.Place
	state chat.Conversation
	born  bool
}

func (c *client) live() {
	person := c.id / 2
	c.tenant = simTenants[person%len(simTenants)]
	c.address = chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", person)}
	for !c.sim.ended {
		c.fiber.sleep(c.sim.between(time.Millisecond, 300*time.Millisecond))
		if c.sim.chance(25) {
			c.read()
			continue
		}
		if !c.born && !c.activate() {
			continue
		}
		c.say()
	}
}

func (c *client) group() chat.Group { return c.sim.nodes[0].groupOf(c.tenant) }

// groupOf is Store.Group, also of a node that is down.
func (n *simNode) groupOf(t chat.TenantID) chat.Group {
	for _, o := range n.sim.nodes {
		if o.store != nil {
			return o.store.Group(t)
		}
	}
	return 0
}

// activate loads the conversation on a node that says it leads.
func (c *client) activate() bool {
	g := c.group()
	var leaders []*simNode
	for _, n := range c.sim.nodes {
		if n.up && n.store.Epoch(g) != 0 {
			leaders = append(leaders, n)
		}
	}
	if len(leaders) == 0 {
		return false
	}
	return c.activateOn(leaders[c.sim.rng.IntN(len(leaders))])
}

func (c *client) activateOn(n *simNode) bool {
	g := c.group()
	epoch, life := n.store.Epoch(g), n.life
	if err := n.await(c.fiber, &wait{group: g}, 3*time.Second); err != nil || n.life != life || !n.up {
		return false
	}
	var err error
	if c.place, err = n.store.Locate(c.tenant, "wa", []chat.Address{c.address}); err != nil {
		c.sim.violate("client %d: cannot locate: %v", c.id, err)
		return false
	}
	state, found, err := n.store.Load(c.tenant, c.place.Conversation)
	if err != nil {
		c.sim.violate("client %d: cannot load on n%d: %v", c.id, n.id, err)
		return false
	}
	if !found {
		state = chat.Conversation{Tenant: c.tenant}
	}
	c.node, c.life, c.epoch, c.state, c.born = n, life, epoch, state, true
	return true
}

func (c *client) remote() chat.RemoteID {
	return chat.RemoteID(fmt.Sprintf("wamid.%s.%d.%d", c.address.Value, c.id, c.message))
}

// commit is the next message of the conversation.
func (c *client) commit() chat.Commit {
	st := c.state.Clone()
	now := simBegan.Add(c.sim.now)
	if c.sim.chance(3) {
		now = now.Add(c.sim.between(-time.Hour, time.Hour)) // a clock that was set
	}
	k := chat.Commit{Tenant: c.tenant, Channel: "wa", Conversation: c.place.Conversation, Epoch: c.epoch, Expected: st.Seq, Now: now}
	add := func(e chat.Event) {
		e.Seq, e.Time, e.Tenant, e.Channel, e.Conversation = st.Seq+1, now, c.tenant, "wa", c.place.Conversation
		k.Events = append(k.Events, e)
		st.Apply(e)
	}
	if st.Seq == 0 {
		k.Contact = &chat.Contact{ID: c.place.Contact, Name: "Ada", Addresses: []chat.Address{c.address}}
		k.Claims = []chat.Claim{{Kind: chat.ClaimAddress, Address: c.address}}
		add(chat.Event{Kind: chat.ConversationStarted, Contact: k.Contact})
	}
	seq := st.Seq + 1
	id := chat.MessageIDAt(c.place.Conversation, seq)
	add(chat.Event{Kind: chat.MessageReceived, At: now.Add(2 * time.Second), Deadline: now.Add(time.Minute),
		Message: &chat.Message{ID: id, RemoteID: c.remote(), Direction: chat.DirectionIn, Author: chat.AuthorCustomer,
			Type: chat.TypeText, Text: c.text(), ProviderTime: now, Name: "Ada"}})
	k.Rows = []chat.RemoteRow{{Remote: c.remote(), Conversation: c.place.Conversation, Seq: seq, Message: id, Fresh: true}}
	st.Armed = now.Add(2 * time.Second)
	k.State = &st
	if c.sim.chance(10) {
		k.Reserve = []chat.Reservation{{Counter: "turns/2026-11-01", Amount: 1, Limit: 1 << 40}}
	}
	return k
}

func (c *client) text() string {
	if c.words != "" {
		return c.words
	}
	text := fmt.Sprintf("%d/%d", c.id, c.message)
	if (c.id+c.message)%9 == 0 { // some long ones, so that memtables are flushed
		text += strings.Repeat(" long", 1500)
	}
	return text
}

// say appends the client's message.
func (c *client) say() {
	g := c.group()
	if !c.node.up || c.node.life != c.life {
		c.born = false
		return
	}
	if c.sim.chance(15) {
		// What a delayed activation of an earlier leader does.
		if n := c.sim.leader(g); n != nil && n != c.node {
			c.node, c.life = n, n.life
		}
	}
	if c.sim.chance(8) {
		c.loose()
		if !c.node.up || c.node.life != c.life {
			c.born = false
			return
		}
	}
	if c.sim.chance(30) {
		// A webhook looks whether it knows the message; what it finds is noted.
		row, found, err := c.node.store.Row(c.tenant, "wa", c.remote(), "")
		if err != nil {
			c.sim.violate("client %d: %v", c.id, err)
			return
		}
		if found && row.Conversation != c.place.Conversation {
			c.sim.violate("client %d: a message leads to another conversation", c.id)
		}
	}
	k := c.commit()
	floor := c.sim.book.floor(c.place.Conversation)
	r, err := c.node.store.Append(c.fiber.ctx, k)
	if err != nil {
		if kind := chat.KindOf(err); kind != chat.KindUnavailable && kind != chat.KindNotFound {
			c.sim.violate("client %d: append: %v", c.id, err)
		}
		c.born = false
		return
	}
	c.sim.note("client %d on n%d g%d epoch %d: message %d at %d is %v", c.id, c.node.id, g, k.Epoch, c.message, k.State.Seq, r.Answer)
	switch r.Answer {
	case chat.Applied:
		c.sim.book.acknowledge(c, k, r, floor)
		c.state = *k.State
		c.message++
	case chat.Duplicate:
		c.born = false
		c.sim.total.duplicates++
		if r.Original.Conversation != c.place.Conversation {
			c.sim.violate("client %d: a duplicate of another conversation", c.id)
		}
		if r.Original.Seq != 0 { // of the message itself, not of the address
			c.sim.book.stored(c, r.Original.Seq)
			c.message++
		}
	case chat.Unknown:
		c.sim.total.unknown++
		c.born = false
	case chat.StaleEpoch:
		c.sim.total.stale++
		c.born = false
	case chat.WrongSeq, chat.LimitReached:
		c.born = false
	}
	if r.Answer != chat.Applied && c.sim.chance(50) {
		c.fiber.sleep(c.sim.between(0, 500*time.Millisecond))
	}
}

// loose appends an update that belongs to no conversation and that nothing would
// keep from being applied twice.
func (c *client) loose() {
	now := simBegan.Add(c.sim.now)
	_, err := c.node.store.Append(c.fiber.ctx, chat.Commit{Tenant: c.tenant, Channel: "wa", Epoch: c.epoch, Now: now,
		Events: []chat.Event{{Kind: chat.UpdateReceived, Time: now, Tenant: c.tenant, Channel: "wa",
			Update: &chat.Update{Type: "account_update", Raw: []byte("x")}}}})
	if err != nil && chat.KindOf(err) != chat.KindUnavailable && chat.KindOf(err) != chat.KindNotFound {
		c.sim.violate("client %d: append: %v", c.id, err)
	}
}

// read reads the conversation on any node, behind a confirmed read.
func (c *client) read() {
	n := c.sim.nodes[c.sim.rng.IntN(len(c.sim.nodes))]
	if !n.up {
		return
	}
	g := c.group()
	floor, life := c.sim.book.floors(), n.life
	if err := n.await(c.fiber, &wait{group: g}, 3*time.Second); err != nil || n.life != life || !n.up {
		return
	}
	place, err := n.store.Locate(c.tenant, "wa", []chat.Address{c.address})
	if err != nil {
		c.sim.violate("client %d: cannot locate on n%d: %v", c.id, n.id, err)
		return
	}
	events, err := n.store.Events(c.tenant, place.Conversation, 0, 1<<20)
	if err != nil {
		c.sim.violate("client %d: cannot read on n%d: %v", c.id, n.id, err)
		return
	}
	c.sim.book.read(n, place.Conversation, events, floor[place.Conversation])
}
