package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// taken is a sink that remembers, and can look at the store when effects come.
type taken struct {
	effects []chat.Effect
	look    func(chat.Effect)
}

func (s *taken) release(effects []chat.Effect) {
	for _, e := range effects {
		if s.look != nil {
			s.look(e)
		}
		s.effects = append(s.effects, e)
	}
}

// bench is one activation over a memStore, without actors.
type bench struct {
	t     *testing.T
	store *memStore
	core  *core
	act   activation
	out   taken
}

func newBench(t *testing.T) *bench {
	store := newMemStore()
	o := options(store, nil, &ledgerGraph{})
	o.EnsureDefaults()
	b := &bench{t: t, store: store, core: newCore(&o)}
	b.core.life = t.Context()
	return b
}

// mailOf makes a mail for the conversation of a person.
func (b *bench) mailOf(who string, facts ...chat.Fact) *mail {
	m := &mail{tenant: "acme", group: b.store.Group("acme"), channel: "acme-wa", kind: chat.WhatsApp,
		conversation: conversationOf(who), to: make(inbox, 1)}
	for _, f := range facts {
		it := item{fact: f}
		if in := inboundOf(f); in != nil {
			it.place, _ = b.store.Locate("acme", "acme-wa", in.Customer)
			it.located = true
		}
		m.items = append(m.items, it)
	}
	return m
}

// tell handles a mail and returns its answer; ok is false when there is none.
func (b *bench) tell(m *mail) (a answer, ok bool) {
	if !b.act.born() {
		b.act.core = b.core
		b.act.birth(m)
	}
	b.act.handle([]*mail{m}, &b.out)
	select {
	case a = <-m.to.(inbox):
		return a, true
	default:
		return a, false
	}
}

func (b *bench) must(m *mail) answer {
	b.t.Helper()
	a, ok := b.tell(m)
	if !ok || a.err != nil {
		b.t.Fatalf("answer %v, %v", ok, a.err)
	}
	return a
}

func inbound(in chat.Inbound) *chat.Inbound { return &in }

func TestActivation_OneCommitPerMail(t *testing.T) {
	b := newBench(t)
	var facts []chat.Fact
	for i := range 100 {
		facts = append(facts, inbound(textFrom("1555", fmt.Sprint("wamid.", i), "x")))
	}
	facts = append(facts, facts[7]) // Meta repeats itself inside a POST
	a := b.must(b.mailOf("1555", facts...))
	if n := len(b.store.commits); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	if a.verdicts[7].Kind != chat.VerdictDone || a.verdicts[100].Kind != chat.VerdictDuplicate {
		t.Errorf("verdicts %v and %v, want done and duplicate", a.verdicts[7], a.verdicts[100])
	}
	if n := len(b.store.kinds(conversationOf("1555"))); n != 101 {
		t.Errorf("%d events, want the start and 100 messages", n)
	}
}

func TestActivation_LongMailIsChunked(t *testing.T) {
	b := newBench(t)
	var facts []chat.Fact
	for i := range 2*factsPerCommitMax + 1 {
		facts = append(facts, inbound(textFrom("1555", fmt.Sprint("wamid.", i), "x")))
	}
	b.must(b.mailOf("1555", facts...))
	if n := len(b.store.commits); n != 3 {
		t.Errorf("%d commits, want 3", n)
	}
}

func TestActivation_DuplicateWaitsForTheOriginalToBeDurable(t *testing.T) {
	b := newBench(t)
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "x"))))
	if b.store.barrier != 0 {
		t.Fatalf("barrier used without a duplicate")
	}
	a := b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "x"))))
	if a.verdicts[0].Kind != chat.VerdictDuplicate || b.store.barrier != 1 {
		t.Errorf("verdict %v after %d barriers, want duplicate after 1", a.verdicts[0], b.store.barrier)
	}
	if n := len(b.store.commits); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
}

func TestActivation_PanicQuarantinesOnlyItsUpdate(t *testing.T) {
	b := newBench(t)
	b.core.step = func(s *chat.Conversation, in chat.Input) chat.Decision {
		if f, ok := in.Fact.(*chat.Inbound); ok && f.Text == "poison" {
			panic("broken")
		}
		return chat.Step(s, in)
	}
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a")),
		inbound(textFrom("1555", "wamid.2", "poison")), inbound(textFrom("1555", "wamid.3", "b"))))
	if n := len(b.store.commits); n != 1 {
		t.Errorf("%d commits, want 1", n)
	}
	kinds := b.store.kinds(conversationOf("1555"))
	count := func(kind string) (n int) {
		for _, k := range kinds {
			if k == kind {
				n++
			}
		}
		return n
	}
	if count("message_received") != 2 || count("received_quarantined") != 1 {
		t.Errorf("events %q, want 2 messages and 1 quarantined", kinds)
	}
}

