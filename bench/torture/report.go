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
	// Run says how the last run was made.
	Run Provenance `json:"run"`
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
	// Faults say what became of faults of the machine, each on its own; Tally adds
	// them up.
	Faults []*Verdict `json:"faults,omitempty"`
	// Claims and Untested are made when the report is written.
	Claims   []Claim  `json:"claims,omitempty"`
	Untested []string `json:"untested,omitempty"`
}

// Build identifies an engine binary.
type Build struct {
	SHA256 string `json:"sha256"`
	Commit string `json:"commit"`
	// Tags, Go and Platform are what it was built with.
	Tags     string `json:"tags,omitempty"`
	Go       string `json:"go,omitempty"`
	Platform string `json:"platform,omitempty"`
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
	return r.Tally.Red() || len(r.Skipped) > 0 || slices.ContainsFunc(r.Faults, (*Verdict).Red) ||
		slices.ContainsFunc(r.Plants, func(p Planting) bool { return !p.right() })
}

// Text is the report for people.
func (r *Report) Text() string {
	var b strings.Builder
	switch {
	case len(r.Faults) > 0:
		r.textFaults(&b)
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

// textPromises prints every claim with its chances, and what was found.
func (r *Report) textPromises(b *strings.Builder) {
	t := r.Tally
	for _, c := range t.Claims() {
		c.line(b)
	}
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

// write stores the report as JSON, all or nothing.
func (r *Report) write(path string) error {
	r.Claims, r.Untested = r.Tally.Claims(), r.untested()
	for _, v := range r.Faults {
		v.Claims = v.Tally.Claims()
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("torture: encode report: %w", err)
	}
	return writeWhole(path, append(b, '\n'))
}

// writeWhole writes a file, all or nothing.
func writeWhole(path string, b []byte) error {
	if err := os.WriteFile(path+".new", b, 0o644); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return nil
}
