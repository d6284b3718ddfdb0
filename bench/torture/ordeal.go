package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// ordeal is one trial of a fault of the machine: an engine on a stage and a store
// of its own. Its methods are called by one goroutine.
type ordeal struct {
	*slot
	// number counts the trials of the fault from 0.
	number  int
	r       *rand.Rand
	orders  *orders
	answers *answers
	traffic *traffic
	// out takes what the fault itself shows, v the rest.
	out *Tally
	v   *Verdict
	// small is true when the data directory is on a small disk of its own.
	small bool
	// erased is the conversation of who was erased.
	erased string
	// prison is where the engine runs when its memory shall be limited.
	prison *prison
	// undo takes away what was made on the machine, last first.
	undo []func() error
}

// errSkip is wrapped when this machine cannot show a fault.
var errSkip = errors.New("torture: not here")

// drill is how a fault is tried.
type drill struct {
	// change says what the engine and the traffic must be like. Can be nil.
	change func(*Options)
	// prepare is called before the engine is started the first time. Can be nil.
	prepare func(*ordeal) error
	// act does the harm. It finds the engine running, unless calm says that it is to
	// be started by act, and may leave it running or not.
	act  func(context.Context, *ordeal) error
	calm bool
	// amend takes from the ledgers what the engine was told to forget. Can be nil.
	amend func(*ordeal, *Book)
	// after looks at the store that was audited. Can be nil.
	after func(context.Context, *ordeal, *Book) error
}

// HostTraffic is the load while the machine is harmed: what counts is the moment
// of the harm, not the number of messages. There are many customers, as each may be
// sent one message in six seconds.
var HostTraffic = Traffic{Tenants: 4, Customers: 150, Writers: 12, Think: 40 * time.Millisecond,
	Repeated: 0.2, Batched: 0.15, GraphFaults: 0.5, ModelFaults: 0.5}

// trial runs one and audits it. A broken promise is in the segment's tally; the
// error says why there is none.
func (d drill) trial(ctx context.Context, o Options, v *Verdict, number int, seed uint64) (*Segment, error) {
	if d.change != nil {
		d.change(&o)
	}
	s, err := openSlot(o, seed)
	if err != nil {
		return nil, err
	}
	x := &ordeal{slot: s, number: number, r: rand.New(rand.NewPCG(seed, 0x6f726465)), orders: newOrders(s.dir), answers: &answers{}, out: newTally(), v: v}
	s.start.Env = append(s.start.Env[:len(s.start.Env):len(s.start.Env)], x.orders.env())
	s.posted = x.answers.posted
	seg, book, err := d.play(ctx, x, seed)
	s.close()
	for i := len(x.undo) - 1; i >= 0; i-- {
		err = errors.Join(err, x.undo[i]())
	}
	if err != nil || ctx.Err() != nil {
		_ = os.RemoveAll(s.dir) // nothing was found in it
		return nil, errors.Join(err, ctx.Err())
	}
	return seg, s.keep(seg, book)
}

func (d drill) play(ctx context.Context, x *ordeal, seed uint64) (*Segment, *Book, error) {
	if d.prepare != nil {
		if err := d.prepare(x); err != nil {
			return nil, nil, err
		}
	}
	if err := x.equip(ctx); err != nil {
		return nil, nil, err
	}
	if x.o.silent() {
		x.traffic = x.begin(ctx)
	} else {
		x.traffic = x.open(ctx, seed)
	}
	defer x.halt()
	seg := &Segment{Seed: seed, Kills: map[string]int64{}}
	var err error
	if !d.calm {
		err = x.up(ctx)
	}
	if err == nil {
		err = d.act(ctx, x)
	}
	if ctx.Err() != nil || errors.Is(err, errSkip) {
		return nil, nil, err
	}
	if err != nil {
		x.out.breach(NotReady, "%v", err)
	}
	book, err := x.end(ctx, seg, x.out, x.traffic, err != nil, func(b *Book) {
		if d.amend != nil {
			d.amend(x, b)
		}
	})
	if err == nil && d.after != nil && !seg.Tally.Red() {
		x.out = newTally()
		err = d.after(ctx, x, book)
		seg.Tally.Add(x.out)
	}
	return seg, book, err
}

// gone waits until the engine has ended, and points nobody to it any more; false
// when it has not in time.
func (x *ordeal) gone(ctx context.Context, in time.Duration) bool {
	limited, cancel := context.WithTimeout(ctx, in)
	defer cancel()
	select {
	case <-x.engine.Done():
		x.at.Store(nil)
		return true
	case <-limited.Done():
		return false
	}
}

