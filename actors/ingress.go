package actors

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// routesMax is how often the facts of one delivery are led anew after they
// turned out to belong elsewhere. Each change of a person's identifiers within a
// delivery can cost a round; those before it are applied by then and duplicates in
// the next.
const routesMax = 64

// Ingress is the one road into the actors: webhooks, API writes and nothing
// else. Safe for concurrent use.
type Ingress struct {
	sys *System
	// underWay holds the updates being delivered; only a planted bug looks at it.
	underWay sync.Map
}

// Ingress returns the way in.
func (s *System) Ingress() *Ingress { return &Ingress{sys: s} }

// Deliver makes updates durable, in order per conversation. It returns nil iff
// every one is applied, a duplicate of something durable, or quarantined. Any
// error is KindUnavailable: the caller answers 503 and the redelivery is
// absorbed. It waits no longer than ctx and keeps the updates.
func (i *Ingress) Deliver(ctx context.Context, app chat.AppID, updates []chat.Inbound) error {
	if !i.sys.asking.enter() {
		return errDraining
	}
	defer i.sys.asking.leave()
	if failpoint.Planted(failpoint.BugDuplicateNotDurable) {
		first := string(updates[0].Remote) + updates[0].Type
		if _, early := i.underWay.LoadOrStore(first, true); early {
			return nil
		}
		defer i.underWay.Delete(first)
	}
	if failpoint.Planted(failpoint.BugBatchTailDropped) && len(updates) > 1 {
		updates = updates[:1]
	}
	if err := i.bring(ctx, app, updates); err != nil {
		return i.unavailable(len(updates), err)
	}
	return nil
}

// bring brings updates to where they belong: this node, or those that lead their
// groups.
func (i *Ingress) bring(ctx context.Context, app chat.AppID, updates []chat.Inbound) error {
	if i.sys.opt.Peers == nil {
		return i.bringHere(ctx, app, updates)
	}
	shares, err := i.shares(ctx, app, updates)
	if err != nil {
		return err
	}
	for _, s := range shares {
		if err := i.bringShare(ctx, app, s); err != nil {
			return err
		}
	}
	return nil
}

// share is the part of a delivery that one node can make durable.
type share struct {
	group chat.Group
	// homeless updates belong to no tenant; any node quarantines them.
	homeless bool
	updates  []chat.Inbound
}

// shares sorts updates by group and keeps their order within each.
func (i *Ingress) shares(ctx context.Context, app chat.AppID, updates []chat.Inbound) (list []share, err error) {
	d := delivery{sys: i.sys, ctx: ctx, app: app}
	for n := range updates {
		s := share{homeless: true}
		if updates[n].Problem == "" {
			ch, found, err := d.resolve(&updates[n])
			if err != nil {
				return nil, err
			}
			if found {
				s = share{group: i.sys.opt.Leadership.Group(ch.Tenant)}
			}
		}
		at := slices.IndexFunc(list, func(l share) bool { return l.group == s.group && l.homeless == s.homeless })
		switch {
		case at >= 0:
			list[at].updates = append(list[at].updates, updates[n])
			continue
		case n == 0:
			// Most deliveries have one share: it is the delivery itself, and grows
			// over its own memory.
			s.updates = updates[:1]
		default:
			s.updates = []chat.Inbound{updates[n]}
		}
		list = append(list, s)
	}
	return list, nil
}

// hereTryMax is how often a node without peers begins a delivery: a conversation goes
// on without its activation when its contact is linked with another, and the next
// activation takes it up.
const hereTryMax = 8

// bringHere delivers on the only node. What is durable already is a duplicate.
func (i *Ingress) bringHere(ctx context.Context, app chat.AppID, updates []chat.Inbound) error {
	pauseMax := insistMin
	for try := 1; ; try++ {
		err := i.here(ctx, app, updates)
		if err == nil || chat.KindOf(err) != chat.KindFenced || try == hereTryMax ||
			!pause(ctx, i.sys.opt.Clock, jittered(pauseMax, i.sys.opt.Rand)) {
			return err
		}
		pauseMax = min(2*pauseMax, insistMax)
	}
}

// bringShare delivers a share until it is durable, also when leadership moves
// meanwhile, or until ctx ends. What is durable already is a duplicate.
func (i *Ingress) bringShare(ctx context.Context, app chat.AppID, s share) error {
	pauseMax := insistMin
	for {
		var err error
		if s.homeless || i.sys.opt.Leadership.Epoch(s.group) != 0 {
			err = i.here(ctx, app, s.updates)
		} else {
			err = i.sys.bridge.deliver(ctx, s.group, app, s.updates)
		}
		if err == nil || !repeatable(err) || !pause(ctx, i.sys.opt.Clock, jittered(pauseMax, i.sys.opt.Rand)) {
			return err
		}
		pauseMax = min(2*pauseMax, lookEvery)
	}
}

// repeatable reports whether a delivery that failed may find its way when it is
// led anew.
func repeatable(err error) bool {
	switch chat.KindOf(err) {
	case chat.KindFenced, chat.KindUnknown:
		return true
	}
	return false
}