func TestActivation_UnrecordableUpdateGoesToQuarantine(t *testing.T) {
	b := newBench(t)
	b.core.step = func(s *chat.Conversation, in chat.Input) chat.Decision {
		if f := inboundOf(in.Fact); f != nil && f.Text == "poison" {
			panic("broken")
		}
		return chat.Step(s, in)
	}
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a")), inbound(textFrom("1555", "wamid.2", "poison"))))
	if len(b.store.kept) != 1 || b.store.kept[0].Remote != "wamid.2" {
		t.Errorf("quarantine holds %v, want wamid.2", b.store.kept)
	}
	if kinds := b.store.kinds(conversationOf("1555")); !slices.Contains(kinds, "message_received") {
		t.Errorf("events %q lack the healthy message", kinds)
	}
}

// strikes says that every update was found in Step by n unclean exits.
type strikes struct{ n, inside int }

// Enter implements Strikes.
func (s *strikes) Enter(uint64) (int, int) { s.inside++; return 0, s.n }

// Leave implements Strikes.
func (s *strikes) Leave(int) { s.inside-- }

func TestActivation_ThreeStrikesAreRecordedWithoutStep(t *testing.T) {
	for n, want := range map[int]string{2: "message_received", 3: "received_quarantined"} {
		b := newBench(t)
		s := &strikes{n: n}
		b.core.opt.Strikes = s
		b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
		if kinds := b.store.kinds(conversationOf("1555")); !slices.Contains(kinds, want) {
			t.Errorf("%d strikes: events %q, want %s", n, kinds, want)
		}
		if s.inside != 0 {
			t.Errorf("%d updates still marked", s.inside)
		}
	}
}

func TestActivation_EffectsOnlyAfterTheirCommit(t *testing.T) {
	b := newBench(t)
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
	id := conversationOf("1555")
	turns := 0
	b.out.look = func(e chat.Effect) {
		if _, ok := e.(chat.StartTurn); ok {
			turns++
			if !slices.Contains(b.store.kinds(id), "turn_started") {
				t.Error("turn handed out before turn_started is durable")
			}
		}
	}
	b.store.setBefore(func(chat.Commit) (chat.Receipt, bool) {
		return chat.Receipt{Answer: chat.Unknown}, true
	})
	b.advance(3 * time.Second)
	a, _ := b.tell(b.mailOf("1555", chat.Tick{}))
	if chat.KindOf(a.err) != chat.KindUnknown || turns != 0 {
		t.Errorf("answer %v with %d turns started, want unknown and none", a.err, turns)
	}
	b.store.setBefore(nil)
	b.act = activation{}
	b.must(b.mailOf("1555", chat.Tick{}))
	if turns != 1 {
		t.Errorf("%d turns started, want 1", turns)
	}
}

// advance moves the decision time on.
func (b *bench) advance(d time.Duration) {
	g := b.store.Group("acme")
	b.core.nows[g].Store(b.core.now(g).Add(d).UnixMilli())
}