// down kills the engine.
func (x *ordeal) down() {
	x.engine.Kill()
	x.at.Store(nil)
}

// busy lets the traffic run for about d.
func (x *ordeal) busy(ctx context.Context, d time.Duration) {
	pause(ctx, d/2+time.Duration(x.r.Int64N(int64(d))))
}

// firstAck waits for the answer to a webhook that was posted after a moment and
// acknowledged, and returns when it came. An engine that ends meanwhile is
// started again, as whatever supervises it would.
func (x *ordeal) firstAck(ctx context.Context, from time.Time, in time.Duration) (time.Time, bool) {
	for time.Since(from) < in && ctx.Err() == nil {
		for _, a := range x.answers.begun(from, time.Time{}) {
			if a.status == 200 {
				return a.ended, true
			}
		}
		if x.gone(ctx, 20*time.Millisecond) {
			x.v.Outcomes["starts by the supervisor"]++
			if err := x.up(ctx); err != nil {
				var died *child.DiedError
				if !errors.As(err, &died) {
					return time.Time{}, false
				}
			}
		}
	}
	return time.Time{}, false
}

// afflict tries each fault so many times.
func afflict(ctx context.Context, o Options, report *Report) (*Report, error) {
	began, before := time.Now(), report.Took
	stop := child.EveryFew(func() {
		fmt.Fprintf(o.Log, "%v: %d trials audited\n", time.Since(began).Round(time.Second), report.Segments)
	})
	defer stop()
	for _, f := range o.Faults {
		v := report.verdictOf(f)
		for n := 0; n < o.Trials && v.Skipped == "" && !v.Tally.Red() && ctx.Err() == nil; n++ {
			seed := o.Seed + uint64(report.Segments)*1_000_003
			seg, err := tryHost(ctx, o, f, v, n, seed)
			switch {
			case ctx.Err() != nil:
			case errors.Is(err, errSkip):
				v.Skipped = err.Error()
			case err != nil:
				return nil, fmt.Errorf("%s: %w", f, err)
			default:
				v.Trials++
				v.Tally.Add(seg.Tally)
				report.add(seg)
				report.Took = before + time.Since(began)
				fmt.Fprintf(o.Log, "%v: %s, trial %d of %d: %s\n", time.Since(began).Round(time.Second), f, n+1, o.Trials, v.word())
			}
		}
		if f == SyncError && !v.Red() && ctx.Err() == nil {
			p, err := liar(ctx, o)
			if err != nil {
				return nil, err
			}
			report.Plants = append(report.Plants, p)
		}
	}
	return report.finish(o)
}

// tryHost makes one trial.
func tryHost(ctx context.Context, o Options, f HostFault, v *Verdict, number int, seed uint64) (*Segment, error) {
	switch f {
	case SyncError:
		return drill{act: syncError, calm: true}.trial(ctx, o, v, number, seed)
	case DiskFull:
		return fullDisk.trial(ctx, o, v, number, seed)
	case SyncStall:
		return drill{change: quietly, act: syncStall}.trial(ctx, o, v, number, seed)
	case LeaderStall:
		return leaderStall(ctx, o, v, seed)
	case BitFlip:
		return drill{act: restarts, after: flips}.trial(ctx, o, v, number, seed)
	case OOMKill:
		return drill{prepare: (*ordeal).confine, act: starve}.trial(ctx, o, v, number, seed)
	case ClockStep:
		return drill{act: stepClock, amend: skewed}.trial(ctx, o, v, number, seed)
	}
	return nil, fmt.Errorf("torture: unknown fault %q", f)
}

// liesDisk names the control: a disk that says it wrote what it did not.
const liesDisk = "lying-disk"

// liarDrain is short: what such an engine owes, it may never do.
const liarDrain = 10 * time.Second

// liar shows that an engine on a disk that loses what it acknowledged is found
// out. If it were not, trials that find nothing would mean nothing.
func liar(ctx context.Context, o Options) (Planting, error) {
	p := Planting{Bug: liesDisk}
	o.drain = liarDrain
	began := time.Now()
	for n := range plantSegments {
		seg, err := drill{act: lyingDisk}.trial(ctx, o, newVerdict(SyncError), n, o.Seed+uint64(n)*7919)
		if err != nil {
			return p, fmt.Errorf("%s: %w", liesDisk, err)
		}
		p.Kills++
		if seg.Tally.Red() {
			p.Found, p.By = true, seg.Tally.Names()
			removeKept(seg)
			break
		}
	}
	p.Took = time.Since(began)
	return p, nil
}
