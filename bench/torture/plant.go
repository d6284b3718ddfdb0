package torture

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// control is the campaign without a bug; it must find nothing.
const control = "none"

// Planting is the campaign against one planted bug.
type Planting struct {
	Bug string `json:"bug"`
	// Found must be true, and false for the control.
	Found bool `json:"found"`
	// By names the rules that were broken.
	By    string        `json:"by"`
	Kills int64         `json:"kills"`
	Took  time.Duration `json:"took_ns"`
}

// A bug may hide for so many segments of so many kills, each with a short
// drain: an engine with a bug may never end.
const (
	plantSegments = 4
	plantKills    = 25
	plantDrain    = 40 * time.Second
	// plantFaults is a deck, about two minutes: a cluster is given one segment
	// of it.
	plantFaults = 15
)

// Plant runs a short campaign against each of the bugs of o.Planted and reports
// which were found; bugs are names, none means all. The directories of found
// bugs are not kept. It returns the report also with ErrRed, when a bug was not
// found.
// The first campaign is a control without a bug.
func Plant(ctx context.Context, o Options, bugs ...string) (*Report, error) {
	o.EnsureDefaults()
	if o.Planted != "" {
		o.Binary = o.Planted
	}
	build, err := buildOf(o.Binary, o.Commit)
	if err != nil {
		return nil, err
	}
	if o.Nodes > 0 {
		o.Engines = 1 // a process has one network
	}
	if len(bugs) == 0 {
		all := failpoint.Bugs()
		if o.Nodes == 0 {
			all = append(all, failpoint.ToolBugs()...)
		}
		for _, b := range all {
			bugs = append(bugs, string(b))
		}
	}
	bugs = append([]string{control}, bugs...)
	report := newReport(build)
	report.Run = provenance(&o, build.Commit)
	report.Plants = make([]Planting, len(bugs))
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		errs = make([]error, o.Engines)
	)
	for i := range o.Engines {
		wg.Go(func() {
			for errs[i] == nil {
				n := int(next.Add(1) - 1)
				if n >= len(bugs) {
					return
				}
				report.Plants[n], errs[i] = plant(ctx, o, failpoint.Bug(bugs[n]))
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return report.finish(o)
}

// right reports whether the campaign went as it must.
func (p *Planting) right() bool { return p.Found == (p.Bug != control) }

// plant tortures a build with one bug until it is found or has hidden for long
// enough.
func plant(ctx context.Context, o Options, bug failpoint.Bug) (Planting, error) {
	p := Planting{Bug: string(bug)}
	began := time.Now()
	o.env, o.drain, o.SegmentKills = []string{"CHUMI_PLANT=" + string(bug)}, plantDrain, plantKills
	o.Steps = lure(&o.Traffic, bug)
	segment, segments := plantedEngine, plantSegments
	if o.Nodes > 0 {
		segment, segments, o.SegmentKills = plantedCluster, 1, plantFaults
	}
	for n := range segments {
		seg, err := segment(ctx, o, o.Seed+uint64(n)*7919)
		if err != nil {
			return p, fmt.Errorf("plant %s: %w", bug, err)
		}
		p.Kills += seg.Total()
		if seg.Tally.Red() {
			p.Found, p.By = true, seg.Tally.Names()
			if bug != control {
				removeKept(seg)
			}
			break
		}
	}
	p.Took = time.Since(began)
	fmt.Fprintf(o.Log, "planted %s: found %v by %s (%d kills)\n", p.Bug, p.Found, p.By, p.Kills)
	return p, nil
}

// plantedEngine is a segment of one engine.
func plantedEngine(ctx context.Context, o Options, seed uint64) (*Segment, error) {
	steps, turn := stepsNamed(o.Steps), 0
	next := func() (Step, bool) {
		turn++
		return steps[(turn-1)%len(steps)], turn <= o.SegmentKills
	}
	return runSegment(ctx, o, seed, next, func(kill, int64) {})
}

// plantedCluster is a segment of a cluster.
func plantedCluster(ctx context.Context, o Options, seed uint64) (*Segment, error) {
	o.Kills, o.LeaderKills = math.MaxInt, 0 // the segment's length is the limit
	s, err := newSiege(o, newReport(Build{}), seed)
	if err != nil {
		return nil, err
	}
	seg, err := s.segment(ctx, seed)
	return seg, errors.Join(err, s.close())
}

// lure chooses the traffic and the steps at which a bug shows, and returns the
// steps; none means all.
func lure(t *Traffic, bug failpoint.Bug) []string {
	commit := []string{string(failpoint.CommitQueued), string(failpoint.BatchStaged), stepRandom}
	send := []string{stepGraphReceived, stepGraphReplying, stepGraphAnswered, string(failpoint.SendAnswered),
		string(failpoint.AttemptCommitted), string(failpoint.TurnRecorded), stepRandom}
	switch bug {
	case failpoint.BugForgetToolResult, failpoint.BugRepeatActingTool, failpoint.BugBudgetLeak:
		return []string{string(failpoint.ToolRequested), string(failpoint.ToolAnswering), stepToolReceived, stepToolReplying,
			string(failpoint.TurnRequested), stepModelReplying, stepRandom}
	case failpoint.BugAckBeforeCommit, failpoint.BugNoSync:
		t.Think = 0
		return commit
	case failpoint.BugDuplicateNotDurable:
		t.Think, t.Repeated = 0, 1
		return commit
	case failpoint.BugEffectsFirst:
		t.Think, t.GraphFaults, t.ModelFaults, t.NoPeople = 0, 0, 0, true
		return commit[:2]
	case failpoint.BugAttemptingIsQueued, failpoint.BugForgetQueued:
		return send
	case failpoint.BugRetryUnknown, failpoint.BugUnknownIsSent:
		t.GraphFaults = 3
		return send
	case failpoint.BugAnswerTwice:
		t.ModelFaults = 4
	case failpoint.BugBatchTailDropped, failpoint.BugBatchReversed:
		t.Batched = 0.5
	case failpoint.BugBodyAliased:
		t.Think, t.Writers = 0, 48
	}
	return nil
}
