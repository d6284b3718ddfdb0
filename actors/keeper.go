package actors

import (
	"context"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// keepEvery is how often the keeper looks at every channel.
	keepEvery = time.Minute
	// keepTogether bounds the channels whose duties are done at the same time.
	keepTogether = 8
	// dutyTimeout bounds the duties of one channel.
	dutyTimeout = 2 * time.Minute
	// keepPauseMax caps the pause of a channel whose duties fail; it doubles from
	// one minute.
	keepPauseMax = time.Hour
	// templatesPerFact bounds the templates of one commit.
	templatesPerFact = 50
)

// keeper does what channels are due for: it asks Meta how they stand, replaces
// their tokens ahead of their end, and fetches their templates. What is due follows
// from the channel's state (chat.ChannelState.Duties), which is durable: a crash
// forgets nothing. It looks after tenants whose group this node leads, so one node
// does; while leadership moves two may, which costs a request.
//
// Tried and dropped: a row of the agenda per channel. A due time that follows from
// a document needs no row, and a tenant has few channels.
type keeper struct {
	sys   *System
	slots chan struct{}

	mu sync.Mutex // guards the fields below
	// busy are channels whose duties are being done; failing are those that failed.
	busy    map[chat.ChannelID]bool
	failing map[chat.ChannelID]setback
}

// setback is a channel whose duties failed: when to try again, and the pause then.
type setback struct {
	until time.Time
	pause time.Duration
}

func newKeeper(s *System) *keeper {
	return &keeper{sys: s, slots: make(chan struct{}, keepTogether),
		busy: make(map[chat.ChannelID]bool), failing: make(map[chat.ChannelID]setback)}
}

// run looks after channels until the walkers stop.
func (k *keeper) run() {
	// Simulated channels are for looking at, at once.
	k.look(func(ch chat.Channel) bool { return ch.Simulated })
	for pause(k.sys.walk, k.sys.opt.Clock, keepEvery/2+jittered(keepEvery, k.sys.opt.Rand)/2) {
		k.look(func(chat.Channel) bool { return true })
	}
}

// look starts what is due now for some channels and does not wait for it.
func (k *keeper) look(at func(chat.Channel) bool) {
	s := k.sys
	now := s.opt.Clock.Now()
	var seen standings
	defer func() { seen.report(s.met) }()
	for _, t := range s.opt.Registry.Tenants() {
		if s.opt.Leadership.Epoch(s.opt.Leadership.Group(t.ID)) == 0 || s.held(t.ID) {
			continue
		}
		channels := s.opt.Registry.Channels(t.ID)
		for i, ch := range channels {
			st := s.standing(ch)
			seen.add(&st, now)
			if !at(ch) || ch.Disconnected != 0 {
				continue
			}
			k.note(ch)
			duty := st.Duties(ch.Kind, firstOfWABA(channels[:i], ch), now)
			if duty != 0 && ch.Token != "" && k.claim(ch.ID, now) {
				select {
				case k.slots <- struct{}{}:
				case <-s.walk.Done():
					k.settle(ch.ID, nil)
					return
				}
				if !s.workers.run(func() { k.work(ch, st, duty) }) {
					return
				}
			}
		}
	}
}

// firstOfWABA tells whether ch is the first channel of its WABA, given those
// before it.
func firstOfWABA(before []chat.Channel, ch chat.Channel) bool {
	for i := range before {
		if before[i].WABA == ch.WABA && before[i].App == ch.App && before[i].Disconnected == 0 {
			return false
		}
	}
	return ch.WABA != ""
}

// claim takes a channel unless somebody works on it or it failed just now.
func (k *keeper) claim(id chat.ChannelID, now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy[id] || now.Before(k.failing[id].until) {
		return false
	}
	k.busy[id] = true
	return true
}

// settle gives a channel back.
func (k *keeper) settle(id chat.ChannelID, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.busy, id)
	if err == nil {
		delete(k.failing, id)
		return
	}
	f := k.failing[id]
	f.pause = min(max(2*f.pause, keepEvery), keepPauseMax)
	f.until = k.sys.opt.Clock.Now().Add(f.pause)
	k.failing[id] = f
}

// work does the duties of one channel.
func (k *keeper) work(ch chat.Channel, st chat.ChannelState, duty chat.Duty) {
	defer func() { <-k.slots }()
	s := k.sys
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	stop := s.opt.Clock.AfterFunc(dutyTimeout, cancel)
	defer stop()
	err := s.keep(ctx, ch, st, duty)
	if err != nil && ctx.Err() == nil {
		s.opt.Logger.Warn("a channel could not be looked after", "channel", ch.ID, "err", err)
	}
	k.settle(ch.ID, err)
}

