package torture

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/bench/netns"
)

// siege is a run against a cluster: one segment after the other, in one
// network.
type siege struct {
	o      Options
	net    *netns.Network
	report *Report
	began  time.Time
	before time.Duration // of earlier runs
	until  time.Time     // zero without a limit
	deck   *deck
	quiet  func() // ends the progress lines

	// What the progress line shows of the segment under way.
	mu    sync.Mutex
	doing string
	foe   *nemesis
}

// newSiege builds the network and begins to log.
func newSiege(o Options, report *Report, seed uint64) (*siege, error) {
	net, err := netns.New(o.Nodes)
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	if report.Cluster == nil {
		report.Cluster = newClusterTotals()
	}
	s := &siege{o: o, net: net, report: report, began: time.Now(), before: report.Took, deck: newDeck(seed), doing: "starting"}
	if o.Duration > 0 {
		s.until = s.began.Add(o.Duration)
	}
	s.quiet = child.EveryFew(s.progress)
	return s, nil
}

func (s *siege) close() error {
	s.quiet()
	return s.net.Close()
}

// besiege runs segments until kills or time are over.
func besiege(ctx context.Context, o Options, report *Report) (*Report, error) {
	seed := o.Seed + uint64(report.Segments)*1_000_003
	s, err := newSiege(o, report, seed)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.segments(ctx, seed), s.close()); err != nil {
		return nil, err
	}
	if o.CatchUp > 0 {
		report.Skipped = report.lackingCatchUp(o)
	} else {
		report.Skipped = report.lacking(o.LeaderKills > 0)
	}
	return report.finish(o)
}

// segments runs them; a red one is the last, what follows would only repeat it.
// When ctx ends, those that were audited remain.
func (s *siege) segments(ctx context.Context, seed uint64) error {
	for n := uint64(0); n == 0 || s.more(); n++ {
		seg, err := s.segment(ctx, seed+7919*n)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		s.report.add(seg)
		s.report.Took = s.before + time.Since(s.began)
		if seg.Tally.Red() {
			fmt.Fprintf(s.o.Log, "RED: %s (kept in %s)\n", seg.Tally.Names(), seg.Kept)
		}
		if s.o.Resume != "" {
			if err := s.report.write(s.o.Resume); err != nil {
				return err
			}
		}
		if s.o.silent() {
			return nil
		}
	}
	return nil
}

// more reports whether another fault, or another segment, shall begin.
func (s *siege) more() bool {
	if s.report.Tally.Red() {
		return false
	}
	if !s.until.IsZero() {
		return time.Now().Before(s.until)
	}
	return s.report.Cluster.Kills+s.killed() < int64(s.o.Kills)
}

// killed counts the nodes killed in the segment under way.
func (s *siege) killed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.foe == nil {
		return 0
	}
	return s.foe.kills.Load()
}

func (s *siege) say(what string) {
	s.mu.Lock()
	s.doing = what
	s.mu.Unlock()
}

// progress logs a line.
func (s *siege) progress() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var acked, kills, refused int64
	if s.foe != nil {
		kills, acked = s.foe.kills.Load(), s.foe.c.acked.Load()
		refused = s.foe.c.counters.counted(seriesAppends)
	}
	fmt.Fprintf(s.o.Log, "%v: %s; %d nodes killed, %d webhooks acknowledged, %d stale appends refused; audited: %d segments, %d messages\n",
		time.Since(s.began).Round(time.Second), s.doing, kills, acked, refused, s.report.Segments, s.report.Tally.Chances[ChanceMessages])
}

// segment starts a cluster, harms it, lets it settle and audits it. The error
// says why there is nothing to audit; a broken promise is in the tally.
func (s *siege) segment(ctx context.Context, seed uint64) (*Segment, error) {
	s.say("starting a cluster")
	o := s.o
	if o.silent() {
		o.QuietPeriod, o.Traffic = noReplies, silentTraffic
	}
	c, err := openCluster(ctx, o, seed, s.net)
	if err != nil {
		return nil, err
	}
	defer func() {
		c.close()
		if ctx.Err() != nil {
			_ = os.RemoveAll(c.dir) // nothing was found in it
		}
	}()
	seg := &Segment{Seed: seed, Tally: newTally(), Cluster: newClusterTotals()}
	if err := c.locate(ctx); err != nil {
		return nil, err
	}
	switch {
	case o.LeaderKills > 0:
		return seg, s.killLeaders(ctx, c, seg)
	case o.CatchUp > 0:
		return seg, s.catchUp(ctx, c, seg)
	}
	return seg, s.harm(ctx, c, seg)
}

// attend lets the progress line show a nemesis at work.
func (s *siege) attend(m *nemesis) {
	s.mu.Lock()
	s.foe = m
	s.mu.Unlock()
}
