package bench

import (
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
)

// peerLine is a load of the peers part in the log. A lossy run prints no throughput.
func (r *Round) peerLine(lossy bool) string {
	s := r.line(lossy)
	switch {
	case r.Rate > 0 && r.Met:
		s = fmt.Sprintf("%8.0f/s due: met  %s", r.Rate, s)
	case r.Rate > 0:
		s = fmt.Sprintf("%8.0f/s due: not  %s", r.Rate, s)
	}
	return s
}

// figure is a spread as "median (min-max)", with a mark when it may be more.
func figure(s Spread, format func(float64) string, atLeast bool) string {
	if s.Rounds == 0 {
		return "-"
	}
	text := format(s.Median)
	if atLeast {
		text = "≥ " + text
	}
	if s.Rounds > 1 {
		text += " (" + format(s.Min) + "-" + format(s.Max) + ")"
	}
	return text
}

// integer is v without decimals, its thousands apart.
func integer(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func tenths(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

// textPeers writes the peers part of the report for people.
func (r *Report) textPeers(b *strings.Builder) {
	p := r.Peers
	if p == nil {
		return
	}
	fmt.Fprintf(b, "Peers: signed webhook, checked, durable, 200. %d of %d rounds there and back, %v a load after %v of warm-up.\n",
		p.repeats(), p.Repeats, p.Measure, p.Warm)
	fmt.Fprintf(b, "Medians (range). Rate is the highest in the open loop with a median of at most 250 ms, under 1 %% above 1 s, and no backlog.\n")
	fmt.Fprintf(b, "Results nearer than %.1f x are ties; there is no ratio between different durabilities.\n", tieBelow)
	if p.Cut != "" {
		fmt.Fprintf(b, "Cut short: %s.\n", p.Cut)
	}
	for _, conns := range p.Conns {
		fmt.Fprintf(b, "\n%d connections\n", conns)
		w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
		fmt.Fprintf(w, "contender\tdurability\trate\tp99 ms there\tus/msg there\tclosed acks/s\tus/msg\tflushes/msg\tchumi's rate is\tchumi's closed is\n")
		for i := range p.Standings {
			s := &p.Standings[i]
			if s.Conns != conns {
				continue
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.Target, p.contender(s.Target).Durability,
				figure(s.Open, integer, s.AtLeast), figure(s.P99, tenths, false), figure(s.OpenCPU, integer, false),
				figure(s.Closed, integer, false), figure(s.ClosedCPU, integer, false), p.syncsOf(s.Target), s.OpenVerdict, s.ClosedVerdict)
		}
		_ = w.Flush() // into a strings.Builder, which does not fail
	}
	b.WriteByte('\n')
	for i := range p.Contenders {
		b.WriteString(p.describe(&p.Contenders[i]) + "\n")
	}
	p.textInvalid(b)
	fmt.Fprintf(b, "%d messages that contenders acknowledged were looked up in their stores after kill -9.\n\n", p.Checked)
}

// describe says in a line what a contender is and leaves out, or why it was skipped.
func (p *PeerReport) describe(c *Contender) string {
	s := fmt.Sprintf("%s: %s", c.Name, c.Title)
	if c.Version != "" {
		s += " (" + c.Version + ")"
	}
	s += "; " + c.Durability
	if c.By != "" {
		s += " by " + c.By
	}
	if len(c.Lacks) > 0 {
		s += "; " + strings.Join(c.Lacks, ", ")
	}
	for _, name := range p.Lossy {
		if name == c.Name {
			s += "; LOST OR DOUBLED what it acknowledged: no figures"
		}
	}
	if c.Skipped != "" {
		s += "; SKIPPED: " + c.Skipped
	}
	return s
}

// textInvalid lists what was measured and not used.
func (p *PeerReport) textInvalid(b *strings.Builder) {
	for _, r := range p.Rounds {
		if r.Row == RowClosed && r.Invalid != "" {
			fmt.Fprintf(b, "INVALID: round %d, %s, %d connections, closed: %s\n", r.Number, r.Target, r.Conns, r.Invalid)
		}
	}
	for _, f := range p.Searches {
		if f.Invalid != "" {
			fmt.Fprintf(b, "INVALID: round %d, %s, %d connections, open: %s\n", f.Number, f.Target, f.Conns, f.Invalid)
		}
	}
}