// here makes updates durable on this node.
func (i *Ingress) here(ctx context.Context, app chat.AppID, updates []chat.Inbound) error {
	var few [1]*mail
	d := delivery{sys: i.sys, ctx: ctx, app: app, began: i.sys.opt.Clock.Now(), mails: few[:0]}
	for n := range updates {
		at := n
		if failpoint.Planted(failpoint.BugBatchReversed) {
			at = len(updates) - 1 - n
		}
		if err := d.lead(&updates[at]); err != nil {
			return err
		}
	}
	for range routesMax {
		again, err := d.exchange()
		if err != nil {
			return err
		}
		if len(again) == 0 {
			return nil
		}
		for _, m := range again {
			if err := d.relead(m); err != nil {
				return err
			}
		}
	}
	return errMoved
}

func (i *Ingress) unavailable(n int, err error) error {
	i.sys.met.Actors.Inbound.WithLabelValues("unavailable").Add(float64(n))
	return chat.E("ingress.Deliver", chat.KindUnavailable, "not everything is durable; deliver again", err)
}

// Send queues a message of a member. The verdict is durable when the error is
// nil; after KindUnknown or KindUnavailable repeat with the same key. A file that a
// customer sent goes as a copy of the tenant's own.
func (i *Ingress) Send(ctx context.Context, t chat.TenantID, id chat.ConversationID, m chat.MemberSend) (chat.Verdict, error) {
	own, refused, err := i.forwarded(ctx, t, m.Content)
	switch {
	case refused:
		return errForwarded, nil
	case err != nil:
		return chat.Verdict{}, err
	}
	m.Content = own
	return i.command(ctx, t, id, m)
}

// TakeOver gives the conversation to a member. It returns when no attempt of
// the assistant is under way any more.
func (i *Ingress) TakeOver(ctx context.Context, t chat.TenantID, id chat.ConversationID, m chat.TakeOver) (chat.Verdict, error) {
	return i.command(ctx, t, id, m)
}

// HandBack returns the conversation to the assistant.
func (i *Ingress) HandBack(ctx context.Context, t chat.TenantID, id chat.ConversationID, m chat.HandBack) (chat.Verdict, error) {
	return i.command(ctx, t, id, m)
}

func (i *Ingress) command(ctx context.Context, t chat.TenantID, id chat.ConversationID, fact chat.Fact) (chat.Verdict, error) {
	if !i.sys.asking.enter() {
		return chat.Verdict{}, errDraining
	}
	defer i.sys.asking.leave()
	if _, _, ok := chat.MessageIDAt(id, 1).Parse(); !ok || chat.ConversationIDFrom(id.Body()) != id {
		return chat.Verdict{}, chat.E("ingress", chat.KindNotFound, "no such conversation", nil)
	}
	a := i.sys.ask(ctx, &mail{tenant: t, group: i.sys.opt.Leadership.Group(t), conversation: id,
		exists: true, items: []item{{fact: fact}}})
	if a.err != nil {
		return chat.Verdict{}, a.err
	}
	return a.verdicts[0], nil
}

// delivery leads the updates of one delivery to their conversations. Used by one
// goroutine.
type delivery struct {
	sys *System
	ctx context.Context
	app chat.AppID
	// began is when the delivery did.
	began time.Time

	// mails of the next exchange, in order of first appearance. Once they are many,
	// byConversation finds them.
	mails          []*mail
	byConversation map[destination]*mail
	// channel is of the latest update: those of one POST mostly share it.
	channel       chat.Channel
	kind          chat.ChannelKind
	account, waba string
}

// lead puts one update into the mail of its conversation, or into quarantine.
func (d *delivery) lead(in *chat.Inbound) error {
	if in.Problem != "" {
		return d.quarantine(in.Problem, in)
	}
	ch, found, err := d.resolve(in)
	switch {
	case err != nil:
		return err
	case !found:
		return d.quarantine("unknown_account", in)
	}
	return d.place(in, ch, true)
}

// resolve finds the channel of an update. What this node does not know is looked
// for again behind a linearizable read: another may have bound it just now.
func (d *delivery) resolve(in *chat.Inbound) (ch chat.Channel, found bool, err error) {
	if d.channel.ID != "" && d.kind == in.ChannelKind && d.account == in.Account && d.waba == in.WABA {
		return d.channel, true, nil
	}
	directory := d.sys.opt.Directory
	if ch, found = directory.Channel(d.app, in.ChannelKind, in.Account, in.WABA); !found && d.sys.opt.Refresher != nil {
		if err := d.sys.opt.Refresher.Refresh(d.ctx); err != nil {
			return ch, false, err
		}
		ch, found = directory.Channel(d.app, in.ChannelKind, in.Account, in.WABA)
	}
	if found {
		d.channel, d.kind, d.account, d.waba = ch, in.ChannelKind, in.Account, in.WABA
	}
	return ch, found, nil
}

