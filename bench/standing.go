package bench

import (
	"fmt"
	"slices"
	"time"
)

// PeerReport is the peers part of a run.
type PeerReport struct {
	Contenders []Contender `json:"contenders"`
	// Conns, Warm, Measure and Repeats are what was asked for.
	Conns   []int         `json:"connections"`
	Warm    time.Duration `json:"warm_ns"`
	Measure time.Duration `json:"measure_ns"`
	Repeats int           `json:"repeats"`
	// Cut says why there were fewer repeats; empty when there were not.
	Cut string `json:"cut,omitempty"`
	// Rounds are the loads in the order they ran, Searches what those of the open
	// loop found.
	Rounds   []Round     `json:"rounds"`
	Searches []Search    `json:"searches"`
	Syncs    []SyncCount `json:"syncs"`
	// Standings are the results, by contender and number of connections.
	Standings []Standing `json:"standings"`
	// Checked is how many acknowledged messages were looked up in the stores of
	// contenders that had been killed; Lossy are those that lacked one, or had one
	// twice. They have no standing.
	Checked int64    `json:"checked"`
	Lossy   []string `json:"lossy,omitempty"`
}

// Search is the highest rate that met Meta's bar, in one round.
type Search struct {
	Number int    `json:"round"`
	Target string `json:"target"`
	Conns  int    `json:"connections"`
	// Rate is in requests per second. Limit says why it may be more; empty when the
	// next rate failed.
	Rate  float64 `json:"rate"`
	Limit string  `json:"limit,omitempty"`
	// CPU is microseconds of the server per message at that rate, P50 and P99 the
	// latency in milliseconds.
	CPU float64 `json:"server_cpu_us_per_message"`
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	// Invalid says why it must not be used; empty when it may.
	Invalid string `json:"invalid,omitempty"`
}

// judge takes a rate that was tried. One that failed while others used the machine
// says nothing, and makes the search invalid; one that failed because the generator
// was late says that it may be more.
func (s *Search) judge(r *Round, otherMax float64) {
	switch {
	case r.Met:
	case r.Spent.Other > otherMax:
		s.Invalid = fmt.Sprintf("others used %.0f %% of a CPU at %.0f/s", 100*r.Spent.Other, r.Rate)
	case r.Lag != nil && r.Lag.P99 > barMedian:
		s.Limit = fmt.Sprintf("the generator was late at %.0f/s: p99 %.0f ms", r.Rate, r.Lag.P99)
	}
}

// Standing is one contender at one number of connections: medians over rounds, with
// their range.
type Standing struct {
	Target string `json:"target"`
	Conns  int    `json:"connections"`
	// Closed is acks/s in the closed loop, ClosedCPU the server's microseconds per
	// message there.
	Closed    Spread `json:"closed_acks_per_second"`
	ClosedCPU Spread `json:"closed_cpu_us_per_message"`
	// Open is the highest rate that met Meta's bar, the headline; AtLeast is true
	// when it may be more in most rounds. OpenCPU, P50 and P99 are at that rate.
	Open    Spread `json:"open_rate"`
	AtLeast bool   `json:"open_rate_at_least,omitempty"`
	OpenCPU Spread `json:"open_cpu_us_per_message"`
	P50     Spread `json:"open_p50_ms"`
	P99     Spread `json:"open_p99_ms"`
	// ClosedVerdict and OpenVerdict hold the engine against it.
	ClosedVerdict Comparison `json:"engine_closed"`
	OpenVerdict   Comparison `json:"engine_open"`
}

// Comparison is the engine over a contender. Ratio is 0 when there is none to give;
// Verdict says why, or that it is a tie, or is empty.
type Comparison struct {
	Ratio   float64 `json:"ratio,omitempty"`
	Verdict string  `json:"verdict,omitempty"`
}

// The verdicts that are not a ratio.
const (
	VerdictSelf   = "the engine itself"
	VerdictClass  = "another durability"
	VerdictFew    = "too few valid rounds"
	VerdictTie    = "tie"
	VerdictAbsent = "the engine was not measured"
)

// tieBelow is the gap that two runs of one build can show on a shared machine:
// nearer results are ties.
const tieBelow = 1.3

