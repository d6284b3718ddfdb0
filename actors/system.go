package actors

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/actors/mailpb"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// System is the actors of one node and their workers. Its life is New, Start,
// Drain, Stop, each once.
type System struct {
	// immutable after New
	opt  Options
	met  *metrics.Set
	core *core

	// immutable after Start
	lib      *actor.ActorSystem
	root     *actor.RootContext
	routers  []*actor.PID
	props    kinds
	life     context.Context
	end      context.CancelFunc
	walk     context.Context
	stopWalk context.CancelFunc

	turns *turns
	// files is nil without a place to keep them.
	files   *fetches
	library *Library
	// reading is nil where nobody reads sources.
	reading *reading
	// bridge brings deliveries to other nodes and theirs to this one.
	bridge *bridge
	// resident counts conversations that are resident on the node.
	resident atomic.Int64
	// charges counts what was given to Charge.
	charges atomic.Uint64
	// asking counts deliveries and commands under way; attempts counts HTTP
	// attempts whose outcome is not recorded yet.
	asking, attempts turnstile
	workers          workers
	// crew runs the conversations, and what workers run.
	crew crew
	laps laps
	// throttle paces what the node does of its own.
	throttle *throttle
	// signs has room for the signs under way.
	signs chan struct{}
	// inboxes holds those for one mail. The pool is the system's own because a
	// channel made in a synctest bubble must not leave it.
	inboxes sync.Pool
	// holds is what Meta holds beyond single channels.
	holds holds
	// tills is where its senders reserve places in the limits of portfolios.
	tills tills
	// routing is done once by every router that has ended.
	routing sync.WaitGroup
}

// kinds holds what actors are made from, shared by all of a kind.
type kinds struct{ tenant, conversation, sender *actor.Props }

// New checks the options and builds a System. It starts nothing.
func New(o Options) (*System, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	s := &System{opt: o, met: o.Metrics, signs: make(chan struct{}, signsMax)}
	s.workers.crew = &s.crew
	s.core = newCore(&s.opt)
	s.turns = newTurns(s)
	s.throttle = newThrottle(s.opt.Clock, s.opt.Strain, s.met.Actors.OwnPace.Set)
	s.core.runner, s.core.linker = s.turns, s
	if s.opt.Counters != nil {
		s.core.purse = newAlarms(s)
	}
	if s.opt.Files != nil {
		s.files = newFetches(s)
		s.core.files = s.files
		s.library = &Library{sys: s, lending: make(map[lendKey]*lend)}
		if s.opt.Uploads == nil {
			s.opt.Uploads = s.library
		}
	}
	if s.opt.Texts != nil {
		s.reading = newReading(s)
	}
	s.bridge = newBridge(s)
	return s, nil
}

// Start spawns the routers and, behind them, the walkers that resume whatever
// is owed. Nothing may be delivered before it returns. ctx gives values, not a
// lifetime: Stop ends it.
func (s *System) Start(ctx context.Context) error {
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	s.walk, s.stopWalk = context.WithCancel(s.life)
	s.core.life = s.life
	s.lib = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }),
		actor.WithDeadLetterThrottleInterval(time.Millisecond))
	s.lib.EventStream.Subscribe(func(event any) {
		if dead, ok := event.(*actor.DeadLetterEvent); ok {
			s.met.Actors.DeadLetters.Inc()
			switch m := dead.Message.(type) {
			case refusable:
				m.refuse(errFenced)
			case *mailpb.Mail:
				s.bridge.undelivered(m)
			}
		}
	})
	s.root = s.lib.Root
	s.props = s.newKinds()
	guardian := actor.WithGuardian(&backoff{sys: s})
	busy := s.met.Actors.Busy.WithLabelValues("router")
	for g := range s.opt.Leadership.Groups() {
		props := actor.PropsFromProducer(func() actor.Actor { return newRouter(s, chat.Group(g)) },
			actor.WithMailbox(gated(routerMailMax, busy)), actor.WithDispatcher(inline), guardian,
			actor.WithSupervisor(&backoff{sys: s}))
		s.routing.Add(1)
		pid, err := s.root.SpawnNamed(props, routerName(chat.Group(g)))
		if err != nil {
			return chat.E("actors.Start", chat.KindOther, "cannot spawn a router", err)
		}
		s.routers = append(s.routers, pid)
	}
	if s.opt.Peers != nil {
		s.opt.Peers.Attach(s.lib)
		s.bridge.open()
	}
	for g := range s.routers {
		s.workers.run(s.whenReleased(newWalker(s, chat.Group(g)).run))
	}
	if s.opt.Registry != nil && s.opt.Accounts != nil {
		s.workers.run(s.whenReleased(newKeeper(s).run))
	}
	if s.reading != nil {
		s.workers.run(s.whenReleased(s.reading.run))
	}
	s.sweepLater()
	if s.files != nil {
		s.workers.run(s.files.sweepFiles)
	}
	return nil
}

