package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/netns"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const (
	// stallFor is how long no sync returns.
	stallFor = 30 * time.Second
	// stallBase is the time before it in which the engine warms up, stallAfter what is
	// still watched when it is over.
	stallBase, stallAfter = 5 * time.Second, 5 * time.Second
	// stallRate is the load in POSTs a second, whether earlier ones were answered or
	// not. Each is of a customer who writes once, and none is repeated.
	stallRate = 100
	// stallBurst is how many POSTs come at once before the stall: about what waits
	// at its end, as each waits eight seconds and is answered 503 then.
	stallBurst = 800
	// stallSlack is how much later than those, counted from the end of the stall, what
	// waited for it may be acknowledged.
	stallSlack = 50 * time.Millisecond
	// stallGrowth is how much more memory the engine may need in a stall: a fifth,
	// and stallRoom, as much as the store's own buffers grow by.
	stallGrowth = 5
	stallRoom   = 64 << 20
	// handoverIn is how soon another node must lead what a stalled one led.
	handoverIn = 10 * time.Second
)

// quietly leaves answers out, so that what is measured is webhooks alone.
func quietly(o *Options) {
	o.mute, o.QuietPeriod = true, noReplies
	o.Traffic = Traffic{Tenants: 8, Customers: 500, Writers: 1, NoPeople: true}
	o.perIPMax = connsPerIP
}

// syncStall lets no sync return for a while, under a steady load. What waits at
// its end is acknowledged no later than as many POSTs that come at once are on a
// disk that is well: that is what this machine can do.
func syncStall(ctx context.Context, x *ordeal) error {
	people := x.correspondents()
	x.r.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	x.steadily(people[stallBurst:])
	pause(ctx, stallBase)
	var o stallSeen
	var burst sync.WaitGroup
	o.burst = time.Now()
	for _, who := range people[:stallBurst] {
		burst.Go(func() { x.once(who) })
	}
	o.memoryBase = x.heaviest(ctx, time.Second)
	burst.Wait()
	o.burstOver = time.Now()
	o.memoryBase = max(o.memoryBase, x.heaviest(ctx, stallBase))
	taken, err := x.orders.give(ctx, failpoint.Order{Stall: stallFor})
	if err != nil {
		return err
	}
	o.from, o.until = taken.Time, taken.Time.Add(stallFor)
	o.memory = x.heaviest(ctx, time.Until(o.until))
	pause(ctx, stallAfter)
	if x.gone(ctx, time.Millisecond) {
		return fmt.Errorf("torture: the engine ended in a stall of %v; see %s", stallFor, x.start.DataDir+".log")
	}
	o.list = x.answers.begun(o.burst, o.until)
	o.judge(x.out, x.v)
	return nil
}

// steadily has one customer after the other write at the rate, until the traffic
// ends.
func (x *ordeal) steadily(people []correspondent) {
	x.writers.Go(func() {
		begin := time.Now()
		for n, who := range people {
			pause(x.traffic.writing, time.Until(begin.Add(time.Duration(n)*time.Second/stallRate)))
			if x.traffic.writing.Err() != nil {
				return
			}
			x.writers.Go(func() { x.once(who) })
		}
	})
}

// once posts a message of a customer, whatever comes of it.
func (x *ordeal) once(who correspondent) {
	u := x.graph.Text(who.account, who.customer, "")
	u.Text = fmt.Sprintf("%s %s says #%d", who.account.Name, who.customer.ID, u.Number)
	d, err := x.graph.NewDelivery(u)
	if err != nil {
		panic(err) // one update always encodes
	}
	_, _ = x.post(x.traffic.posting, d) // answers has what came of it
}

// heaviest samples the engine's resident memory for a while.
func (x *ordeal) heaviest(ctx context.Context, d time.Duration) int64 {
	most := int64(0)
	for end := time.Now().Add(d); time.Now().Before(end) && ctx.Err() == nil; pause(ctx, memoryEvery) {
		if status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.engine.Pid())); err == nil {
			most = max(most, statusOf(string(status), "VmRSS:"))
		}
	}
	return most
}

// stallSeen is what was seen of a stall.
type stallSeen struct {
	// burst and burstOver bound the burst before it, from and until the stall.
	burst, burstOver, from, until time.Time
	// list are the POSTs that began between burst and until.
	list []exchange
	// memoryBase and memory are the most resident before and in the stall, in bytes.
	memoryBase, memory int64
}

