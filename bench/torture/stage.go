package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
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

// stage is everything around the engine for one segment: the simulators, the
// customers, the people of the business, and what each of them saw. Whoever
// owns it runs the engine, or the nodes, and says where they are.
type stage struct {
	o Options
	// dir holds the data directories and, of a red segment, the book.
	dir   string
	world *child.World
	graph *metasim.Server
	model *openaisim.Server
	shop  *shop
	// config is what an engine must be told to find the simulators.
	config child.Config
	// api returns the address of an API to call now, "" while there is none.
	api func() string
	// step is told of every step seen from outside.
	step func(name string)
	// broken counts POSTs cut off since the owner set it to 0, acked counts
	// acknowledged deliveries.
	broken, acked atomic.Int64
	// posted is told of every POST of a message that has ended; nil when nobody
	// listens.
	posted func(*metasim.Delivery, exchange)
	// onEvent is told of every event a feed shows; nil when nobody listens.
	onEvent func(*child.Event)
	feeds   map[string]*feed // by tenant
	desk    *desk
	// all is the context of feeds and desk, which stop ends; they are done when
	// all returned.
	all  context.Context
	stop context.CancelFunc
	done sync.WaitGroup
	// writers are the traffic.
	writers sync.WaitGroup
}

// setting is where a stage is set up.
type setting struct {
	// host is the address the simulators listen on.
	host string
	// postTimeout bounds one POST of a webhook, callTimeout one call of the API.
	postTimeout, callTimeout time.Duration
	// modelMedian is how long the model usually takes.
	modelMedian time.Duration
	api         func() string
	step        func(name string)
}

// openStage makes the directory and starts the simulators.
func openStage(o Options, seed uint64, at setting) (*stage, error) {
	dir, err := os.MkdirTemp(o.Dir, "chumi-torture-*")
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	s := &stage{o: o, dir: dir, world: child.NewWorld(o.Traffic.Tenants), feeds: map[string]*feed{}, api: at.api, step: at.step}
	s.graph = metasim.New(metasim.Options{
		Accounts: bench.Accounts(s.world), Plan: graphPlan(seed, o.Traffic.GraphFaults), OnSend: s.onSend, OnPost: s.onPost,
		// Post until it is answered: the engine is down half of the time.
		Attempts: 1 << 20, Backoff: 5 * time.Millisecond, BackoffMax: 100 * time.Millisecond, PostTimeout: at.postTimeout,
	})
	thoughts := modelPlan(seed, o.Traffic.ModelFaults, at.modelMedian)
	thoughts.Use = func(a *openaisim.Asked) []openaisim.ToolCall { return chooseTools(seed, a) }
	s.model = openaisim.New(openaisim.Options{Plan: thoughts, OnCall: s.onCall, LedgerMax: 1000})
	graphAddr, err := s.graph.Start(at.host + ":0")
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	modelAddr, err := s.model.Start(at.host + ":0")
	if err != nil {
		s.close()
		return nil, fmt.Errorf("torture: %w", err)
	}
	if s.shop, err = openShop(at.host, at.step); err != nil {
		s.close()
		return nil, err
	}
	prices := filepath.Join(dir, "prices.yaml")
	if err := os.WriteFile(prices, []byte(modelPrices), 0o600); err != nil {
		s.close()
		return nil, fmt.Errorf("torture: %w", err)
	}
	s.config = child.Config{
		InsideHosts: []string{s.shop.host}, PricingFile: prices,
		GraphURL: "http://" + graphAddr, InstagramURL: "http://" + graphAddr, ModelURL: openaisim.Base(modelAddr),
		QuietPeriod: o.QuietPeriod.String(), ReconcileAfter: o.ReconcileAfter.String(),
		DiskFreeMin: o.diskFreeMin, PerIPMax: o.perIPMax,
	}
	s.desk = newDesk(s, at.callTimeout)
	return s, nil
}

// close stops the simulators.
func (s *stage) close() {
	_ = s.graph.Close() // cuts what nobody waits for any more
	_ = s.model.Close()
	if s.shop != nil {
		s.shop.close()
	}
}

func (s *stage) onSend(m metasim.SendMoment, _ metasim.Send) {
	switch m {
	case metasim.SendReceived:
		s.step(stepGraphReceived)
	case metasim.SendAnswering:
		s.step(stepGraphReplying)
	case metasim.SendAnswered:
		s.step(stepGraphAnswered)
	}
}

func (s *stage) onCall(m openaisim.Moment, _ openaisim.Call) {
	switch m {
	case openaisim.CallReceived:
		s.step(stepModelReceived)
	case openaisim.CallAnswering:
		s.step(stepModelReplying)
	case openaisim.CallAnswered:
		s.step(stepModelAnswered)
	}
}

func (s *stage) onPost(m metasim.PostMoment, d *metasim.Delivery, status int) {
	switch m {
	case metasim.PostStarting:
		s.step(stepPostStarting)
		if d.Updates[0].Kind == metasim.UpdateStatus {
			s.step(stepStatusStarting)
		}
	case metasim.PostBroken:
		s.broken.Add(1)
	case metasim.PostAnswered:
		if status == 200 {
			s.acked.Add(1)
		}
		s.step(stepPostAnswered)
	}
}