// ratioRounds is how many valid rounds each side of a ratio needs.
const ratioRounds = 3

// compareSpreads holds the engine's result against another's, if both are of the
// same class.
func compareSpreads(ours, theirs Spread, ourClass, theirClass string) Comparison {
	switch {
	case ourClass != theirClass:
		return Comparison{Verdict: VerdictClass}
	case ours.Rounds < ratioRounds || theirs.Rounds < ratioRounds || theirs.Median <= 0 || ours.Median <= 0:
		return Comparison{Verdict: VerdictFew}
	}
	ratio := ours.Median / theirs.Median
	if max(ratio, 1/ratio) < tieBelow {
		return Comparison{Verdict: VerdictTie}
	}
	return Comparison{Ratio: ratio}
}

// String is "2.1 x" or the verdict.
func (c Comparison) String() string {
	if c.Ratio > 0 {
		return fmt.Sprintf("%.2g x", c.Ratio)
	}
	return c.Verdict
}

// sum fills Standings from Rounds and Searches.
func (p *PeerReport) sum() {
	p.Standings = nil
	for i := range p.Contenders {
		x := &p.Contenders[i]
		if slices.Contains(p.Lossy, x.Name) || !p.measured(x.Name) {
			continue
		}
		for _, conns := range p.Conns {
			p.Standings = append(p.Standings, p.standing(x.Name, conns))
		}
	}
	for i := range p.Standings {
		s := &p.Standings[i]
		ours, x := p.standingOf(TargetEngine, s.Conns), p.contender(s.Target)
		switch {
		case s.Target == TargetEngine:
			s.ClosedVerdict.Verdict, s.OpenVerdict.Verdict = VerdictSelf, VerdictSelf
		case ours == nil:
			s.ClosedVerdict.Verdict, s.OpenVerdict.Verdict = VerdictAbsent, VerdictAbsent
		default:
			class := p.contender(TargetEngine).Durability
			s.ClosedVerdict = compareSpreads(ours.Closed, s.Closed, class, x.Durability)
			s.OpenVerdict = compareSpreads(ours.Open, s.Open, class, x.Durability)
		}
	}
}

func (p *PeerReport) standing(target string, conns int) Standing {
	s := Standing{Target: target, Conns: conns}
	var acks, cpu []float64
	for _, r := range p.Rounds {
		if r.Target == target && r.Conns == conns && r.Row == RowClosed && r.Invalid == "" {
			acks, cpu = append(acks, r.Throughput), append(cpu, r.ServerCPU)
		}
	}
	s.Closed, s.ClosedCPU = spread(acks), spread(cpu)
	var rates, open, p50, p99 []float64
	limited := 0
	for _, f := range p.Searches {
		if f.Target == target && f.Conns == conns && f.Invalid == "" {
			rates, open = append(rates, f.Rate), append(open, f.CPU)
			p50, p99 = append(p50, f.P50), append(p99, f.P99)
			if f.Limit != "" {
				limited++
			}
		}
	}
	s.AtLeast = 2*limited > len(rates)
	s.Open, s.OpenCPU, s.P50, s.P99 = spread(rates), spread(open), spread(p50), spread(p99)
	return s
}

// measured reports whether there is a round of a contender.
func (p *PeerReport) measured(target string) bool {
	return slices.ContainsFunc(p.Rounds, func(r Round) bool { return r.Target == target })
}

func (p *PeerReport) contender(name string) *Contender {
	i := slices.IndexFunc(p.Contenders, func(c Contender) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &p.Contenders[i]
}

func (p *PeerReport) standingOf(target string, conns int) *Standing {
	i := slices.IndexFunc(p.Standings, func(s Standing) bool { return s.Target == target && s.Conns == conns })
	if i < 0 {
		return nil
	}
	return &p.Standings[i]
}

func (p *PeerReport) syncsOf(target string) SyncCount {
	for _, s := range p.Syncs {
		if s.Target == target {
			return s
		}
	}
	return SyncCount{Target: target}
}

// repeats is how many rounds every measured contender has.
func (p *PeerReport) repeats() int {
	n := 0
	for _, r := range p.Rounds {
		n = max(n, r.Number)
	}
	return n
}
