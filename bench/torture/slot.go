package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// slot is one engine on its stage, with its store, for one segment.
type slot struct {
	*stage
	start child.Options
	// engine is owned by the segment's goroutine.
	engine *child.Engine
	// at is the address of the API, nil while the engine is down.
	at atomic.Pointer[string]
	// armed is the kill that waits for its step.
	armed atomic.Pointer[armed]
}

// armed is a kill at a step seen from outside.
type armed struct {
	step string
	left atomic.Int64
	fire func()
}

// openSlot sets the stage for an engine and tells it where everything is.
func openSlot(o Options, seed uint64) (*slot, error) {
	s := &slot{}
	api := func() string {
		if at := s.at.Load(); at != nil {
			return *at
		}
		return ""
	}
	var err error
	s.stage, err = openStage(o, seed, setting{host: "127.0.0.1", postTimeout: 10 * time.Second, callTimeout: 10 * time.Second,
		modelMedian: 5 * time.Millisecond, api: api, step: s.reached})
	if err != nil {
		return nil, err
	}
	config, bootstrap, err := child.WriteFiles(s.dir, s.world, s.config)
	if err != nil {
		return nil, err
	}
	s.start = child.Options{Binary: o.Binary, DataDir: filepath.Join(s.dir, "data"), Config: config, Bootstrap: bootstrap, Env: o.env}
	return s, nil
}

// close stops whatever engine still runs, and the stage.
func (s *slot) close() {
	if s.engine != nil {
		s.engine.Kill()
	}
	s.stage.close()
}

// reached lets an armed kill fire at its step.
func (s *slot) reached(step string) {
	if a := s.armed.Load(); a != nil && a.step == step && a.left.Add(-1) == 0 {
		a.fire()
	}
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
	s.at.Store(&e.API)
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
	s.at.Store(nil)
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
