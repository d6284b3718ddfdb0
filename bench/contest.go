package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// The rows of the peers part.
const (
	RowClosed = "closed"
	RowOpen   = "open"
)

// firstWarm is how many times longer the first load of a store is warmed up: some
// runtimes compile what they run only then.
const firstWarm = 10

// contest is the peers part: every contender in turn, there and back.
type contest struct {
	*runner
	out *PeerReport
	// last is the rate each search ended with, took how long each contender's
	// latest round lasted.
	last map[string]float64
	took map[string]time.Duration
}

// skipped is an error in one line, for a table.
func skipped(n int, err error) string {
	const longest = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	return fmt.Sprintf("failed in round %d: %.*s", n, longest, text)
}

// peers measures the engine, the bare handlers and the peers in the same rounds.
func (r *runner) peers(ctx context.Context) error {
	list, err := r.contenders(ctx)
	if err != nil {
		return err
	}
	// A store that runs as a user of its own must reach its directory.
	if err := os.Chmod(r.dir, 0o711); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	c := &contest{runner: r, last: map[string]float64{}, took: map[string]time.Duration{},
		out: &PeerReport{Contenders: list, Conns: r.o.PeerConns, Warm: r.o.PeerWarm, Measure: r.o.PeerMeasure, Repeats: r.o.PeerRounds}}
	r.report.Peers = c.out
	for i := range list {
		if list[i].Skipped != "" {
			r.logf("peers: %s skipped: %s", list[i].Name, list[i].Skipped)
		}
	}
	if err := c.each(ctx, 0, c.countSyncs); err != nil {
		return err
	}
	for n := 1; n <= r.o.PeerRounds; n++ {
		if !c.timeFor(n) {
			break
		}
		if err := c.each(ctx, n, func(ctx context.Context, x *Contender) error { return c.round(ctx, n, x) }); err != nil {
			return err
		}
	}
	c.out.sum()
	return nil
}

// each calls f for every contender that takes part, in the order of round n, and once
// more where it fails. One that fails again takes part no more; the engine must not.
func (c *contest) each(ctx context.Context, n int, f func(context.Context, *Contender) error) error {
	for _, i := range inTurn(n, len(c.out.Contenders)) {
		x := &c.out.Contenders[i]
		if x.Skipped != "" {
			continue
		}
		if c.late(n, x.Name) {
			c.out.Cut = fmt.Sprintf("time was up in round %d", n)
			return nil
		}
		begin := time.Now()
		err := f(ctx, x)
		if err != nil && ctx.Err() == nil && !c.late(n, x.Name) {
			c.logf("peers: %s is tried again: %s", x.Name, skipped(n, err))
			err = f(ctx, x)
		}
		c.took[x.Name] = time.Since(begin)
		switch {
		case err == nil:
		case ctx.Err() != nil || x.Name == TargetEngine:
			return fmt.Errorf("%s: %w", x.Name, err)
		default:
			x.Skipped = skipped(n, err)
			c.logf("peers: %s %s", x.Name, x.Skipped)
		}
	}
	return nil
}

// late reports whether a contender's round n would end after the time of the whole
// run: by what its round before took, or by what a round may take.
func (c *contest) late(n int, name string) bool {
	if c.o.Within == 0 {
		return false
	}
	need := c.took[name]
	if n == 1 {
		const around = 10 * time.Second // to start, kill and audit
		loads := time.Duration(1 + firstTries + (len(c.o.PeerConns)-1)*(1+laterTries))
		need = around + firstWarm*c.o.PeerWarm + loads*(c.o.PeerWarm+c.o.PeerMeasure)
	}
	return time.Since(c.began)+need > c.o.Within
}

// timeFor reports whether round n, the like of the one before, ends in time.
func (c *contest) timeFor(n int) bool {
	if c.o.Within == 0 || n == 1 {
		return true
	}
	var sum time.Duration
	for _, d := range c.took {
		sum += d
	}
	if left := c.o.Within - time.Since(c.began); sum > left {
		c.out.Cut = fmt.Sprintf("%d of %d rounds: another takes %v, and %v were left", n-1, c.o.PeerRounds,
			sum.Round(time.Second), max(0, left).Round(time.Second))
		c.logf("peers: %s", c.out.Cut)
		return false
	}
	return true
}

// stand starts a contender on an empty store; within is a command that becomes it.
func (c *contest) stand(ctx context.Context, x *Contender, sims *simulators, within ...string) (*server, error) {
	s, err := c.prepare(x.Name, child.Config{QuietPeriod: neverQuiet}, sims)
	if err != nil {
		return nil, err
	}
	if x.peer {
		s.options.Binary = c.o.Peers
		s.options.Args = []string{"serve", "--kind", x.Name, "--addr", "127.0.0.1:0", "--dir", s.dir, "--secret", c.world.Apps[0].Secret}
	}
	s.options.Within = within
	if s.Engine, err = child.Start(ctx, s.options); err != nil {
		return nil, err
	}
	return s, nil
}

