package torture

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// Report is the sum of audited segments.
type Report struct {
	// Build identifies the tortured binary: totals of different builds do not mix.
	Build Build `json:"build"`
	// Seeds are those of the runs that add up here.
	Seeds    []uint64 `json:"seeds"`
	Segments int      `json:"segments"`
	// Kills that counted, by step; Idle ones came while nothing was in flight.
	Kills     map[string]int64 `json:"kills"`
	Idle      int64            `json:"idle_kills"`
	Unreached map[string]int64 `json:"unreached,omitempty"`
	Tally     *Tally           `json:"tally"`
	// ReadyMax is the longest start of an engine, DrainMax the longest it took
	// to do all it owed at the end of a segment.
	ReadyMax time.Duration `json:"ready_max_ns"`
	DrainMax time.Duration `json:"drain_max_ns"`
	// Cluster adds up what happened to clusters; nil for single engines.
	Cluster *ClusterTotals `json:"cluster,omitempty"`
	// Kept lists the directories of red segments.
	Kept []string `json:"kept,omitempty"`
	// Skipped lists steps that were asked for and never killed at, or what a
	// cluster must meet and did not.
	Skipped []string      `json:"skipped_steps,omitempty"`
	Took    time.Duration `json:"took_ns"`
	// Plants is set by Plant.
	Plants []Planting `json:"plants,omitempty"`
}

// Build identifies an engine binary.
type Build struct {
	SHA256 string `json:"sha256"`
	Commit string `json:"commit"`
}

func newReport(b Build) *Report {
	return &Report{Build: b, Kills: map[string]int64{}, Unreached: map[string]int64{}, Tally: newTally()}
}

// Total is the number of kills that counted.
func (r *Report) Total() int64 {
	n := int64(0)
	for _, k := range r.Kills {
		n += k
	}
	return n
}

func (r *Report) add(s *Segment) {
	r.Segments++
	for step, n := range s.Kills {
		r.Kills[step] += n
	}
	for step, n := range s.Unreached {
		r.Unreached[step] += n
	}
	r.Idle += s.Idle
	r.Tally.Add(s.Tally)
	r.ReadyMax = max(r.ReadyMax, s.ReadyMax)
	r.DrainMax = max(r.DrainMax, s.Drain)
	if s.Cluster != nil {
		if r.Cluster == nil {
			r.Cluster = newClusterTotals()
		}
		r.Cluster.add(s.Cluster)
	}
	if s.Kept != "" {
		r.Kept = append(r.Kept, s.Kept)
	}
}

// Red reports whether a promise was broken, a step was left out, or a planted
// bug was not found.
func (r *Report) Red() bool {
	return r.Tally.Red() || len(r.Skipped) > 0 ||
		slices.ContainsFunc(r.Plants, func(p Planting) bool { return !p.right() })
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	switch {
	case r.Segments == 0:
	case r.Cluster != nil:
		r.textCluster(&b)
	default:
		r.textRun(&b)
	}
	if len(r.Plants) > 0 {
		found, bugs := 0, 0
		for _, p := range r.Plants {
			verdict := "not found"
			if p.Found {
				verdict = "found"
			}
			if !p.right() {
				verdict = strings.ToUpper(verdict)
			}
			if p.Bug != control {
				bugs++
				if p.Found {
					found++
				}
			}
			fmt.Fprintf(&b, "planted %-24s %-9s after %d kills, %v: %s\n", p.Bug, verdict, p.Kills, p.Took.Round(time.Second), p.By)
		}
		fmt.Fprintf(&b, "planted bugs found: %d of %d\n", found, bugs)
	}
	if r.Red() {
		b.WriteString("RED\n")
	} else {
		b.WriteString("GREEN\n")
	}
	return b.String()
}

