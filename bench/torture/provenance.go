package torture

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench"
)

// Provenance is what a stranger needs to repeat a run, besides the seeds.
type Provenance struct {
	// Began is when the last run that adds up here did.
	Began time.Time `json:"began"`
	// Command is its command line.
	Command []string `json:"command,omitempty"`
	// Machine is where it ran; nil when nobody looked.
	Machine *bench.Environment `json:"machine,omitempty"`
}

// provenance looks at this machine.
func provenance(o *Options, commit string) Provenance {
	p := Provenance{Began: time.Now().UTC().Truncate(time.Second), Command: o.Command}
	dir := o.Dir
	if dir == "" {
		dir = os.TempDir()
	}
	// What cannot be read of a machine is left out of the report.
	if e, err := bench.ReadEnvironment(dir, commit); err == nil {
		p.Machine = &e
	}
	return p
}

// tagsOf returns the tags an executable was built with and the version of Go, as
// it says itself; "" when it does not.
func tagsOf(binary string) (tags, version string) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return "", ""
	}
	for _, s := range info.Settings {
		if s.Key == "-tags" {
			tags = s.Value
		}
	}
	return tags, info.GoVersion
}

// machine is a line about where it ran.
func (p *Provenance) machine() string {
	m := p.Machine
	if m == nil {
		return "unknown"
	}
	return fmt.Sprintf("%s, %d CPUs, %.0f GiB, Linux %s, %s, fsync of 1 KiB p50 %.2f ms, p99 %.2f ms",
		m.CPU, m.CPUs, float64(m.Memory)/(1<<30), m.Kernel, m.FileSystem, m.Sync.P50, m.Sync.P99)
}

// untested lists what no run of this kind says anything about.
func (r *Report) untested() []string {
	out := []string{"a power cut: what a process wrote outlives its death; go test -run 'PowerCut|Crash' ./persistence/... cuts it",
		"other hardware, kernels and file systems than those above", "weeks of running, and stores larger than a run makes"}
	if r.Build.Tags == "" {
		out = append(out, "steps inside the engine: they need a build with -tags torture")
	}
	if r.Cluster == nil && len(r.Faults) == 0 {
		out = append(out, "clusters: see --nodes; disk, memory and clock: see --faults")
	}
	if r.Cluster != nil {
		out = append(out, "clusters of more than three nodes, and nodes on several machines")
	}
	for _, v := range r.Faults {
		if v.Skipped != "" {
			out = append(out, fmt.Sprintf("%s: %s", v.Fault, v.Skipped))
		}
		out = append(out, v.Fault.untested()...)
	}
	return out
}

// Markdown is the report for a stranger who wants to repeat the run.
func (r *Report) Markdown() string {
	var b strings.Builder
	verdict := "green"
	if r.Red() {
		verdict = "RED"
	}
	fmt.Fprintf(&b, "# chumi torture: %s\n\n", verdict)
	row := func(name, value string) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, strings.ReplaceAll(value, "|", "\\|"))
	}
	b.WriteString("| | |\n|---|---|\n")
	row("commit", r.Build.Commit)
	row("executable", "sha256 "+r.Build.SHA256)
	row("built with", strings.TrimSpace(r.Build.Go+" "+tagged(r.Build.Tags)))
	row("seeds", strings.Trim(fmt.Sprint(r.Seeds), "[]"))
	row("machine", r.Run.machine())
	row("began", r.Run.Began.Format(time.RFC3339))
	row("took", r.Took.Round(time.Second).String())
	row("segments", fmt.Sprint(r.Segments))
	row("kills that counted", fmt.Sprint(r.killed()))
	r.markdownClaims(&b)
	r.markdownFaults(&b)
	b.WriteString("\n## What happened\n\n```\n" + strings.TrimRight(r.Text(), "\n") + "\n```\n")
	b.WriteString("\n## What was not tested\n\n")
	for _, u := range r.untested() {
		fmt.Fprintf(&b, "- %s\n", u)
	}
	b.WriteString("\n## Repeat it\n\n```\n")
	if r.Build.Commit != "" {
		fmt.Fprintf(&b, "git checkout %s\n", r.Build.Commit)
	}
	arguments := ""
	if len(r.Run.Command) > 1 {
		arguments = " " + strings.Join(r.Run.Command[1:], " ")
	}
	fmt.Fprintf(&b, "make bin/chumi-torture\nbin/chumi-torture%s\n```\n\nThe seed draws customers, moments and faults. Goroutines, the disk and the kernel it does not: a run repeats what is done, not each interleaving.\n",
		arguments)
	return b.String()
}

func tagged(tags string) string {
	if tags == "" {
		return "without tags"
	}
	return "-tags " + tags
}

func (r *Report) markdownClaims(b *strings.Builder) {
	b.WriteString("\n## What was counted\n\n")
	b.WriteString("The last column is the one-sided 95 % limit of Clopper and Pearson: were the true share greater, so few would have been seen in less than one of twenty such runs, if chances were independent.\n\n")
	claimsTable(b, r.Tally.Claims())
}

func claimsTable(b *strings.Builder, claims []Claim) {
	b.WriteString("| claim | broken | of | chances | true share |\n|---|---|---|---|---|\n")
	for _, c := range claims {
		name := c.Name
		if c.Allowed {
			name += " (allowed)"
		}
		fmt.Fprintf(b, "| %s | %d | %d | %s | %s |\n", name, c.Broken, c.Chances, c.Of, c.bound())
	}
}

// killed is the number of processes killed.
func (r *Report) killed() int64 {
	n := r.Total()
	if r.Cluster != nil {
		n += r.Cluster.Kills
	}
	return n
}

// built says what the binary was built with on this system.
func (b *Build) built(binary string) {
	b.Tags, b.Go = tagsOf(binary)
	b.Platform = runtime.GOOS + "/" + runtime.GOARCH
}
