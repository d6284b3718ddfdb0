package torture

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// HostFault is something that happens to the machine below an engine.
type HostFault string

// The faults of the machine.
const (
	SyncError   HostFault = "sync-error"   // fsync fails with EIO, and what was not synced is gone
	DiskFull    HostFault = "disk-full"    // the disk fills up to the reserve, and to the last byte
	SyncStall   HostFault = "sync-stall"   // no fsync returns for 30 s
	LeaderStall HostFault = "leader-stall" // the same below the leader of a cluster of three
	BitFlip     HostFault = "bit-flip"     // one bit of a stopped store's files is another
	OOMKill     HostFault = "oom-kill"     // the kernel kills the engine for its memory
	ClockStep   HostFault = "clock-step"   // the wall clock is set 2 h ahead, and 2 h back
)

// HostFaults lists them in the order they are tried.
func HostFaults() []HostFault {
	return []HostFault{SyncError, DiskFull, SyncStall, LeaderStall, BitFlip, OOMKill, ClockStep}
}

// untested lists what the trials of a fault say nothing about.
func (f HostFault) untested() []string {
	switch f {
	case SyncError:
		return []string{"sync-error: errors of reads, and of writes that are not syncs"}
	case BitFlip:
		return []string{"bit-flip: more than one bit at a time, files of media (go test ./persistence/blob spoils those), a store whose engine runs or was killed"}
	case ClockStep:
		return []string{"clock-step: claims are forgotten once an hour, which no trial lasts (go test -tags torture -run Sweep ./persistence sets the clock of that); clocks that drift apart; whether tools are called after a result: both clocks would be needed"}
	case DiskFull, SyncStall, LeaderStall, OOMKill:
	}
	return nil
}

// Verdict is what became of the trials of one fault.
type Verdict struct {
	Fault  HostFault `json:"fault"`
	Trials int64     `json:"trials"`
	// Skipped says why there were none here; "" when there were.
	Skipped string `json:"skipped,omitempty"`
	// Tally has the audits of all trials, and the promises that the fault tests.
	Tally *Tally `json:"tally"`
	// Outcomes counts what may happen in several ways, all of them allowed.
	Outcomes map[string]int64 `json:"outcomes,omitempty"`
	// Times and Sizes are what was measured, by name; sizes in bytes.
	Times map[string][]time.Duration `json:"times_ns,omitempty"`
	Sizes map[string][]int64         `json:"sizes,omitempty"`
	// Claims are made when the report is written.
	Claims []Claim `json:"claims,omitempty"`
}

func newVerdict(f HostFault) *Verdict {
	return &Verdict{Fault: f, Tally: newTally(), Outcomes: map[string]int64{}, Times: map[string][]time.Duration{}, Sizes: map[string][]int64{}}
}

// Red reports whether a promise was broken, or nothing was tried.
func (v *Verdict) Red() bool { return v.Tally.Red() || v.Trials == 0 && v.Skipped == "" }

func (v *Verdict) took(name string, d time.Duration) { v.Times[name] = append(v.Times[name], d) }
func (v *Verdict) weighed(name string, bytes int64)  { v.Sizes[name] = append(v.Sizes[name], bytes) }

// word is the verdict in one.
func (v *Verdict) word() string {
	switch {
	case v.Red():
		return "RED"
	case v.Skipped != "":
		return "skipped"
	}
	return "green"
}

// text is the verdict for people.
func (v *Verdict) text(b *strings.Builder) {
	fmt.Fprintf(b, "%s: %s, %d trials\n", v.Fault, v.word(), v.Trials)
	if v.Skipped != "" {
		fmt.Fprintf(b, "  skipped: %s\n", v.Skipped)
	}
	for _, c := range v.Tally.Claims() {
		c.line(b)
	}
	for _, what := range v.measured() {
		fmt.Fprintf(b, "  %s\n", what)
	}
	if names := v.Tally.Names(); names != "" {
		fmt.Fprintf(b, "  broken: %s\n", names)
	}
	for _, e := range v.Tally.Examples {
		fmt.Fprintf(b, "    %s\n", e)
	}
}

// measured lists outcomes, times and sizes, a line each.
func (v *Verdict) measured() []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(v.Outcomes)) {
		out = append(out, fmt.Sprintf("%s: %d", name, v.Outcomes[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(v.Times)) {
		l := v.Times[name]
		out = append(out, fmt.Sprintf("%s: p50 %v, p99 %v, max %v, of %d", name, quantile(l, 0.5).Round(time.Millisecond),
			quantile(l, 0.99).Round(time.Millisecond), quantile(l, 1).Round(time.Millisecond), len(l)))
	}
	for _, name := range slices.Sorted(maps.Keys(v.Sizes)) {
		out = append(out, fmt.Sprintf("%s: at most %d MiB, of %d", name, slices.Max(v.Sizes[name])/mib, len(v.Sizes[name])))
	}
	return out
}

func (r *Report) textFaults(b *strings.Builder) {
	fmt.Fprintf(b, "chumi torture of what is below an engine, build %.12s (%s), seeds %v, %d segments in %v\n",
		r.Build.SHA256, r.Build.Commit, r.Seeds, r.Segments, r.Took.Round(time.Second))
	for _, v := range r.Faults {
		v.text(b)
	}
	for _, dir := range r.Kept {
		fmt.Fprintf(b, "kept: %s\n", dir)
	}
}

func (r *Report) markdownFaults(b *strings.Builder) {
	for _, v := range r.Faults {
		fmt.Fprintf(b, "\n## %s: %s, %d trials\n\n", v.Fault, v.word(), v.Trials)
		if v.Skipped != "" {
			fmt.Fprintf(b, "Skipped: %s\n", v.Skipped)
			continue
		}
		claimsTable(b, v.Tally.Claims())
		b.WriteByte('\n')
		for _, what := range v.measured() {
			fmt.Fprintf(b, "- %s\n", what)
		}
	}
}

// verdictOf finds or makes the verdict of a fault.
func (r *Report) verdictOf(f HostFault) *Verdict {
	for _, v := range r.Faults {
		if v.Fault == f {
			return v
		}
	}
	v := newVerdict(f)
	r.Faults = append(r.Faults, v)
	return v
}
