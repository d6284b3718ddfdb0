package actors

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Presence tells customers that their messages were read and that an answer is
// being written. What it tells is no message: it is in no journal and never repeated.
type Presence interface {
	// Show tells it once, as well as it can, within ctx.
	Show(ctx context.Context, s chat.Sign) error
}

const (
	// typingAfter is how long a turn runs before it shows anything: a sign that came
	// after a quick answer would stand there for 25 s.
	typingAfter = 500 * time.Millisecond
	// typingEvery is when a turn that still runs shows again that it writes: the
	// phone stops showing it after 25 s.
	typingEvery = 20 * time.Second
	// signMax bounds one request, signsMax those under way: above it signs are
	// dropped, so that a slow Graph costs no memory.
	signMax  = 5 * time.Second
	signsMax = 256
)

// show tells a customer something, on a goroutine of its own, unless ctx ends
// before. It never blocks.
func (s *System) show(ctx context.Context, sign chat.Sign) {
	if s.opt.Presence == nil || sign.Message == "" || s.held(sign.Channel.Tenant) {
		return
	}
	select {
	case s.signs <- struct{}{}:
	default:
		s.met.Graph.Signs.WithLabelValues("dropped").Inc()
		return
	}
	running := s.workers.run(func() {
		defer func() { <-s.signs }()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer s.opt.Clock.AfterFunc(signMax, cancel)()
		word := "shown"
		if s.opt.Presence.Show(ctx, sign) != nil {
			word = "failed"
		}
		s.met.Graph.Signs.WithLabelValues(word).Inc()
	})
	if !running {
		<-s.signs
	}
}

// signTo is the sign about a message of a customer; ok is false where none can go.
func (s *System) signTo(t chat.TenantID, channel chat.ChannelID, contact chat.ContactID, message chat.RemoteID) (sign chat.Sign, ok bool) {
	ch, found := s.inUse(channel)
	if !found || message == "" {
		return sign, false
	}
	c, err := s.opt.Contacts.Contact(t, contact)
	if err != nil {
		return sign, false
	}
	to, found := c.Recipient()
	return chat.Sign{Channel: ch, To: to, Message: message}, found
}

// typing shows the customer of a turn that it writes, again and again until the
// returned function is called. Only who will be answered is shown anything: it also
// marks the messages as read.
func (t *turns) typing(c *call, events []chat.Event) (stop func()) {
	if t.sys.opt.Presence == nil || !t.sys.opt.Directory.Settings(c.tenant).Typing {
		return func() {}
	}
	message := remoteAt(events, c.effect.UpTo)
	if message == "" {
		return func() {}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	var later func(time.Duration)
	later = func(d time.Duration) {
		halt := t.sys.opt.Clock.AfterFunc(d, func() {
			if ctx.Err() != nil {
				return
			}
			// Most answers are there before anybody is shown anything.
			if sign, ok := t.sys.signTo(c.tenant, c.channel, c.contact, message); ok {
				sign.Typing = true
				t.sys.show(ctx, sign)
				later(typingEvery)
			}
		})
		context.AfterFunc(ctx, func() { halt() })
	}
	later(typingAfter)
	return cancel
}

// remoteAt is Meta's id of the customer message at seq.
func remoteAt(events []chat.Event, seq chat.Seq) chat.RemoteID {
	for i := len(events) - 1; i >= 0; i-- {
		if e := &events[i]; e.Seq == seq && e.Kind == chat.MessageReceived {
			return e.Message.RemoteID
		}
	}
	return ""
}

// readBack is how far back the customer's latest message is looked for.
const readBack = 256

// MarkRead asks Meta to mark the customer's latest message as read, and with it all
// before. It returns that message, "" when there is none; what Meta makes of it is
// not waited for.
func (i *Ingress) MarkRead(_ context.Context, t chat.TenantID, id chat.ConversationID) (chat.RemoteID, error) {
	const op = "ingress.MarkRead"
	state, found, err := i.sys.opt.Journal.Load(t, id)
	if err != nil {
		return "", err
	}
	if !found {
		return "", chat.E(op, chat.KindNotFound, "no such conversation", nil)
	}
	from := chat.Seq(0)
	if state.Seq > readBack {
		from = state.Seq - readBack
	}
	events, err := i.sys.opt.Journal.Events(t, id, from, readBack)
	if err != nil {
		return "", err
	}
	for n := len(events) - 1; n >= 0; n-- {
		e := &events[n]
		if e.Kind != chat.MessageReceived || e.Message.Group != "" || e.Message.RemoteID == "" {
			continue
		}
		if sign, ok := i.sys.signTo(t, state.Channel, state.Contact, e.Message.RemoteID); ok {
			i.sys.show(i.sys.life, sign)
		}
		return e.Message.RemoteID, nil
	}
	return "", nil
}
