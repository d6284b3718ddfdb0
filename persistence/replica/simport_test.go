package replica

import (
	"context"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// simStore is a process's store as its activations see it: nothing of it is there
// when the process is not.
type simStore struct{ *engine }

// ended is a context whose end has come: whoever waits with it only looks.
var ended = func() context.Context {
	ctx, end := context.WithCancel(context.Background())
	end()
	return ctx
}()

var (
	_ actors.Journal    = simStore{}
	_ actors.Histories  = simStore{}
	_ actors.Pairs      = simStore{}
	_ actors.Index      = simStore{}
	_ actors.Contacts   = simStore{}
	_ actors.Barrier    = simStore{}
	_ actors.Leadership = simStore{}
	_ actors.Quarantine = simStore{}
	_ actors.Clock      = simStore{}
	_ actors.Directory  = (*town)(nil)
)

// Append implements actors.Journal.
func (p simStore) Append(ctx context.Context, c chat.Commit) (chat.Receipt, error) {
	if !p.alive() {
		return chat.Receipt{}, errDown
	}
	f, _ := ctx.Value(fiberKey{}).(*fiber)
	if p.town.turns != nil {
		if f.what = whatOf(c.Events); p.hit(f, failpoint.StepDecided, p.Group(c.Tenant), f.what...) {
			return chat.Receipt{}, errDown
		}
	}
	r, err := p.node.store.Append(ctx, c)
	p.town.sim.note("n%d g%d epoch %d: %d events of %.12s to %d are %v %v", p.node.id, p.Group(c.Tenant), c.Epoch, len(c.Events),
		c.Conversation, c.Expected, r.Answer, err)
	switch {
	case r.Answer == chat.Unknown:
		p.town.total.unknown++
	case r.Answer == chat.StaleEpoch:
		p.town.total.stale++
	}
	if p.town.lapse == lapseKeepsState && (r.Answer == chat.StaleEpoch || r.Answer == chat.WrongSeq) {
		r.Answer = chat.Applied
	}
	if g := p.Group(c.Tenant); p.town.turns != nil && r.Answer == chat.Applied && err == nil &&
		(p.hit(f, failpoint.CommitAnswered, g, f.what...) || p.recorded(f, g, c.Events)) {
		return chat.Receipt{}, errDown
	}
	return r, err
}

// AppendBoth implements actors.Pairs. Nobody in the simulated town links contacts.
func (p simStore) AppendBoth(ctx context.Context, c, also chat.Commit) (chat.Receipt, error) {
	if !p.alive() {
		return chat.Receipt{}, errDown
	}
	return p.node.store.AppendBoth(ctx, c, also)
}

// Person implements actors.Contacts.
func (p simStore) Person(t chat.TenantID, id chat.ContactID) (chat.Contact, error) {
	if !p.alive() {
		return chat.Contact{}, errDown
	}
	return p.node.store.Person(t, id)
}

// Load implements actors.Journal.
func (p simStore) Load(t chat.TenantID, c chat.ConversationID) (st chat.Conversation, found bool, err error) {
	if !p.alive() {
		return st, false, errDown
	}
	return p.node.store.Load(t, c)
}

// Events implements actors.Journal.
func (p simStore) Events(t chat.TenantID, c chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error) {
	if !p.alive() {
		return nil, errDown
	}
	return p.node.store.Events(t, c, after, limit)
}

// History implements actors.Histories.
func (p simStore) History(t chat.TenantID, c chat.ConversationID, after, from chat.Seq, limit int) ([]chat.Event, error) {
	if !p.alive() {
		return nil, errDown
	}
	return p.node.store.History(t, c, after, from, limit)
}

// Locate implements actors.Index.
func (p simStore) Locate(t chat.TenantID, ch chat.ChannelID, addresses []chat.Address) (chat.Place, error) {
	if !p.alive() {
		return chat.Place{}, errDown
	}
	return p.node.store.Locate(t, ch, addresses)
}

// Row implements actors.Index.
func (p simStore) Row(t chat.TenantID, ch chat.ChannelID, remote chat.RemoteID, revision string) (r chat.RemoteRow, found bool, err error) {
	if !p.alive() {
		return r, false, errDown
	}
	return p.node.store.Row(t, ch, remote, revision)
}

// Claimed implements actors.Index.
func (p simStore) Claimed(t chat.TenantID, kind chat.ClaimKind, key string) (o chat.Original, found bool, err error) {
	if !p.alive() {
		return o, false, errDown
	}
	return p.node.store.Claimed(t, kind, key)
}

// Contact implements actors.Contacts.
func (p simStore) Contact(t chat.TenantID, id chat.ContactID) (chat.Contact, error) {
	if !p.alive() {
		return chat.Contact{}, errDown
	}
	return p.node.store.Contact(t, id)
}

// Doc implements actors.Documents.
func (p simStore) Doc(t chat.TenantID, noun chat.DocNoun, id string) ([]byte, bool, error) {
	if !p.alive() {
		return nil, false, errDown
	}
	return p.node.store.Doc(t, noun, id)
}

// Docs implements actors.Documents.
func (p simStore) Docs(ctx context.Context, t chat.TenantID, noun chat.DocNoun) ([]chat.Doc, error) {
	if !p.alive() {
		return nil, errDown
	}
	return p.node.store.Docs(ctx, t, noun)
}

// Barrier implements actors.Barrier. The store's own is asked again and again:
// it waits for a goroutine otherwise.
func (p simStore) Barrier(ctx context.Context, t chat.TenantID) error {
	f := ctx.Value(fiberKey{}).(*fiber)
	for range 5000 {
		if !p.alive() {
			return errDown
		}
		if p.node.store.Barrier(ended, t) == nil {
			return nil
		}
		f.sleep(time.Millisecond)
	}
	return errDown
}

// Group implements actors.Leadership.
func (p simStore) Group(t chat.TenantID) chat.Group { return p.node.groupOf(t) }

// Groups implements actors.Leadership.
func (p simStore) Groups() int { return p.town.sim.plan.groups }

// Epoch implements actors.Leadership.
func (p simStore) Epoch(g chat.Group) chat.Epoch {
	if !p.alive() {
		return 0
	}
	return p.node.store.Epoch(g)
}

// Keep implements actors.Quarantine: nothing here is worth it.
func (p simStore) Keep(_ context.Context, _ chat.AppID, reason string, in *chat.Inbound, _ time.Time) error {
	p.town.sim.violate("n%d: quarantined as %s: %+v", p.node.id, reason, *in)
	return nil
}

// Now implements actors.Clock.
func (p simStore) Now() time.Time { return p.now() }

// What follows is for the goroutines of a System, which has none here.

func (p simStore) AfterFunc(time.Duration, func()) func() bool {
	panic("no timer runs in a simulation")
}

func (p simStore) Changed(context.Context, chat.Group, chat.Epoch) chat.Epoch {
	panic("nobody waits for an election in a simulation")
}

func (p simStore) Earliest(context.Context, chat.Group, time.Time) error {
	panic("nobody waits for a row")
}

func (p simStore) Due(chat.Group, time.Time, []byte, int) ([]chat.Owed, []byte, error) {
	panic("the engine reads the agenda itself")
}

func (p simStore) Live(chat.Group, []byte, int) ([]chat.Owed, []byte, error) {
	panic("the engine reads the agenda itself")
}

func (p simStore) Send(context.Context, chat.Outbound) chat.SendOutcome {
	panic("requests go to the simulated Graph")
}