// inFlight counts POSTs, turns and sends that are under way.
func (s *stage) inFlight() int {
	sends, posts := s.graph.InFlight()
	return sends + posts + s.model.InFlight() + s.shop.inFlight()
}

// traffic ends in two steps.
type traffic struct {
	// writing ends when no new message shall be written, posting when what is
	// not acknowledged by then shall be given up.
	writing, posting context.Context
	// end ends writing, force both.
	end, force context.CancelFunc
}

// begin makes what traffic ends with; halt must follow.
func (s *stage) begin(ctx context.Context) *traffic {
	s.all, s.stop = context.WithCancel(ctx)
	t := &traffic{}
	t.posting, t.force = context.WithCancel(s.all)
	t.writing, t.end = context.WithCancel(t.posting)
	return t
}

// open begins, and starts customers, desk and feeds.
func (s *stage) open(ctx context.Context, seed uint64) *traffic {
	t := s.begin(ctx)
	for _, k := range s.world.Keys {
		f := newFeed(s, k.Tenant, k.Secret, func(e *child.Event) {
			s.desk.notice(t.writing, e)
			if s.onEvent != nil {
				s.onEvent(e)
			}
		})
		s.feeds[k.Tenant] = f
		s.done.Go(func() { f.follow(s.all) })
	}
	people := s.correspondents()
	n := s.o.Traffic.Writers
	for i := range n {
		w := &writer{stage: s, r: rand.New(rand.NewPCG(seed, uint64(i)+1))}
		for at := i; at < len(people); at += n {
			w.people = append(w.people, people[at])
		}
		if len(w.people) > 0 {
			s.writers.Go(func() { w.write(t.writing, t.posting) })
		}
	}
	if !s.o.Traffic.NoPeople {
		s.writers.Go(func() { s.desk.write(t.writing, rand.New(rand.NewPCG(seed, 0x6465736b))) })
		s.writers.Go(func() { s.desk.takeOver(t.writing, rand.New(rand.NewPCG(seed, 0x74616b65))) })
	}
	return t
}

// post posts a delivery once.
func (s *stage) post(ctx context.Context, d *metasim.Delivery) (status int, err error) {
	began := time.Now()
	status, err = s.graph.PostOnce(ctx, d)
	if s.posted != nil {
		s.posted(d, exchange{began: began, ended: time.Now(), status: status})
	}
	return status, err
}

// deliver posts a delivery until it is acknowledged; false when ctx ended first.
func (s *stage) deliver(ctx context.Context, d *metasim.Delivery) bool {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		if status, err := s.post(ctx, d); err == nil && status == http.StatusOK {
			return true
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return false
		}
	}
}

// halt ends whatever still runs and waits for it.
func (s *stage) halt() {
	s.stop()
	s.writers.Wait()
	s.done.Wait()
}

// drain ends the traffic and waits until nothing is owed, at most Options.drain:
// what is still owed then, the audit finds. It returns ctx's error.
func (s *stage) drain(ctx context.Context, t *traffic) error {
	t.end()
	giveUp := time.AfterFunc(s.o.drain, t.force)
	defer giveUp.Stop()
	s.writers.Wait()
	limited, cancel := context.WithTimeout(ctx, s.o.drain)
	defer cancel()
	_ = s.graph.Settle(limited)
	quiet := 500*time.Millisecond + 3*s.o.ReconcileAfter
	for tenant, f := range s.feeds {
		for !f.drained(quiet) && limited.Err() == nil {
			pause(limited, 20*time.Millisecond)
		}
		if limited.Err() != nil {
			open, waiting, example := f.debts()
			fmt.Fprintf(s.o.Log, "%s did not drain within %v: %d sends open, %d conversations waiting, such as %s\n", tenant, s.o.drain, open, waiting, example)
		}
	}
	// Reports of the last sends may have been made meanwhile.
	_ = s.graph.Settle(limited)
	return ctx.Err()
}

// ledgers begins a book with what everybody but the engine knows. Everything
// must have stopped.
func (s *stage) ledgers() *Book {
	b := &Book{World: s.world, ReconcileAfter: s.o.ReconcileAfter, Exported: map[string][]child.Event{},
		Shown: map[string][]child.Event{}, Arrivals: s.graph.Arrivals(), Sends: s.graph.Sends(), Uses: s.shop.uses()}
	b.Requests, b.Takeovers = s.desk.ledger()
	for tenant, f := range s.feeds {
		b.Shown[tenant] = f.events()
	}
	return b
}

// keep removes the directory of a green segment; that of a red one stays, with
// the book in it.
func (s *stage) keep(seg *Segment, book *Book) error {
	if !seg.Tally.Red() && !s.o.Keep {
		return os.RemoveAll(s.dir)
	}
	seg.Kept = s.dir
	if book == nil {
		return nil
	}
	f, err := os.Create(filepath.Join(s.dir, "book.json"))
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return errors.Join(json.NewEncoder(f).Encode(book), f.Close())
}