func TestActivation_UncertainCommitEndsIt(t *testing.T) {
	for _, what := range []chat.CommitAnswer{chat.Unknown, chat.WrongSeq, chat.StaleEpoch} {
		b := newBench(t)
		b.store.setBefore(func(chat.Commit) (chat.Receipt, bool) { return chat.Receipt{Answer: what}, true })
		a, _ := b.tell(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
		if a.err == nil || !b.act.dead {
			t.Errorf("%v: answer %v, dead %v; want an error and the end", what, a.err, b.act.dead)
		}
		b.store.setBefore(nil)
		if a, _ := b.tell(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a")))); a.err == nil {
			t.Errorf("%v: a dead activation accepted mail", what)
		}
		b.act = activation{}
		b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
	}
}

func TestActivation_NewEpochFences(t *testing.T) {
	b := newBench(t)
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
	b.store.mu.Lock()
	b.store.epoch++
	b.store.mu.Unlock()
	a, _ := b.tell(b.mailOf("1555", inbound(textFrom("1555", "wamid.2", "b"))))
	if chat.KindOf(a.err) != chat.KindFenced || len(b.store.commits) != 1 {
		t.Errorf("answer %v after %d commits, want fenced after 1", a.err, len(b.store.commits))
	}
}

func TestActivation_LostRaceIsDecidedAgain(t *testing.T) {
	b := newBench(t)
	late := b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a")), inbound(textFrom("1555", "wamid.2", "b")))
	// The same delivery, processed by somebody else between lookup and commit.
	once := false
	b.store.setBefore(func(c chat.Commit) (chat.Receipt, bool) {
		if once {
			return chat.Receipt{}, false
		}
		once = true
		b.store.mu.Lock()
		defer b.store.mu.Unlock()
		b.store.rows[rowKey("acme-wa", "wamid.1", "")] = chat.RemoteRow{Remote: "wamid.1", Conversation: "conv_other"}
		return chat.Receipt{}, false
	})
	a := b.must(late)
	if a.verdicts[0].Kind != chat.VerdictDuplicate || a.verdicts[1].Kind != chat.VerdictDone {
		t.Errorf("verdicts %v, want duplicate and done", a.verdicts)
	}
}

func TestActivation_AddressOfAnotherConversationIsGivenBack(t *testing.T) {
	b := newBench(t)
	m := b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a")))
	b.store.claims[fmt.Sprint(chat.ChannelID("acme-wa"), chat.Address{Kind: chat.WaID, Value: "1555"})] =
		chat.Original{Conversation: conversationOf("other"), Contact: "ct_other"}
	a, _ := b.tell(m)
	if !elsewhere(a.err) {
		t.Errorf("answer %v, want that it belongs elsewhere", a.err)
	}
}

func TestActivation_LimitOfTurnsHandsOff(t *testing.T) {
	b := newBench(t)
	b.store.set.TurnsPerDayMax = 1
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
	b.advance(3 * time.Second)
	b.store.count["turns/"+b.core.now(b.act.group).Format("2006-01-02")] = 1
	b.must(b.mailOf("1555", chat.Tick{}))
	kinds := b.store.kinds(conversationOf("1555"))
	if !slices.Contains(kinds, "handoff_requested") || slices.Contains(kinds, "turn_started") {
		t.Errorf("events %q, want a handoff and no turn", kinds)
	}
}

func TestActivation_TakeOverWaitsForAttempts(t *testing.T) {
	b := newBench(t)
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
	b.advance(3 * time.Second)
	b.must(b.mailOf("1555", chat.Tick{}))
	turn := b.act.state.Turn
	b.must(b.mailOf("1555", chat.ModelAnswered{Turn: b.act.state.TurnID(), Call: turn.Call, Answer: chat.Answer{Text: "hi"}}))
	send := b.act.state.Outbox[0].Message
	b.must(b.mailOf("1555", chat.AttemptDue{Message: send}))

	waiting := b.mailOf("1555", chat.TakeOver{Member: "ann"})
	if a, ok := b.tell(waiting); ok {
		t.Fatalf("takeover answered (%v) while an attempt is under way", a.err)
	}
	left := b.mailOf("1555", chat.TakeOver{Member: "ann"})
	if _, ok := b.tell(left); ok {
		t.Fatal("second takeover answered while an attempt is under way")
	}
	left.gone.Store(true)
	b.must(b.mailOf("1555", chat.AttemptFinished{Message: send, N: 1,
		Outcome: chat.SendOutcome{Result: chat.SendAccepted, Remote: "out.1"}}))
	select {
	case a := <-waiting.to.(inbox):
		if a.err != nil || len(a.verdicts[0].Pending) != 0 {
			t.Errorf("takeover answered %v, pending %v", a.err, a.verdicts[0].Pending)
		}
	default:
		t.Error("takeover not answered after the attempt ended")
	}
	if b.act.waiters != nil {
		t.Error("a caller that left is still remembered")
	}
}

func TestActivation_ColdStartWakesTheSender(t *testing.T) {
	b := newBench(t)
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.1", "a"))))
	b.must(b.mailOf("1555", chat.MemberSend{Text: "hello"}))
	b.act, b.out.effects = activation{}, nil
	b.must(b.mailOf("1555", inbound(textFrom("1555", "wamid.2", "b"))))
	if !slices.ContainsFunc(b.out.effects, func(e chat.Effect) bool { _, ok := e.(chat.WakeSender); return ok }) {
		t.Errorf("effects %v lack the wake of what is queued", b.out.effects)
	}
}

func TestActivation_MailForNobody(t *testing.T) {
	b := newBench(t)
	m := b.mailOf("1555", chat.TakeOver{Member: "ann"})
	m.exists = true
	if a, _ := b.tell(m); chat.KindOf(a.err) != chat.KindNotFound {
		t.Errorf("answer %v, want not found", a.err)
	}
	if len(b.store.commits) != 0 {
		t.Error("something was stored")
	}
}

func TestCore_DecisionTimeNeverGoesBack(t *testing.T) {
	b := newBench(t)
	g := b.store.Group("acme")
	b.core.nows[g].Store(b.core.now(g).Add(time.Hour).UnixMilli())
	first := b.core.now(g)
	if second := b.core.now(g); second.Before(first) {
		t.Errorf("time went from %v back to %v", first, second)
	}
}
