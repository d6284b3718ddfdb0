package torture

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench"
)

// noReplies keeps turns out of a run: no customer pauses for that long.
const noReplies = 24 * time.Hour

// silentTraffic has many customers, as each waits for its acknowledgement.
var silentTraffic = Traffic{Tenants: 16, Customers: 250, Writers: 1, NoPeople: true}

// killLeaders is a segment that kills leaders under a steady load.
func (s *siege) killLeaders(ctx context.Context, c *cluster, seg *Segment) error {
	t := c.begin(ctx)
	defer c.halt()
	l := &arrivals{s: c.stage, rate: s.o.Rate, r: rand.New(rand.NewPCG(seg.Seed, 0x72617465))}
	c.writers.Go(func() { l.post(t.writing, t.posting) })
	book, err := s.play(ctx, seg, t, &nemesis{c: c, posting: t.posting, done: seg.Cluster.Faults}, s.leaders)
	if err != nil {
		return err
	}
	seg.Cluster.Posted, seg.Cluster.Late = l.posted.Load(), l.late.Load()
	return c.keep(seg, book)
}

// leaders kills the leader of the most groups, again and again.
func (s *siege) leaders(ctx context.Context, m *nemesis) error {
	pause(ctx, 2*time.Second)
	for n := range s.o.LeaderKills {
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
		s.say(fmt.Sprintf("kill %d of %d: node %d, leader of %d groups", n+1, s.o.LeaderKills, most.number, len(seen.LedBy(most.number))))
		if err := m.kill(ctx, Fault{Kind: KillLeader, Lasts: 3 * time.Second}, most); err != nil {
			return err
		}
		if err := m.recovered(ctx); err != nil {
			return err
		}
		if pause(ctx, time.Second); ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// arrivals posts messages at a rate, whether earlier ones were acknowledged or
// not, each of a customer who has none under way.
type arrivals struct {
	s    *stage
	rate float64
	r    *rand.Rand
	// posted counts messages begun; late those that were due when every
	// customer was waiting, which begin as soon as one is not.
	posted, late atomic.Int64
}

// post posts until writing ends, and what is under way until posting does.
func (l *arrivals) post(writing, posting context.Context) {
	var idle chan correspondent
	var people []correspondent
	for _, a := range bench.Accounts(l.s.world) {
		for n := range l.s.o.Traffic.Customers {
			people = append(people, person(a, n))
		}
	}
	l.r.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	idle = make(chan correspondent, len(people))
	for _, p := range people {
		idle <- p
	}
	begin := time.Now()
	voice := &writer{stage: l.s, r: l.r}
	for n := 0; writing.Err() == nil; n++ {
		due := begin.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			pause(writing, wait)
		}
		var who correspondent
		select {
		case who = <-idle:
		default:
			l.late.Add(1)
			select {
			case who = <-idle:
			case <-writing.Done():
				return
			}
		}
		d, err := l.s.graph.NewDelivery(voice.text(who))
		if err != nil {
			panic(err) // one update always encodes
		}
		l.posted.Add(1)
		l.s.writers.Go(func() {
			if l.s.deliver(posting, d) {
				idle <- who
			}
		})
	}
}