func (r *Report) textRun(b *strings.Builder) {
	fmt.Fprintf(b, "chumi torture, build %.12s (%s), seeds %v, %d segments in %v\n", r.Build.SHA256, r.Build.Commit, r.Seeds, r.Segments, r.Took.Round(time.Second))
	fmt.Fprintf(b, "%d kills counted (%d more came while nothing was in flight); longest start %v, longest drain %v\n",
		r.Total(), r.Idle, r.ReadyMax.Round(time.Millisecond), r.DrainMax.Round(100*time.Millisecond))
	inside := false
	for _, s := range Steps() {
		n, missed := r.Kills[s.Name], r.Unreached[s.Name]
		inside = inside || s.Where == WhereInside && n > 0
		if n > 0 || missed > 0 {
			fmt.Fprintf(b, "  %-8s %-18s %5d", s.Where, s.Name, n)
			if missed > 0 {
				fmt.Fprintf(b, "  (%d times not reached)", missed)
			}
			b.WriteByte('\n')
		}
	}
	if !inside {
		b.WriteString("no step inside the engine was killed at: that needs a build with -tags torture\n")
	}
	if len(r.Skipped) > 0 {
		fmt.Fprintf(b, "steps never killed at: %s\n", strings.Join(r.Skipped, ", "))
	}
	r.textPromises(b)
}

// line prints how often a promise was broken, out of how many chances. Without
// any there is nothing to say.
func line(b *strings.Builder, what string, n int64, of string, chances int64) {
	if n == 0 && chances == 0 {
		return
	}
	fmt.Fprintf(b, "  %-28s %6d of %d %s\n", what, n, chances, of)
}

// textPromises prints every promise with its chances, and what was found.
func (r *Report) textPromises(b *strings.Builder) {
	t := r.Tally
	line := func(what string, n int64, of string, chances int64) { line(b, what, n, of, chances) }
	messages := t.Chances[ChanceMessages]
	line("lost", t.Breaches[Lost], "acknowledged messages", messages)
	line("duplicated", t.Breaches[Duplicated], "acknowledged messages", messages)
	line("reordered", t.Breaches[Reordered], "acknowledged messages", messages)
	if t.Chances[ChanceQueued] > 0 { // else nothing is answered in this run
		line("unanswered", t.Breaches[Unanswered], "acknowledged messages", messages)
		line("answered twice", t.Breaches[AnsweredTwice], "acknowledged messages", messages)
	}
	line("statuses lost", t.Breaches[StatusLost], "acknowledged statuses", t.Chances[ChanceStatuses])
	line("API sends lost", t.Breaches[RequestLost], "acknowledged requests", t.Chances[ChanceRequests])
	line("sends missing", t.Breaches[MissingSend], "queued sends", t.Chances[ChanceQueued])
	line("sends unknown (allowed)", t.Unknown, "queued sends", t.Chances[ChanceQueued])
	most, least := t.Chances[ChanceAtMost], t.Chances[ChanceAtLeast]
	line("double sends, at most once", t.Breaches[DoubleSend], fmt.Sprintf("(%.0f per million)", perMillion(t.Breaches[DoubleSend], most)), most)
	line("double sends, at least once", t.Doubled, fmt.Sprintf("(%.0f per million, allowed)", perMillion(t.Doubled, least)), least)
	line("sent after takeover", t.Breaches[AfterTakeover], "takeovers", t.Chances[ChanceTakeover])
	tools := t.Chances[ChanceTools]
	line("tools called after a result", t.Breaches[ToolAgain], "calls of tools", tools)
	line("tools called twice (once)", t.Breaches[ToolTwice], "calls that must not be", t.Chances[ChanceOnce])
	line("tools called again (allowed)", t.Repeated, "calls of tools", tools)
	if names := t.Names(); names != "" {
		fmt.Fprintf(b, "broken: %s\n", names)
	}
	for _, e := range t.Examples {
		fmt.Fprintf(b, "  %s\n", e)
	}
	for _, dir := range r.Kept {
		fmt.Fprintf(b, "kept: %s\n", dir)
	}
}

func perMillion(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return 1e6 * float64(n) / float64(of)
}

// write stores the report as JSON, all or nothing.
func (r *Report) write(path string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("torture: encode report: %w", err)
	}
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return nil
}
