package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const (
	// catchUpLog is how many entries each group keeps in this mode: few, so that a
	// node that was away for seconds needs a snapshot of every group.
	catchUpLog = 100
	// missedAgain is what the node misses, at least, when it has caught up and
	// shall be killed again.
	missedAgain = 2000
	// missedDeep is how many entries of a group a node must lack to need a
	// snapshot: a log is cut back to catchUpLog when it has twice as many.
	missedDeep = 2*catchUpLog + 50
	// fewLeft is the share of groups, one in so many, below which it misses more.
	fewLeft = 3
	// missIn bounds how long the others may take to commit what one misses.
	missIn = 20 * time.Minute
	// unreachedMax is how often in a row a step may not be reached.
	unreachedMax = 12
)

// catchUp is a segment in which a node misses commits and is killed while it
// takes in the snapshots it then needs.
func (s *siege) catchUp(ctx context.Context, c *cluster, seg *Segment) error {
	t := c.begin(ctx)
	defer c.halt()
	r := rand.New(rand.NewPCG(seg.Seed, 0x63617463))
	l := &arrivals{s: c.stage, rate: s.o.Rate, r: rand.New(rand.NewPCG(seg.Seed, 0x72617465))}
	c.writers.Go(func() { l.post(t.writing, t.posting) })
	seg.Cluster.CatchUp = newCatchUp()
	u := &catching{s: s, c: c, r: r, victim: c.nodes[r.IntN(len(c.nodes))], plan: newCatchPlan(r), out: seg.Cluster.CatchUp}
	u.memory = newMemory(c.nodes, u.victim)
	c.done.Go(func() { u.memory.watch(t.posting) })
	book, err := s.play(ctx, seg, t, &nemesis{c: c, posting: t.posting, done: seg.Cluster.Faults}, u.act)
	u.out.Memory = u.memory.peaks()
	u.out.Snapshots, u.out.SnapshotBytes = c.counters.counted(seriesSnapshots), c.counters.counted(seriesSnapshotBytes)
	if err != nil {
		return err
	}
	seg.Cluster.Posted, seg.Cluster.Late = l.posted.Load(), l.late.Load()
	return c.keep(seg, book)
}

// catching is one node on its way back, again and again.
type catching struct {
	s      *siege
	c      *cluster
	m      *nemesis
	r      *rand.Rand
	victim *node
	plan   *catchPlan
	memory *memory
	out    *CatchUp
}

// act has the node miss commits, kills it at the steps of installing snapshots,
// and lets it catch up at last.
func (u *catching) act(ctx context.Context, m *nemesis) error {
	u.m = m
	if pause(ctx, 3*time.Second); ctx.Err() != nil {
		return ctx.Err()
	}
	u.m.killed(ctx, u.victim)
	u.victim.harmed.Add(1)
	defer u.victim.harmed.Add(-1)
	if err := u.miss(ctx, u.s.o.Missed, floodBatch); err != nil {
		return err
	}
	for unreached := 0; u.out.killed() < int64(u.s.o.CatchUp); {
		left, err := u.left(ctx)
		if err != nil {
			return err
		}
		if left < len(u.c.groupsInUse())/fewLeft {
			// It would die in the same few groups again and again.
			if err := u.miss(ctx, missedAgain, 1); err != nil {
				return err
			}
			continue
		}
		p, n := u.plan.next(left, u.c.acked.Load()/int64(len(u.c.groupsInUse())))
		u.s.say(fmt.Sprintf("kill %d of %d, at %s %d, %d groups behind", u.out.killed()+1, u.s.o.CatchUp, p, n, left))
		hit, err := u.startAndDie(ctx, p, n)
		if err != nil {
			return err
		}
		u.plan.told(p, hit)
		if hit {
			unreached = 0
			u.out.Kills[string(p)]++
			continue
		}
		u.out.Unreached[string(p)]++
		if unreached++; unreached == unreachedMax {
			return fmt.Errorf("torture: none of %d starts came to the step it was to die at: was the executable built with -tags torture?", unreached)
		}
	}
	if err := u.miss(ctx, missedAgain, 1); err != nil {
		return err
	}
	return u.finish(ctx)
}

