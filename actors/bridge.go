package actors

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/actors/mailpb"
	"github.com/chumiai/chumi/chat"
)

const (
	// mailBytesMax is what one mail to another node may hold: the peer port takes
	// 256 KB, names and addresses included.
	mailBytesMax = 240 << 10
	// lookEvery is how often a delivery that waits for another node looks whether
	// that still leads; answerWait is when it no longer expects an answer.
	lookEvery  = 100 * time.Millisecond
	answerWait = 2 * time.Second
	// answersName is the process that answers of other nodes are addressed to.
	answersName = "answers"
)

// routerName is what the router of a group is called, on every node.
func routerName(g chat.Group) string { return "part-" + strconv.Itoa(int(g)) }

// bridge brings deliveries to the routers of other nodes, and those of other
// nodes to this one's ingress. Safe for concurrent use.
//
// A delivery is at most once on its way and repeated by who waits for it: updates
// that are durable already are duplicates. It is an actor.Process, because an
// answer needs no actor of its own: it completes whoever waits.
type bridge struct {
	sys *System
	pid *actor.PID

	mu sync.Mutex // guards the fields below
	// waiting are those who wait for answers, by number; each has room for one.
	waiting map[uint64]chan *mailpb.Delivered
	// last is the latest number. It begins at Options.Boot: an answer to an earlier
	// process, of which some wait in other nodes when this one starts, must not
	// make a delivery of this one durable.
	last uint64
}

func newBridge(s *System) *bridge {
	return &bridge{sys: s, waiting: map[uint64]chan *mailpb.Delivered{}, last: s.opt.Boot}
}

// open makes the process known to its system.
func (b *bridge) open() {
	b.sys.lib.ProcessRegistry.Add(b, answersName)
	b.pid = actor.NewPID(b.sys.opt.Peers.Address(b.sys.opt.Node), answersName)
}

// deliver brings updates of one group to the node that leads it. An error of
// KindFenced means that another try may find the right one.
func (b *bridge) deliver(ctx context.Context, g chat.Group, app chat.AppID, updates []chat.Inbound) error {
	node := b.sys.opt.Leaders.Leader(g)
	switch node {
	case 0:
		return errUnled
	case b.sys.opt.Node:
		return errFenced // it leads, and has not taken office yet
	}
	if !b.sys.opt.Places.Acquire(node) {
		return errBusy
	}
	defer b.sys.opt.Places.Release(node)
	d := &mailpb.Deliver{App: []byte(app)}
	size := 0
	for i := range updates {
		in := inboundMail(&updates[i])
		n := proto.Size(in) + 8
		if size+n > mailBytesMax && len(d.Updates) > 0 {
			if err := b.request(ctx, node, g, d, size); err != nil {
				return err
			}
			d, size = &mailpb.Deliver{App: d.App}, 0
		}
		d.Updates = append(d.Updates, in)
		size += n
	}
	return b.request(ctx, node, g, d, size)
}

// request makes one request and waits for its answer.
func (b *bridge) request(ctx context.Context, node chat.NodeID, g chat.Group, d *mailpb.Deliver, size int) error {
	d.WithinMs = b.within(ctx)
	if size > mailBytesMax {
		return b.call(ctx, node, g, d)
	}
	answered := b.expect(d)
	defer b.forget(d.Number)
	b.sys.root.RequestWithCustomSender(actor.NewPID(b.sys.opt.Peers.Address(node), routerName(g)),
		&mailpb.Mail{Kind: &mailpb.Mail_Deliver{Deliver: d}}, b.pid)
	look := make(chan struct{}, 1)
	for waited := time.Duration(0); ; waited += lookEvery {
		stop := b.sys.opt.Clock.AfterFunc(lookEvery, func() { look <- struct{}{} })
		select {
		case a := <-answered:
			stop()
			return b.outcome(g, node, a)
		case <-ctx.Done():
			stop()
			return chat.E("actors", chat.KindUnavailable, "no answer of the group's leader in time", context.Cause(ctx))
		case <-look:
		}
		leader := b.sys.opt.Leaders.Leader(g)
		if leader != node {
			return errNotOwner
		}
		if waited >= answerWait {
			b.sys.opt.Leaders.Misled(g, node, 0)
			return errSilent
		}
	}
}

// call is request for what no mail can hold.
func (b *bridge) call(ctx context.Context, node chat.NodeID, g chat.Group, d *mailpb.Deliver) error {
	body, err := proto.Marshal(d)
	if err != nil {
		return chat.E("actors", chat.KindOther, "a delivery cannot be encoded", err)
	}
	text, err := b.sys.opt.Peers.Call(ctx, node, g, body)
	if err != nil {
		return err
	}
	var a mailpb.Delivered
	if err := proto.Unmarshal(text, &a); err != nil {
		return chat.E("actors", chat.KindOther, "the answer of another node is unreadable", err)
	}
	return b.outcome(g, node, &a)
}