func (s *System) newKinds() kinds {
	busy := s.met.Actors.Busy
	return kinds{
		tenant: actor.PropsFromProducer(func() actor.Actor { return newTenant(s) },
			actor.WithMailbox(gated(tenantMailMax, busy.WithLabelValues("tenant"))), actor.WithDispatcher(inline),
			actor.WithSupervisor(&backoff{sys: s, restart: true})),
		conversation: actor.PropsFromProducer(func() actor.Actor { return &conversationActor{act: activation{core: s.core}} },
			actor.WithMailbox(gated(conversationMailMax, busy.WithLabelValues("conversation"))),
			actor.WithDispatcher(&s.crew)),
		sender: actor.PropsFromProducer(func() actor.Actor { return newSender(s) },
			actor.WithMailbox(gated(tenantMailMax, busy.WithLabelValues("sender")))),
	}
}

func (s *System) sweepLater() {
	s.opt.Clock.AfterFunc(s.opt.SweepEvery, func() {
		if s.walk.Err() != nil {
			return
		}
		for _, pid := range s.routers {
			s.root.Send(pid, sweep{})
		}
		s.sweepLater()
	})
}

// Drain refuses new mail from outside, parks turns, waits for what is under
// way and ends every actor. It returns early with an error when ctx ends;
// what is left is then resumed at the next start.
func (s *System) Drain(ctx context.Context) error {
	asked := s.asking.close()
	s.stopWalk()
	s.turns.park()
	if s.files != nil {
		s.files.park()
	}
	sent := s.attempts.close()
	for _, done := range []<-chan struct{}{asked, sent, s.ended()} {
		select {
		case <-done:
		case <-ctx.Done():
			return chat.E("actors.Drain", chat.KindUnavailable, "not everything ended in time", context.Cause(ctx))
		}
	}
	return nil
}

// ended retires every router and returns a channel that is closed at the end
// of the last.
func (s *System) ended() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-s.asking.close():
		case <-s.life.Done():
			return
		}
		select {
		case <-s.attempts.close():
		case <-s.life.Done():
			return
		}
		for _, pid := range s.routers {
			s.root.Send(pid, retire{})
		}
		s.routing.Wait()
	}()
	return done
}

// Stop ends everything that still runs and returns when the workers have.
func (s *System) Stop() {
	if s.end == nil {
		return
	}
	s.asking.close()
	s.attempts.close()
	s.end()
	s.workers.wait()
	s.crew.close()
	if !s.lib.IsStopped() {
		s.lib.Shutdown()
	}
}

// post hands mail to the router of its group. The mail is answered later.
func (s *System) post(m *mail) {
	if int(m.group) >= len(s.routers) {
		m.refuse(errDraining)
		return
	}
	s.root.Send(s.routers[m.group], m)
}

// actorName makes a word usable as one segment of an actor's id.
func actorName(word string) string {
	if strings.ContainsAny(word, "/%") {
		return url.PathEscape(word)
	}
	return word
}