func (d *delivery) quarantine(reason string, in *chat.Inbound) error {
	d.sys.met.Actors.Inbound.WithLabelValues("quarantined").Inc()
	return d.sys.opt.Quarantine.Keep(d.ctx, d.app, reason, in, d.sys.opt.Clock.Now())
}

// place finds the conversation of an update: that of its message for a report,
// otherwise that of its person, otherwise none.
func (d *delivery) place(in *chat.Inbound, ch chat.Channel, trustCallback bool) error {
	it := item{fact: in}
	if in.Kind == chat.InboundStatus {
		if id, _, ok := chat.MessageID(in.Callback).Parse(); ok && trustCallback {
			it.byCallback = true
			d.put(ch, id, it)
			return nil
		}
		if in.Remote != "" {
			row, found, err := d.sys.opt.Index.Row(ch.Tenant, ch.ID, in.Remote, "")
			if err != nil {
				return err
			}
			if found && row.Conversation != "" {
				d.put(ch, row.Conversation, it)
				return nil
			}
		}
	}
	if target := in.Target(); target != "" {
		// What happens to a message belongs where the message is: its writer may have
		// another number by now.
		row, found, err := d.sys.opt.Index.Row(ch.Tenant, ch.ID, target, "")
		if err != nil {
			return err
		}
		if found && row.Conversation != "" {
			d.put(ch, row.Conversation, it)
			return nil
		}
	}
	if !routable(in.Customer) {
		d.put(ch, "", it)
		return nil
	}
	p, err := d.sys.opt.Index.Locate(ch.Tenant, ch.ID, in.Customer)
	if err != nil {
		return err
	}
	if in.TooLate(p) {
		d.sys.met.Actors.Inbound.WithLabelValues("erased").Inc()
		return nil
	}
	if !p.Found && in.OfAddressBook() {
		d.put(ch, "", it)
		return nil
	}
	it.place, it.located = p, true
	d.put(ch, p.Conversation, it)
	return nil
}

func routable(addresses []chat.Address) bool {
	for _, a := range addresses {
		if a.Routable() {
			return true
		}
	}
	return false
}

// mailsScanned is how many mails are looked through for the one of an update. A body
// of 1,000 updates may be for 1,000 conversations.
const mailsScanned = 16

// destination tells the mails of one delivery apart.
type destination struct {
	channel      chat.ChannelID
	conversation chat.ConversationID
}

// mailOf returns the mail for a conversation, nil when there is none yet.
func (d *delivery) mailOf(to destination) *mail {
	if d.byConversation != nil {
		return d.byConversation[to]
	}
	for n := len(d.mails) - 1; n >= 0; n-- {
		if m := d.mails[n]; m.conversation == to.conversation && m.channel == to.channel {
			return m
		}
	}
	return nil
}

// put appends an item to the mail of its conversation.
func (d *delivery) put(ch chat.Channel, id chat.ConversationID, it item) {
	to := destination{ch.ID, id}
	if m := d.mailOf(to); m != nil {
		m.items = append(m.items, it)
		return
	}
	m := &mail{tenant: ch.Tenant, group: d.sys.opt.Leadership.Group(ch.Tenant),
		channel: ch.ID, kind: ch.Kind, conversation: id, one: [1]item{it}}
	m.items = m.one[:]
	if d.sys.opt.Tracer != nil {
		m.read, m.led = webhookOf(d.ctx, d.began), d.began
	}
	d.mails = append(d.mails, m)
	switch {
	case d.byConversation != nil:
		d.byConversation[to] = m
	case len(d.mails) > mailsScanned:
		d.byConversation = make(map[destination]*mail, 2*len(d.mails))
		for _, m := range d.mails {
			d.byConversation[destination{m.channel, m.conversation}] = m
		}
	}
}

// exchange posts the mails and waits for every answer. Mails whose facts belong
// elsewhere come back; any other failure is returned after all have answered.
func (d *delivery) exchange() (again []*mail, err error) {
	mails := d.mails
	d.mails, d.byConversation = nil, nil
	in := d.sys.takeInbox(len(mails))
	for _, m := range mails {
		m.to = in
		d.sys.post(m)
	}
	for range mails {
		select {
		case a := <-in:
			switch {
			case elsewhere(a.err):
				again = append(again, a.mail)
			case a.err != nil:
				err = a.err
			case a.mail.conversation != "" && inboundOf(a.mail.items[0].fact).Kind == chat.InboundMessage:
				d.sys.laps.received(a.mail.conversation, d.sys.opt.Clock.Now().Sub(d.began))
			}
		case <-d.ctx.Done():
			for _, m := range mails {
				m.gone.Store(true)
			}
			return nil, context.Cause(d.ctx)
		}
	}
	d.sys.giveInbox(in)
	return again, err
}

// relead leads the facts of a mail anew, without trusting callback data: the
// conversation it named does not exist.
func (d *delivery) relead(m *mail) error {
	for n := range m.items {
		in := inboundOf(m.items[n].fact)
		ch, found, err := d.resolve(in)
		if err != nil {
			return err
		}
		if !found {
			return errMoved
		}
		if err := d.place(in, ch, false); err != nil {
			return err
		}
	}
	return nil
}
