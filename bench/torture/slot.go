package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// slot is one engine with its simulators and its store, for one segment.
type slot struct {
	o     Options
	dir   string
	world *child.World
	graph *metasim.Server
	model *openaisim.Server
	start child.Options
	// engine is owned by the segment's goroutine.
	engine *child.Engine
	// api is the address of the API, "" while the engine is down.
	api atomic.Pointer[string]
	// armed is the kill that waits for its step.
	armed atomic.Pointer[armed]
	// broken counts POSTs cut off since the engine was ready.
	broken atomic.Int64
	// acked counts acknowledged deliveries.
	acked atomic.Int64
	feeds map[string]*feed // by tenant
	desk  *desk
	// stop ends feeds and desk; they are done when all returned.
	stop context.CancelFunc
	done sync.WaitGroup
	// writers are the traffic.
	writers sync.WaitGroup
}

// armed is a kill at a step seen from outside.
type armed struct {
	step string
	left atomic.Int64
	fire func()
}

// openSlot makes the store's directory and starts the simulators.
func openSlot(o Options, seed uint64) (*slot, error) {
	dir, err := os.MkdirTemp(o.Dir, "chumi-torture-*")
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	s := &slot{o: o, dir: dir, world: child.NewWorld(o.Traffic.Tenants), feeds: map[string]*feed{}}
	s.graph = metasim.New(metasim.Options{
		Accounts: bench.Accounts(s.world), Plan: graphPlan(seed, o.Traffic.GraphFaults), OnSend: s.onSend, OnPost: s.onPost,
		// Post until it is answered: the engine is down half of the time.
		Attempts: 1 << 20, Backoff: 5 * time.Millisecond, BackoffMax: 100 * time.Millisecond, PostTimeout: 10 * time.Second,
	})
	s.model = openaisim.New(openaisim.Options{Plan: modelPlan(seed, o.Traffic.ModelFaults), OnCall: s.onCall, LedgerMax: 1000})
	graphAddr, err := s.graph.Start("127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	modelAddr, err := s.model.Start("127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	config, bootstrap, err := child.WriteFiles(dir, s.world, child.Config{
		GraphURL: "http://" + graphAddr, InstagramURL: "http://" + graphAddr, ModelURL: openaisim.Base(modelAddr),
		QuietPeriod: o.QuietPeriod.String(), ReconcileAfter: o.ReconcileAfter.String(),
	})
	if err != nil {
		return nil, err
	}
	s.start = child.Options{Binary: o.Binary, DataDir: filepath.Join(dir, "data"), Config: config, Bootstrap: bootstrap, Env: o.env}
	return s, nil
}

// close stops the simulators and whatever engine still runs.
func (s *slot) close() {
	if s.engine != nil {
		s.engine.Kill()
	}
	_ = s.graph.Close() // cuts what nobody waits for any more
	_ = s.model.Close()
}

func (s *slot) onSend(m metasim.SendMoment, _ metasim.Send) {
	switch m {
	case metasim.SendReceived:
		s.reached(stepGraphReceived)
	case metasim.SendAnswering:
		s.reached(stepGraphReplying)
	case metasim.SendAnswered:
		s.reached(stepGraphAnswered)
	}
}

func (s *slot) onCall(m openaisim.Moment, _ openaisim.Call) {
	switch m {
	case openaisim.CallReceived:
		s.reached(stepModelReceived)
	case openaisim.CallAnswering:
		s.reached(stepModelReplying)
	case openaisim.CallAnswered:
		s.reached(stepModelAnswered)
	}
}

func (s *slot) onPost(m metasim.PostMoment, d *metasim.Delivery, status int) {
	switch m {
	case metasim.PostStarting:
		s.reached(stepPostStarting)
		if d.Updates[0].Kind == metasim.UpdateStatus {
			s.reached(stepStatusStarting)
		}
	case metasim.PostBroken:
		s.broken.Add(1)
	case metasim.PostAnswered:
		if status == 200 {
			s.acked.Add(1)
		}
		s.reached(stepPostAnswered)
	}
}

// reached lets an armed kill fire at its step.
func (s *slot) reached(step string) {
	if a := s.armed.Load(); a != nil && a.step == step && a.left.Add(-1) == 0 {
		a.fire()
	}
}

// inFlight counts POSTs, turns and sends that are under way.
func (s *slot) inFlight() int {
	sends, posts := s.graph.InFlight()
	return sends + posts + s.model.InFlight()
}

// up starts the engine and points everybody to it.
func (s *slot) up(ctx context.Context, env ...string) error {
	o := s.start
	o.Env = append(append([]string(nil), o.Env...), env...)
	e, err := child.Start(ctx, o)
	if err != nil {
		return err
	}
	s.engine = e
	s.broken.Store(0)
	s.graph.SetHooks("http://" + e.Edge)
	s.api.Store(&e.API)
	return nil
}

// kill is one cycle: start, wait for the step, be dead.
type kill struct {
	step Step
	// at is the step that really ended it: another one when the chosen step was
	// not reached in time.
	at string
	// counted is true when something was in flight.
	counted bool
	// ready is how long the engine took to accept.
	ready time.Duration
}

// patience is how long a step may take to be reached.
const patience = 3 * time.Second

// cycle starts the engine and kills it at the step. An error means that the
// engine could not be started.
func (s *slot) cycle(ctx context.Context, step Step, r *rand.Rand) (kill, error) {
	k := kill{step: step, at: step.Name}
	hits := 1 + r.IntN(step.hitsMax())
	var env []string
	if step.Where == WhereInside {
		env = append(env, fmt.Sprintf("CHUMI_FAILPOINT=%s:%d", step.Name, hits))
	}
	began := time.Now()
	if err := s.up(ctx, env...); err != nil {
		var died *child.DiedError
		if step.Where == WhereInside && errors.As(err, &died) && died.Killed {
			// It died while it took up what it owed: a turn or send was in flight.
			k.counted = true
			return k, nil
		}
		return k, err
	}
	k.ready = time.Since(began)
	defer s.armed.Store(nil)
	var flying atomic.Int64
	limit := patience
	switch step.Where {
	case WhereRandom:
		limit = time.Duration(20+r.IntN(500)) * time.Millisecond
	case WhereOutside:
		a := &armed{step: step.Name, fire: func() {
			flying.Store(int64(s.inFlight()))
			s.engine.Kill()
		}}
		a.left.Store(int64(hits))
		s.armed.Store(a)
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-s.engine.Done():
	case <-timer.C:
		k.at = stepRandom
		flying.Store(int64(s.busyMoment()))
		s.engine.Kill()
	case <-ctx.Done():
		s.engine.Kill()
		return k, ctx.Err()
	}
	s.api.Store(nil)
	if !s.engine.Killed() {
		return k, fmt.Errorf("torture: the engine ended by itself; see %s", s.start.DataDir+".log")
	}
	inside := step.Where == WhereInside && k.at == step.Name
	k.counted = flying.Load() > 0 || inside && (step.working() || s.broken.Load() > 0)
	return k, nil
}

// busyMoment waits a little for a moment at which something is in flight.
func (s *slot) busyMoment() int {
	for range 2000 {
		if n := s.inFlight(); n > 0 {
			return n
		}
		time.Sleep(50 * time.Microsecond)
	}
	return 0
}