// note writes down, about once an hour, that webhooks of a channel come in.
func (k *keeper) note(ch chat.Channel) {
	s := k.sys
	if s.opt.Sightings == nil {
		return
	}
	at := s.opt.Sightings.Sighting(ch).Account.Truncate(time.Hour)
	if st := s.standing(ch); at.After(st.Heard) {
		s.workers.run(func() { s.tell(ch, chat.ChannelHeard{Channel: ch.ID, At: at}) })
	}
}

// keep does duties in the order in which one may make the next possible.
func (s *System) keep(ctx context.Context, ch chat.Channel, st chat.ChannelState, duty chat.Duty) error {
	if duty&chat.DutyExpire != 0 {
		ended := chat.TokenReport{Digest: chat.TokenDigest(ch.Token), Expires: st.TokenExpires}
		if err := s.learn(ctx, ch, chat.ChannelReport{Token: &ended}); err != nil {
			return err
		}
	}
	if duty&chat.DutyRefresh != 0 {
		fresh, err := s.refreshToken(ctx, ch)
		if err != nil {
			return err
		}
		ch = fresh
	}
	if duty&chat.DutyCheck != 0 {
		if err := s.check(ctx, ch); err != nil {
			return err
		}
	}
	if duty&chat.DutyTemplates != 0 {
		return s.fetchTemplates(ctx, ch)
	}
	return nil
}

// learn makes a report durable.
func (s *System) learn(ctx context.Context, ch chat.Channel, r chat.ChannelReport) error {
	return s.ask(ctx, s.about(ch, chat.ChannelChecked{Channel: ch.ID, Report: r})).err
}

// check asks Meta about a channel and makes the answers durable, also those that
// came when others did not.
func (s *System) check(ctx context.Context, ch chat.Channel) error {
	report, failed := s.opt.Accounts.Check(ctx, ch)
	if report != (chat.ChannelReport{}) {
		if err := s.learn(ctx, ch, report); err != nil {
			return err
		}
	}
	return failed
}

// refreshToken replaces a channel's token by one that ends later. A crash before
// the new one is stored leaves the old one, which is as good as before.
func (s *System) refreshToken(ctx context.Context, ch chat.Channel) (chat.Channel, error) {
	token, expires, err := s.opt.Accounts.Refresh(ctx, ch)
	if err != nil {
		failed := chat.TokenReport{Digest: chat.TokenDigest(ch.Token), RefreshFailed: true}
		if g := chat.GraphErrorOf(err); g != nil && g.Reason == "token_invalid" {
			failed = chat.TokenReport{Digest: failed.Digest, Invalid: "token_invalid"}
		}
		if err := s.learn(ctx, ch, chat.ChannelReport{Token: &failed}); err != nil {
			return ch, err
		}
		return ch, err
	}
	if err := s.opt.Registry.ReplaceToken(ctx, ch.ID, ch.Token, token); err != nil {
		return ch, err
	}
	ch.Token = token
	fresh := chat.TokenReport{Digest: chat.TokenDigest(token), Issued: s.opt.Clock.Now().UTC(), Expires: expires,
		Scopes: s.standing(ch).TokenScopes}
	return ch, s.learn(ctx, ch, chat.ChannelReport{Token: &fresh})
}

// fetchTemplates makes the stored templates of a WABA those that Meta has.
func (s *System) fetchTemplates(ctx context.Context, ch chat.Channel) error {
	now := s.opt.Clock.Now().UTC().Truncate(time.Millisecond)
	list, err := s.opt.Accounts.Templates(ctx, ch)
	if err != nil {
		return err
	}
	here := make(map[string]bool, len(list))
	for i := range list {
		list[i].WABA, list[i].Fetched = ch.WABA, now
		here[chat.TemplateKey(ch.WABA, list[i].Name, list[i].Language)] = true
	}
	docs, err := s.opt.Documents.Docs(ctx, ch.Tenant, chat.DocTemplate)
	if err != nil {
		return err
	}
	var gone []string
	for _, d := range docs {
		if t, ok := chat.TemplateFrom(d); ok && t.WABA == ch.WABA && !here[d.ID] {
			gone = append(gone, d.ID)
		}
	}
	for last := false; !last; {
		part := chat.TemplatesFetched{Channel: ch.ID}
		part.Templates, list = cut(list)
		part.Gone, gone = cut(gone)
		last = len(list) == 0 && len(gone) == 0
		part.Last = last
		if err := s.ask(ctx, s.about(ch, part)).err; err != nil {
			return err
		}
	}
	return nil
}

// cut takes the next templatesPerFact of a list.
func cut[T any](list []T) (part, rest []T) {
	n := min(len(list), templatesPerFact)
	return list[:n], list[n:]
}