// startAndDie starts the node, armed, and returns when it has died at the step
// or, false, has caught up without meeting it and was killed for that.
func (u *catching) startAndDie(ctx context.Context, p failpoint.Point, n int64) (hit bool, err error) {
	u.memory.begin(phaseCatchUp)
	env := u.victim.start.Env
	u.victim.start.Env = append(env[:len(env):len(env)], fmt.Sprintf("CHUMI_FAILPOINT=%s:%d", p, n))
	defer func() { u.victim.start.Env = env }()
	defer u.victim.kill()
	err = u.c.restart(ctx, u.victim)
	if died := (*child.DiedError)(nil); errors.As(err, &died) && died.Killed {
		u.m.kills.Add(1)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e := u.victim.running()
	limited, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	for {
		select {
		case <-e.Done():
			if !e.Killed() {
				return false, u.victim.died()
			}
			u.m.kills.Add(1)
			return true, nil
		case <-limited.Done():
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			return false, fmt.Errorf("%w within %v: %s", errUnhealed, wholeIn, u.c.ailment(ctx))
		case <-time.After(100 * time.Millisecond):
		}
		if u.caughtUp(limited) {
			u.m.kills.Add(1)
			return false, nil
		}
	}
}

// left is how many groups with tenants the node needs a snapshot of, as their
// leaders see it.
func (u *catching) left(ctx context.Context) (int, error) {
	limited, cancel := context.WithTimeout(ctx, writableIn)
	defer cancel()
	for {
		if left, ok := u.lacking(limited, missedDeep); ok {
			return left, nil
		}
		if pause(limited, 100*time.Millisecond); limited.Err() != nil {
			return 0, errors.Join(errUnwritable, ctx.Err())
		}
	}
}

// lacking counts the groups of which the node lacks more than so many entries.
// False means that they cannot be counted now.
func (u *catching) lacking(ctx context.Context, entries uint64) (groups int, ok bool) {
	var seen []*child.Cluster
	for _, n := range u.c.nodes {
		if n.running() == nil {
			continue
		}
		if one, err := u.c.askNode(ctx, n); err == nil {
			seen = append(seen, one)
		}
	}
	return groupsBehind(seen, u.c.groupsInUse(), u.victim.number, entries)
}

// caughtUp reports whether the cluster is whole and the node has what the logs
// keep: a node that lacks more than those can still pass for whole.
func (u *catching) caughtUp(ctx context.Context) bool {
	behind, ok := u.lacking(ctx, catchUpLog)
	return ok && behind == 0 && u.c.ailment(ctx) == ""
}

// miss has the others commit at least so many commits that the node, which is
// down, misses, and so many entries of every group that it needs snapshots.
func (u *catching) miss(ctx context.Context, commits, batch int) error {
	u.s.say(fmt.Sprintf("node %d misses %d commits", u.victim.number, commits))
	first, quarter := u.out.Misses == 0, 1
	if first {
		u.memory.begin(phaseMiss(quarter))
	} else {
		u.memory.begin(phaseMore)
	}
	began, before := time.Now(), u.c.counters.counted(seriesCommits)
	over := u.c.flood(u.m.posting, u.r.Uint64(), batch)
	defer over()
	limited, cancel := context.WithTimeout(ctx, missIn)
	defer cancel()
	for {
		if pause(limited, 500*time.Millisecond); limited.Err() != nil {
			return errors.Join(fmt.Errorf("torture: %d commits were not made within %v", commits, missIn), ctx.Err())
		}
		missed := u.c.counters.counted(seriesCommits) - before
		if at := 1 + min(int(4*missed/int64(commits)), 3); first && at > quarter {
			quarter = at
			u.memory.begin(phaseMiss(quarter))
		}
		if missed < int64(commits) {
			continue
		}
		left, err := u.left(ctx)
		if err != nil {
			return err
		}
		if left == len(u.c.groupsInUse()) {
			break
		}
	}
	over()
	missed := u.c.counters.counted(seriesCommits) - before
	u.out.missed(missed)
	fmt.Fprintf(u.s.o.Log, "%v: node %d missed %d commits in %v\n", time.Since(u.s.began).Round(time.Second), u.victim.number, missed,
		time.Since(began).Round(time.Millisecond))
	return nil
}

// finish starts the node unarmed and measures how it catches up.
func (u *catching) finish(ctx context.Context) error {
	u.memory.begin(phaseCatchUp)
	u.s.say("the last catch-up")
	c := u.c.counters
	snapshots, bytes, commits, acked, began := c.counted(seriesSnapshots), c.counted(seriesSnapshotBytes), c.counted(seriesCommits),
		u.c.acked.Load(), time.Now()
	if err := u.c.restart(ctx, u.victim); err != nil {
		return err
	}
	for !u.caughtUp(ctx) {
		if err := u.victim.died(); err != nil {
			return err
		}
		if pause(ctx, 50*time.Millisecond); time.Since(began) > wholeIn || ctx.Err() != nil {
			return errors.Join(fmt.Errorf("%w within %v: %s", errUnhealed, wholeIn, u.c.ailment(ctx)), ctx.Err())
		}
	}
	f := &u.out.Last
	f.Took, f.Acked = time.Since(began), u.c.acked.Load()-acked
	for _, n := range u.c.nodes {
		if n != u.victim {
			u.c.scrape(ctx, n)
		}
	}
	f.Snapshots, f.Bytes, f.Commits = c.counted(seriesSnapshots)-snapshots, c.counted(seriesSnapshotBytes)-bytes, c.counted(seriesCommits)-commits
	return u.m.recovered(ctx)
}
