package replica

import (
	"fmt"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

const townApp = chat.AppID("meta")

var townInstruments = metrics.New(nil)

// town is what the cluster serves: businesses with their channels, customers who
// write, and Graph. An engine runs in each process.
type town struct {
	sim      *simulator
	lapse    lapse
	settings *chat.Settings
	channels []chat.Channel
	people   []*simPerson
	graph    *simGraph
	// acknowledged are messages that were answered with 200, written those of
	// members whose acknowledgement came.
	acknowledged []acknowledged
	written      []written
	// posting counts webhooks that are to come or still repeated.
	posting int
	// closed ends the engines.
	closed bool
	total  townTotals
	// turns are those that call tools, trap what waits for them; nil in a town whose
	// assistant only talks.
	turns *turnTown
	trap  *trap
}

type acknowledged struct {
	person *simPerson
	remote chat.RemoteID
}

type written struct {
	person  *simPerson
	message chat.MessageID
}

// townTotals is what happened in a town: doubled are sends of the class at_least_once
// that Graph took more than once, twice those of at_most_once, both apologies to
// somebody whose reply was queued and not known to have gone in time.
type townTotals struct {
	seeds, acknowledged, byMembers, webhooks, refused, duplicates    int
	ticks, turns, replies, apologies, both, handoffs                 int
	requests, unsent, accepted, doubled, twice, unknownSends, failed int
	stale, unknown, jumps, conversations, overtaken, violations      int
}

func (a *townTotals) add(b townTotals) {
	a.seeds++
	a.acknowledged += b.acknowledged
	a.byMembers += b.byMembers
	a.webhooks += b.webhooks
	a.refused += b.refused
	a.duplicates += b.duplicates
	a.ticks += b.ticks
	a.turns += b.turns
	a.replies += b.replies
	a.apologies += b.apologies
	a.both += b.both
	a.handoffs += b.handoffs
	a.requests += b.requests
	a.unsent += b.unsent
	a.accepted += b.accepted
	a.doubled += b.doubled
	a.twice += b.twice
	a.unknownSends += b.unknownSends
	a.failed += b.failed
	a.stale += b.stale
	a.unknown += b.unknown
	a.jumps += b.jumps
	a.conversations += b.conversations
	a.overtaken += b.overtaken
	a.violations += b.violations
}

func (a townTotals) String() string {
	return fmt.Sprintf("seeds %d, conversations %d, customer messages acknowledged %d, of members %d, webhooks %d (refused %d), updates known already %d, commits stale %d, unknown %d, "+
		"ticks %d, turns %d, replies queued %d, apologies %d (beside a reply %d), handoffs %d, requests to Graph %d (not begun %d), accepted %d, "+
		"doubled at_least_once %d, at_most_once %d, ended unknown %d, failed %d, overtaken after a jump %d, clock jumps %d, violations %d",
		a.seeds, a.conversations, a.acknowledged, a.byMembers, a.webhooks, a.refused, a.duplicates, a.stale, a.unknown, a.ticks, a.turns, a.replies,
		a.apologies, a.both, a.handoffs, a.requests, a.unsent, a.accepted, a.doubled, a.twice, a.unknownSends, a.failed, a.overtaken, a.jumps, a.violations)
}

func newTown(s *simulator, people int, l lapse) *town {
	w := &town{sim: s, lapse: l, settings: &chat.Settings{Assistant: true, QuietPeriod: 300 * time.Millisecond,
		RestartWindow: 2 * time.Second, TurnTimeout: 4 * time.Second, SilenceDeadline: 40 * time.Second, ReconcileAfter: 8 * time.Second}}
	w.settings.EnsureDefaults()
	w.graph = &simGraph{town: w, times: map[chat.MessageID]int{}}
	for i, t := range simTenants {
		kind := chat.WhatsApp
		if i%2 == 1 {
			kind = chat.Instagram
		}
		account := string(t) + "-" + kind.String()
		w.channels = append(w.channels, chat.Channel{ID: chat.ChannelID(account), Tenant: t, App: townApp, Kind: kind, Account: account, Token: "t"})
	}
	for i := range people {
		p := &simPerson{town: w, id: i, channel: w.channels[i%len(w.channels)]}
		p.address = chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", i)}
		if p.channel.Kind == chat.Instagram {
			p.address = chat.Address{Kind: chat.IGSID, Value: fmt.Sprintf("178%07d", i)}
		}
		w.people = append(w.people, p)
	}
	return w
}

// begin lets the town live.
func (w *town) begin() {
	for _, p := range w.people {
		w.sim.start(p.live)
	}
	w.sim.start(w.desk)
	if w.turns != nil {
		w.sim.start(w.approver)
		w.sim.start(w.trapper)
	}
	if !w.sim.plan.calm {
		w.sim.start(w.jumps)
	}
}

// jumps sets clocks wrong, and sometimes right.
func (w *town) jumps(f *fiber) {
	s := w.sim
	if !s.plan.jumps {
		return
	}
	for !s.ended {
		f.sleep(s.between(500*time.Millisecond, 6*time.Second))
		n := s.nodes[s.rng.IntN(len(s.nodes))]
		switch s.rng.IntN(3) {
		case 0:
			n.skew = 0
		case 1:
			n.skew = s.between(-10*time.Second, 10*time.Second)
		case 2:
			n.skew = s.between(-time.Minute, time.Minute)
		}
		w.total.jumps++
		s.note("the clock of n%d is %v off", n.id, n.skew)
	}
}

// groups are those of tenants.
func (w *town) groups() []chat.Group {
	list := simGroups(w.sim.plan.groups)
	return list[:len(list)-1]
}

func (w *town) groupOf(ch chat.Channel) chat.Group { return w.sim.nodes[0].groupOf(ch.Tenant) }

// Channel implements actors.Directory.
func (w *town) Channel(_ chat.AppID, kind chat.ChannelKind, account, _ string) (chat.Channel, bool) {
	ch, found := w.ChannelByID(chat.ChannelID(account))
	return ch, found && ch.Kind == kind
}

// ChannelByID implements actors.Directory.
func (w *town) ChannelByID(id chat.ChannelID) (chat.Channel, bool) {
	i := slices.IndexFunc(w.channels, func(c chat.Channel) bool { return c.ID == id })
	if i < 0 {
		return chat.Channel{}, false
	}
	return w.channels[i], true
}

// Settings implements actors.Directory.
func (w *town) Settings(chat.TenantID) *chat.Settings { return w.settings }

// peaceful reports whether nothing is owed any more, as the leaders see it.
func (w *town) peaceful() bool {
	if w.posting > 0 {
		return false
	}
	for _, p := range w.people {
		if p.said == 0 {
			continue
		}
		n := w.sim.leader(w.groupOf(p.channel))
		if n == nil || !p.locate() {
			return false
		}
		st, found, err := n.store.Load(p.channel.Tenant, p.place.Conversation)
		if err != nil || !found || st.Owing() > 0 || st.Turn.Phase != chat.TurnNone ||
			st.Holder == chat.HolderAssistant && st.WaitingFrom != 0 {
			return false
		}
	}
	return true
}

// describe tells what is still owed.
func (w *town) describe() string {
	text := fmt.Sprintf("%d webhooks are repeated", w.posting)
	for _, p := range w.people {
		n := w.sim.leader(w.groupOf(p.channel))
		if n == nil || !p.locate() {
			text += fmt.Sprintf("\nperson %d has no leader", p.id)
			continue
		}
		st, found, err := n.store.Load(p.channel.Tenant, p.place.Conversation)
		text += fmt.Sprintf("\nperson %d on n%d: found %v %v, holder %v, turn %+v, outbox %+v, waiting %d, armed %v, it is %v", p.id, n.id, found, err,
			st.Holder, st.Turn, st.Outbox, st.WaitingFrom, st.Armed, n.engine.now())
	}
	return text
}

// calmMax is how long a healed town may take to settle everything: an attempt whose
// process forgot it is lost after a minute and a half, and tried again after
// pauses that double.
const calmMax = 10 * time.Minute

// settle waits until nothing is owed, and ends the engines.
func (w *town) settle() {
	s := w.sim
	for _, n := range s.nodes {
		n.skew = 0
	}
	limit, quiet := s.now+calmMax, false
	for s.now < limit && !quiet && len(s.broken) == 0 {
		s.runUntil(s.now+300*time.Millisecond, nil)
		quiet = w.peaceful()
	}
	if !quiet && len(s.broken) == 0 {
		s.violate("the healed town still owes after %v: %s", calmMax, w.describe())
		return
	}
	s.runUntil(s.now+time.Second, nil)
	w.closed = true
	for _, n := range s.nodes {
		n.engine.die()
	}
}
