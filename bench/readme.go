package bench

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// The lines between which a README has the table of the peers.
const (
	readmeBegin = "<!-- bench peers: written by `make bench`; edits are lost -->"
	readmeEnd   = "<!-- end of bench peers -->"
)

// errNothingMeasured is a table without a figure that counts.
var errNothingMeasured = errors.New("bench: the run has no figures of peers from enough valid rounds for a table")

// WriteReadme writes the table of the peers into the file at path, between its two
// marker lines. command is what made the run. A run that lost messages, or in which
// no contender has enough valid rounds, leaves the file as it is and is an error.
func (r *Report) WriteReadme(path, command string) error {
	table, err := r.markdown(command)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	before, rest, found := strings.Cut(string(text), readmeBegin)
	_, after, closed := strings.Cut(rest, readmeEnd)
	if !found || !closed {
		return fmt.Errorf("bench: %s has no lines %q and %q", path, readmeBegin, readmeEnd)
	}
	if err := os.WriteFile(path, []byte(before+readmeBegin+"\n\n"+table+"\n"+readmeEnd+after), 0o644); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// markdown is the table of the peers with all that its figures depend on.
func (r *Report) markdown(command string) (string, error) {
	p := r.Peers
	if p == nil || r.Failed() {
		return "", errNothingMeasured
	}
	var b strings.Builder
	b.WriteString("| stack | durable by |")
	for _, conns := range p.Conns {
		fmt.Fprintf(&b, " rate, %d connections | chumi's is |", conns)
	}
	b.WriteString(" server CPU per message | flushes per message | closed loop |\n|---|---|")
	b.WriteString(strings.Repeat("---|---|", len(p.Conns)) + "---|---|---|\n")
	figures := 0
	for i := range p.Contenders {
		x := &p.Contenders[i]
		if p.standingOf(x.Name, p.Conns[0]) == nil {
			continue
		}
		by := x.Durability
		if x.By != "" {
			by = x.By
		}
		fmt.Fprintf(&b, "| %s | %s |", x.Title, by)
		var last *Standing
		for _, conns := range p.Conns {
			last = p.standingOf(x.Name, conns)
			if last.Open.Rounds >= ratioRounds {
				figures++
			}
			fmt.Fprintf(&b, " %s | %s |", figure(last.Open, integer, last.AtLeast), last.OpenVerdict)
		}
		syncs := "n/a"
		if c := p.syncsOf(x.Name); c.Source != "" {
			syncs = fmt.Sprintf("%.3f", c.PerMessage)
		}
		fmt.Fprintf(&b, " %s µs | %s | %s |\n", integer(last.OpenCPU.Median), syncs, figure(last.Closed, integer, false))
	}
	if figures == 0 {
		return "", errNothingMeasured
	}
	e := &r.Environment
	fmt.Fprintf(&b, "\nRate: the highest number of messages per second, posted on schedule, that was answered with a median of at most 250 ms, "+
		"under 1 %% above 1 s, and no backlog. Medians of %d rounds with their range, the stacks in turn, there and back; nearer than %.1f x is a tie. "+
		"CPU, flushes (%s) and closed loop at %d connections. %d acknowledged messages were looked up after kill -9.",
		p.repeats(), tieBelow, p.syncSources(), p.Conns[len(p.Conns)-1], p.Checked)
	for i := range p.Contenders {
		if x := &p.Contenders[i]; x.Skipped != "" {
			fmt.Fprintf(&b, " Skipped: %s (%s).", x.Title, x.Skipped)
		}
	}
	for _, name := range p.Lossy {
		fmt.Fprintf(&b, " %s lost or doubled messages and has no figures.", p.contender(name).Title)
	}
	if p.Cut != "" {
		fmt.Fprintf(&b, " Cut short: %s.", p.Cut)
	}
	fmt.Fprintf(&b, " Made by `%s` on commit %s: %d cores of %s, which also ran the load, %.0f GiB, %s, Linux %s, %s, fsync of 1 KiB p50 %.2f ms.\n",
		command, e.Commit, e.CPUs, e.CPU, float64(e.Memory)/(1<<30), e.FileSystem, e.Kernel, e.Go, e.Sync.P50)
	return b.String(), nil
}

// syncSources names who counted flushes.
func (p *PeerReport) syncSources() string {
	var names []string
	for _, s := range p.Syncs {
		x := p.contender(s.Target)
		if s.Source != "" && x != nil && x.stores() && (len(names) == 0 || names[len(names)-1] != s.Source) {
			names = append(names, s.Source)
		}
	}
	if len(names) == 0 {
		return "not counted"
	}
	return "counted at " + fmt.Sprint(DefaultConns) + " connections by " + strings.Join(names, ", ")
}
