package torture

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// ErrRed is returned with a report that found a broken promise, a step never
// killed at, or a planted bug that went unnoticed.
var ErrRed = errors.New("torture: red")

// Run tortures until the kills or the time are over. It returns the report also
// with ErrRed; other errors mean that it could not torture. When ctx ends, the
// segments audited so far are the result.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	build, err := buildOf(o.Binary, o.Commit)
	if err != nil {
		return nil, err
	}
	report, err := resume(&o, build)
	if err != nil {
		return nil, err
	}
	report.Run = provenance(&o, build.Commit)
	switch {
	case len(o.Faults) > 0:
		return afflict(ctx, o, report)
	case o.Nodes > 0:
		return besiege(ctx, o, report)
	}
	run := &campaign{o: o, report: report, steps: stepsNamed(o.Steps), began: time.Now(), before: report.Took}
	run.killsLeft = o.Kills - int(report.Total())
	if o.Kills == 0 {
		run.killsLeft = int(^uint(0) >> 1)
	}
	if o.Duration > 0 {
		run.until = run.began.Add(o.Duration)
	}
	run.seed = o.Seed + uint64(report.Segments)*1_000_003
	stop := child.EveryFew(run.progress)
	err = run.engines(ctx)
	stop()
	if err != nil {
		return nil, err
	}
	report.Skipped = run.skipped()
	return report.finish(o)
}

// finish writes the report where it is wanted, and says whether it is red.
func (r *Report) finish(o Options) (*Report, error) {
	if o.Out != "" {
		if err := r.write(o.Out); err != nil {
			return nil, err
		}
	}
	if o.Markdown != "" {
		if err := writeWhole(o.Markdown, []byte(r.Markdown())); err != nil {
			return nil, err
		}
	}
	if r.Red() {
		return r, ErrRed
	}
	return r, nil
}

// resume reads the totals so far, or begins with none.
func resume(o *Options, build Build) (*Report, error) {
	report := newReport(build)
	if o.Resume != "" {
		b, err := os.ReadFile(o.Resume)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("torture: %w", err)
		default:
			if err := json.Unmarshal(b, report); err != nil {
				return nil, fmt.Errorf("torture: %s is not a report: %w", o.Resume, err)
			}
			if report.Build.SHA256 != build.SHA256 && !o.Force {
				return nil, fmt.Errorf("torture: %s holds totals of build %.12s, this is %.12s: start a new file, or force it",
					o.Resume, report.Build.SHA256, build.SHA256)
			}
			if report.Segments > 0 && (len(report.Faults) > 0) != (len(o.Faults) > 0) {
				return nil, fmt.Errorf("torture: %s holds totals of kills or of faults, this run is of the other: start a new file", o.Resume)
			}
			if report.Segments > 0 && len(o.Faults) == 0 && (report.Cluster != nil) != (o.Nodes > 0) {
				return nil, fmt.Errorf("torture: %s holds totals of single engines or of clusters, this run is of the other: start a new file", o.Resume)
			}
			report.Build, report.Skipped = build, nil
		}
	}
	if !slices.Contains(report.Seeds, o.Seed) {
		report.Seeds = append(report.Seeds, o.Seed)
	}
	return report, nil
}

// buildOf hashes an executable.
func buildOf(binary, commit string) (Build, error) {
	b := Build{Commit: commit}
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return b, fmt.Errorf("torture: %w", err)
		}
		binary = self
	}
	f, err := os.Open(binary)
	if err != nil {
		return b, fmt.Errorf("torture: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return b, fmt.Errorf("torture: %w", err)
	}
	b.SHA256 = hex.EncodeToString(h.Sum(nil))
	b.built(binary)
	return b, nil
}

// campaign shares the kills between engines.
type campaign struct {
	o      Options
	steps  []Step
	began  time.Time
	until  time.Time
	before time.Duration // of earlier runs

	mu        sync.Mutex
	report    *Report
	killsLeft int
	turn      int    // of the rotation over steps
	seed      uint64 // of the next segment
	killed    int64
	acked     int64
}

// engines runs segments side by side until the budget is used up.
func (c *campaign) engines(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range c.o.Engines {
		wg.Go(func() {
			for ctx.Err() == nil && c.more() {
				seg, err := runSegment(ctx, c.o, c.takeSeed(), c.takeSteps(), c.told)
				if err == nil {
					err = c.finished(seg)
				}
				if err != nil && ctx.Err() == nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		return cause
	}
	return nil
}

// more reports whether another segment shall begin. A red run stops: what
// follows would only repeat it.
func (c *campaign) more() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.killsLeft > 0 && !c.report.Tally.Red() && (c.until.IsZero() || time.Now().Before(c.until))
}

func (c *campaign) takeSeed() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seed += 7919
	return c.seed
}

// takeSteps hands a segment its steps, from one rotation over all of them.
func (c *campaign) takeSteps() nextStep {
	left := c.o.SegmentKills
	return func() (Step, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if left == 0 || c.killsLeft <= 0 || !c.until.IsZero() && time.Now().After(c.until) {
			return Step{}, false
		}
		left--
		c.killsLeft--
		s := c.steps[c.turn%len(c.steps)]
		c.turn++
		return s, true
	}
}

// told notes a kill; one that did not count is made up for.
func (c *campaign) told(k kill, acked int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.acked += acked
	if k.counted {
		c.killed++
	} else if c.o.Kills > 0 {
		c.killsLeft++
	}
}

// finished adds a segment to the totals and saves them.
func (c *campaign) finished(seg *Segment) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.report.add(seg)
	c.report.Took = c.before + time.Since(c.began)
	if seg.Tally.Red() {
		fmt.Fprintf(c.o.Log, "RED: %s (kept in %s)\n", seg.Tally.Names(), seg.Kept)
	}
	if c.o.Resume == "" {
		return nil
	}
	return c.report.write(c.o.Resume)
}

// skipped lists the chosen steps that no kill counted at.
func (c *campaign) skipped() []string {
	var out []string
	for _, s := range c.steps {
		if c.report.Kills[s.Name] == 0 {
			out = append(out, s.Name)
		}
	}
	return out
}

// progress logs a line.
func (c *campaign) progress() {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.o.Log, "%v: %d kills counted, %d webhooks acknowledged; audited: %d segments, %d kills, %d messages\n",
		time.Since(c.began).Round(time.Second), c.killed, c.acked, c.report.Segments, c.report.Total(), c.report.Tally.Chances[ChanceMessages])
}