// within is how long ctx leaves, in milliseconds.
func (b *bridge) within(ctx context.Context) uint32 {
	deadline, ok := ctx.Deadline()
	if !ok {
		return uint32(insistWait.Milliseconds())
	}
	return uint32(max(deadline.Sub(b.sys.opt.Clock.Now()).Milliseconds(), 1)) // #nosec G115 -- hours at most
}

// outcome turns an answer into what deliver returns.
func (b *bridge) outcome(g chat.Group, node chat.NodeID, a *mailpb.Delivered) error {
	switch a.GetOutcome() {
	case mailpb.Delivered_DURABLE:
		return nil
	case mailpb.Delivered_NOT_OWNER:
		b.sys.opt.Leaders.Misled(g, node, chat.NodeID(a.GetLeader()))
		return errNotOwner
	case mailpb.Delivered_REFUSED, mailpb.Delivered_UNSPECIFIED:
	}
	return chat.E("actors", chat.ErrorKind(a.GetKind()), "the group's leader could not make everything durable", nil) // #nosec G115
}

// expect numbers a request and returns where its answer will come.
func (b *bridge) expect(d *mailpb.Deliver) <-chan *mailpb.Delivered {
	c := make(chan *mailpb.Delivered, 1)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last++
	d.Number = b.last
	b.waiting[d.Number] = c
	return c
}

func (b *bridge) forget(number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, number)
}

// answered completes who waits for a.
func (b *bridge) answered(a *mailpb.Delivered) {
	b.mu.Lock()
	c := b.waiting[a.GetNumber()]
	delete(b.waiting, a.GetNumber())
	b.mu.Unlock()
	if c != nil {
		c <- a
	}
}

// undelivered completes who waits for an answer to mail that did not leave.
func (b *bridge) undelivered(m *mailpb.Mail) {
	if d := m.GetDeliver(); d != nil {
		b.answered(&mailpb.Delivered{Number: d.GetNumber(), Outcome: mailpb.Delivered_NOT_OWNER})
	}
}

// SendUserMessage takes an answer of another node.
func (b *bridge) SendUserMessage(_ *actor.PID, message any) {
	if m, ok := actor.UnwrapEnvelopeMessage(message).(*mailpb.Mail); ok && m.GetDelivered() != nil {
		b.answered(m.GetDelivered())
	}
}

// SendSystemMessage does nothing: nobody watches a process that never ends.
func (b *bridge) SendSystemMessage(*actor.PID, any) {}

// Stop does nothing.
func (b *bridge) Stop(*actor.PID) {}

// asked takes mail of another node to the router of g. It does not block.
func (b *bridge) asked(g chat.Group, from *actor.PID, m *mailpb.Mail) {
	d := m.GetDeliver()
	if d == nil || from == nil {
		return
	}
	answer := func(a *mailpb.Delivered) {
		b.sys.root.Send(from, &mailpb.Mail{Kind: &mailpb.Mail_Delivered{Delivered: a}})
	}
	if b.sys.opt.Leadership.Epoch(g) == 0 || !b.sys.workers.run(func() { answer(b.answer(b.sys.life, g, d)) }) {
		answer(b.notOwner(g, d))
	}
}

// answer makes a delivery of another node durable, here and nowhere else.
func (b *bridge) answer(ctx context.Context, g chat.Group, d *mailpb.Deliver) *mailpb.Delivered {
	if b.sys.opt.Leadership.Epoch(g) == 0 || len(d.GetUpdates()) == 0 || !b.sys.asking.enter() {
		return b.notOwner(g, d)
	}
	defer b.sys.asking.leave()
	app := chat.AppID(d.GetApp())
	updates := make([]chat.Inbound, len(d.GetUpdates()))
	for i, in := range d.GetUpdates() {
		updates[i] = inboundFrom(app, in)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer b.sys.opt.Clock.AfterFunc(time.Duration(d.GetWithinMs())*time.Millisecond, cancel)()
	err := b.sys.Ingress().here(ctx, app, updates)
	switch {
	case err == nil:
		return &mailpb.Delivered{Number: d.GetNumber(), Outcome: mailpb.Delivered_DURABLE}
	case repeatable(err):
		return b.notOwner(g, d)
	}
	return &mailpb.Delivered{Number: d.GetNumber(), Outcome: mailpb.Delivered_REFUSED, Kind: uint32(chat.KindOf(err))}
}

func (b *bridge) notOwner(g chat.Group, d *mailpb.Deliver) *mailpb.Delivered {
	return &mailpb.Delivered{Number: d.GetNumber(), Outcome: mailpb.Delivered_NOT_OWNER, Leader: uint64(b.sys.opt.Leaders.Leader(g))}
}

// Answer is the other end of Peers.Call: it takes a request of another node about
// group g and returns the answer.
func (s *System) Answer(ctx context.Context, g chat.Group, request []byte) ([]byte, error) {
	var d mailpb.Deliver
	if err := proto.Unmarshal(request, &d); err != nil || int(g) >= len(s.routers) {
		return nil, chat.E("actors.Answer", chat.KindInvalid, "a delivery of another node is unreadable", err)
	}
	return proto.Marshal(s.bridge.answer(ctx, g, &d))
}