func (o *stallSeen) judge(t *Tally, v *Verdict) {
	var base, late []time.Duration
	for _, a := range o.list {
		switch {
		case a.status == http.StatusServiceUnavailable && a.ended.After(o.from):
			v.Outcomes["POSTs answered 503 in a stall"]++
		case a.status != http.StatusOK:
		case !a.ended.After(o.burstOver):
			base = append(base, a.ended.Sub(a.began))
			v.took("ack in a burst before the stall", a.ended.Sub(a.began))
		case a.ended.After(o.until):
			late = append(late, a.ended.Sub(o.until))
			v.took("ack of what waited, after the stall", a.ended.Sub(o.until))
		}
	}
	v.weighed("resident before a stall", o.memoryBase)
	v.weighed("resident in a stall", o.memory)
	v.Outcomes["POSTs that waited for the end of a stall"] += int64(len(late))
	t.Chances[ChanceStalls]++
	if got, allowed := quantile(late, 0.99), stallSlack+quantile(base, 0.99); got > allowed {
		t.breach(LateAfterStall, "p99 of what waited is %v after the stall, of a burst on a disk that is well %v", got, allowed-stallSlack)
	}
	if allowed := o.memoryBase + o.memoryBase/stallGrowth + stallRoom; o.memory > allowed {
		t.breach(Swelled, "%d MiB resident in the stall, %d MiB before", o.memory/mib, o.memoryBase/mib)
	}
}

// leaderStall stalls the disk of the node that leads most groups of a cluster of
// three, and measures when all of them are written to again elsewhere.
func leaderStall(ctx context.Context, o Options, v *Verdict, seed uint64) (*Segment, error) {
	o.Nodes = nodesLeast
	quietly(&o)
	o.orders = true
	net, err := netns.New(o.Nodes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSkip, err)
	}
	s := &siege{o: o, net: net, report: newReport(Build{}), began: time.Now()}
	seg, err := s.stallLeader(ctx, v, seed)
	if closed := net.Close(); err == nil {
		err = closed
	}
	return seg, err
}

// stallLeader is the segment.
func (s *siege) stallLeader(ctx context.Context, v *Verdict, seed uint64) (*Segment, error) {
	c, err := openCluster(ctx, s.o, seed, s.net)
	if err != nil {
		return nil, err
	}
	defer c.close()
	seg := &Segment{Seed: seed, Tally: newTally(), Kills: map[string]int64{}, Cluster: newClusterTotals()}
	if err := c.locate(ctx); err != nil {
		return nil, err
	}
	t := c.begin(ctx)
	defer c.halt()
	l := &arrivals{s: c.stage, rate: stallRate, r: rand.New(rand.NewPCG(seed, 0x72617465))}
	c.writers.Go(func() { l.post(t.writing, t.posting) })
	book, err := s.play(ctx, seg, t, &nemesis{c: c, posting: t.posting, done: seg.Cluster.Faults},
		func(ctx context.Context, m *nemesis) error { return stallOne(ctx, m, seg.Tally, v) })
	if err != nil {
		return nil, err
	}
	for _, d := range seg.Cluster.Gaps.First {
		v.took("first group written to again", d)
	}
	for _, d := range seg.Cluster.Gaps.Last {
		v.took("every group written to again", d)
	}
	// It adds nothing to the totals of clusters: no node was killed.
	seg.Cluster = nil
	return seg, c.keep(seg, book)
}

// stallOne stalls the leader of the most groups.
func stallOne(ctx context.Context, m *nemesis, t *Tally, v *Verdict) error {
	pause(ctx, stallBase)
	seen, _, err := m.c.ask(ctx)
	if err != nil {
		return err
	}
	most := m.c.nodes[0]
	for _, other := range m.c.nodes {
		if len(seen.LedBy(other.number)) > len(seen.LedBy(most.number)) {
			most = other
		}
	}
	led := seen.LedBy(most.number)
	most.harmed.Add(1)
	defer most.harmed.Add(-1)
	taken, err := most.orders.give(ctx, failpoint.Order{Stall: stallFor})
	if err != nil {
		return err
	}
	if !m.c.recovery.killed(taken.Time, led) {
		return fmt.Errorf("torture: node %d leads no group with tenants", most.number)
	}
	pause(ctx, handoverIn-time.Since(taken.Time))
	judgeHandover(t, m.c.recovery.waiting() == 0, len(led))
	pause(ctx, time.Until(taken.Time.Add(stallFor)))
	v.Outcomes["groups led by nodes that stalled"] += int64(len(led))
	return m.recovered(ctx)
}

func judgeHandover(t *Tally, done bool, groups int) {
	t.Chances[ChanceHandovers]++
	if !done {
		t.breach(NotHandedOver, "not all of %d groups were written to again within %v of the stall of their leader", groups, handoverIn)
	}
}