// surroundings are those of a contest's engine. It has no model: a turn waits no
// longer than 15 s, however long the quiet period is, and no contender replies.
func (c *contest) surroundings() (*simulators, error) {
	sims, err := newSimulators(c.world, c.o.Seed, simOptions{})
	if err == nil {
		sims.modelURL = ""
	}
	return sims, err
}

// round runs one contender: on one store, every number of connections in the closed
// loop, and then a search in the open one. Then it is killed and its store audited.
func (c *contest) round(ctx context.Context, n int, x *Contender) error {
	sims, err := c.surroundings()
	if err != nil {
		return err
	}
	defer sims.close()
	s, err := c.stand(ctx, x, sims)
	if err != nil {
		return err
	}
	defer s.kill()
	p := &pass{contest: c, n: n, x: x, server: s, sims: sims, acked: NewBitset(c.requests.Len())}
	for _, at := range inTurn(n, len(c.o.PeerConns)) {
		if err := p.closed(ctx, c.o.PeerConns[at]); err != nil {
			return err
		}
	}
	for _, at := range inTurn(n, len(c.o.PeerConns)) {
		if err := p.search(ctx, c.o.PeerConns[at]); err != nil {
			return err
		}
	}
	verdict, err := c.audit(ctx, x, s, p.acked)
	if err != nil {
		return err
	}
	for i := range p.rounds {
		p.rounds[i].Checked, p.rounds[i].Lost, p.rounds[i].Twice = verdict.Checked, verdict.Lost, verdict.Twice
	}
	c.out.Rounds = append(c.out.Rounds, p.rounds...)
	c.out.Searches = append(c.out.Searches, p.searches...)
	return nil
}

// audit kills a contender and compares what it acknowledged with what its store
// holds. A peer that lost something has no figures; the engine makes the run LOSSY.
func (c *contest) audit(ctx context.Context, x *Contender, s *server, acked *Bitset) (Verdict, error) {
	s.kill()
	if !x.stores() {
		return Verdict{}, os.RemoveAll(s.dir)
	}
	v, err := c.kept(ctx, x, s, acked)
	if err != nil {
		return v, err
	}
	c.out.Checked += v.Checked
	if v.Lost > 0 || v.Twice > 0 {
		c.out.Lossy = append(c.out.Lossy, x.Name)
		if x.peer {
			c.logf("peers: of %d messages that %s acknowledged %d are lost, %d doubled", v.Checked, x.Name, v.Lost, v.Twice)
		}
		return v, nil
	}
	return v, os.RemoveAll(s.dir)
}

// kept reads the store of a contender that was killed.
func (c *contest) kept(ctx context.Context, x *Contender, s *server, acked *Bitset) (Verdict, error) {
	if s.engine {
		return c.compare(ctx, s, acked)
	}
	o := newOracle(acked.Len())
	command := []string{s.options.Binary, "bench", "bound", "--audit", "--kind", x.Name, "--dir", s.dir}
	if x.peer {
		command = []string{c.o.Peers, "audit", "--kind", x.Name, "--dir", s.dir}
	}
	if command[0] == "" {
		self, err := os.Executable()
		if err != nil {
			return Verdict{}, fmt.Errorf("bench: %w", err)
		}
		command[0] = self
	}
	if err := readCommand(ctx, command, o.addIDs); err != nil {
		return Verdict{}, fmt.Errorf("bench: audit: %w", err)
	}
	return o.compare(acked, acked.Len()), nil
}

// countSyncs runs a contender once, shortly, for what one message costs in flushes
// of the disk. Nothing else of that round is used.
func (c *contest) countSyncs(ctx context.Context, x *Contender) error {
	sims, err := c.surroundings()
	if err != nil {
		return err
	}
	defer sims.close()
	trace, within := syncTracer(filepath.Join(c.dir, "syncs-"+x.Name))
	s, err := c.stand(ctx, x, sims, within...)
	if err != nil {
		return err
	}
	defer s.kill()
	_, sample, err := c.measure(ctx, s, Load{Conns: slices.Min(c.o.PeerConns), Warm: c.o.PeerWarm, Measure: c.o.PeerMeasure / 2, Wrap: !x.stores()}, sims)
	if err != nil {
		return err
	}
	count := SyncCount{Target: x.Name}
	messages := sample.Acked.Count()
	var calls float64
	switch {
	case sample.Failed() > 0:
		return fmt.Errorf("bench: %d requests were not answered 200 (%v)", sample.Failed(), sample.LastError)
	case !x.stores():
		count.Source = "stores nothing"
	case trace != nil:
		s.kill()
		calls, err = trace()
		count.Source = "strace"
	case s.engine:
		calls, err = engineSyncs(ctx, s.Ops)
		count.Source = "chumi_sync_seconds"
	}
	if err != nil {
		c.logf("peers: flushes of %s: %v", x.Name, err)
		count.Source = ""
	}
	if messages > 0 && count.Source != "" {
		count.PerMessage = calls / float64(messages)
	}
	c.out.Syncs = append(c.out.Syncs, count)
	if _, err := c.audit(ctx, x, s, sample.Acked); err != nil {
		return err
	}
	c.logf("peers 0/%d %5.0fs %-16s flushes per message: %s", c.o.PeerRounds, time.Since(c.began).Seconds(), x.Name, count)
	return nil
}
