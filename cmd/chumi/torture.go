package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/bench/drop"
	"github.com/chumiai/chumi/bench/torture"
	"github.com/chumiai/chumi/metrics/failpoint"
)

func (c *cli) tortureCommand() *cobra.Command {
	var (
		o         = torture.Options{Log: c.stderr, Commit: readBuild().Commit, Command: os.Args}
		faults    []string
		listSteps bool
		plantOnly bool
		bugs      []string
		dropped   share
		messages  int
	)
	defaults := o
	defaults.EnsureDefaults()
	cmd := &cobra.Command{Use: "torture", Short: "Kill the engine again and again and compare what it promised with what it kept",
		Long: `torture drives an engine through the simulators, kills it with SIGKILL at random
and at every named step, and compares the simulators' ledgers with the engine's
export. It prints what was lost, duplicated, reordered, sent twice, missing and
unknown, out of how many, and the seed.

Steps inside the engine need a build with -tags torture: chumi-torture beside
this executable, or --binary. Without one only the steps outside are used.
--planted names a build with -tags "torture planted": each of its known bugs is
switched on in turn and must be found.

--nodes 3 tortures a cluster instead: three nodes in network namespaces of their
own, behind a load balancer. Nodes are killed, paused, cut off, made to flap,
stripped of their disks and of their leaders, one at a time, at times two, and
for seconds without a majority. Beside the ledgers it compares the nodes with one
another, counts 200s of nodes that cannot commit, and lets Porcupine judge what
clients read meanwhile. It needs Linux, root, ip and nft. --leader-kills N
--rate R kills only leaders, under R messages a second, and prints how long no
write is acknowledged. --catch-up N --missed M has one node miss M commits and
kills it N times while it takes in the snapshots it needs then; it prints how long
it took and what memory every node needed. Its steps are inside: see --binary.

--faults LIST harms what is below an engine instead, --trials N times each, and
audits each trial: sync-error (fsync fails, what was not synced is gone), disk-full,
sync-stall (no fsync returns for 30 s), leader-stall (the same below the leader of a
cluster of three), bit-flip, oom-kill and clock-step (2 h ahead and back), or all.
It needs a build with -tags torture. What this machine cannot do is skipped, with
the reason.

--drop-answers 10% kills nothing: Graph accepts every message and drops so many of
its answers. Of --messages N of each class it counts those sent twice and those
missing, and holds GET /v1/sends against Graph's ledger.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if listSteps {
				for _, s := range torture.Steps() {
					fmt.Fprintf(c.stdout, "%-20s %s\n", s.Name, s.Where)
				}
				return nil
			}
			if dropped > 0 {
				return c.tortureAnswers(cmd.Context(), &o, float64(dropped), messages)
			}
			if err := hostFaults(&o, faults); err != nil {
				return usageError(err)
			}
			switch {
			case len(o.Faults) > 0 && !findTorturer(&o):
				return usageError(errors.New("--faults harms what is below a build with -tags torture: name one by --binary (make bin/chumi-torture makes one)"))
			case len(o.Faults) > 0:
				return c.judged(torture.Run(cmd.Context(), o))
			case o.CatchUp > 0 && !findTorturer(&o):
				return usageError(errors.New("--catch-up kills at steps inside: name a build with -tags torture by --binary (make torture makes one)"))
			case o.Nodes == 0:
				c.chooseTorturer(&o)
			}
			if !plantOnly {
				if err := c.judged(torture.Run(cmd.Context(), o)); err != nil || o.Planted == "" {
					return err
				}
			}
			return c.judged(torture.Plant(cmd.Context(), o, bugs...))
		}}
	f := cmd.Flags()
	f.BoolVar(&listSteps, "list-steps", false, "list the steps and end")
	f.StringVar(&o.Binary, "binary", "", "executable to torture (default chumi-torture beside this one, else this one)")
	f.StringVar(&o.Planted, "planted", "", "executable with planted bugs; they are hunted after the run")
	f.BoolVar(&plantOnly, "planted-only", false, "hunt the planted bugs only")
	f.StringSliceVar(&bugs, "bugs", nil, "planted bugs to hunt (default all)")
	f.IntVar(&o.Kills, "kills", 0, fmt.Sprintf("kills that count, or nodes killed, before the end (default %d)", torture.DefaultKills))
	f.DurationVar(&o.Duration, "duration", 0, "end after this long")
	f.Uint64Var(&o.Seed, "seed", defaults.Seed, "seed of customers, moments and faults")
	f.IntVar(&o.Engines, "engines", defaults.Engines, "engines tortured at once")
	f.IntVar(&o.SegmentKills, "segment-kills", defaults.SegmentKills, "kills, or faults, each store lives through before it is audited")
	f.IntVar(&o.Nodes, "nodes", 0, "torture a cluster of so many nodes: 3")
	f.IntVar(&o.LeaderKills, "leader-kills", 0, "with --nodes: kill only leaders, so often, and measure the gap")
	f.Float64Var(&o.Rate, "rate", 0, fmt.Sprintf("with --leader-kills or --catch-up: messages a second (default %d or %d)", torture.DefaultRate, torture.DefaultCatchUpRate))
	f.IntVar(&o.CatchUp, "catch-up", 0, "with --nodes: kill one node so often while it takes in snapshots")
	f.IntVar(&o.Missed, "missed", 0, fmt.Sprintf("with --catch-up: commits it misses at first (default %d)", torture.DefaultMissed))
	f.StringSliceVar(&faults, "faults", nil, "faults of disk, memory and clock to try instead of kills: "+wordsOf(torture.HostFaults())+", or all")
	f.IntVar(&o.Trials, "trials", 0, fmt.Sprintf("with --faults: trials of each (default %d)", torture.DefaultTrials))
	f.Var(&dropped, "drop-answers", "share of Graph's answers that are dropped, as 10% or 0.1; nothing is killed then")
	f.IntVar(&messages, "messages", drop.DefaultMessages, "with --drop-answers: messages of each class")
	f.StringSliceVar(&o.Steps, "steps", nil, "steps to kill at (default all that the executable has)")
	f.StringVar(&o.Dir, "dir", "", "where data directories are made; those of red segments are kept")
	f.StringVar(&o.Out, "out", "", "file for the report as JSON")
	f.StringVar(&o.Markdown, "report", "", "file for the report as Markdown, with all that it takes to repeat the run")
	f.StringVar(&o.Resume, "resume", "", "file of totals to go on from; written after every audited segment")
	f.BoolVar(&o.Force, "force", false, "resume totals of another build")
	return cmd
}

// hostFaults takes the faults that were named.
func hostFaults(o *torture.Options, names []string) error {
	for _, name := range names {
		if name == "all" {
			o.Faults = torture.HostFaults()
			return nil
		}
		if !slices.Contains(torture.HostFaults(), torture.HostFault(name)) {
			return fmt.Errorf("--faults: %q is none of %s", name, wordsOf(torture.HostFaults()))
		}
		o.Faults = append(o.Faults, torture.HostFault(name))
	}
	return nil
}

// wordsOf joins words with commas.
func wordsOf[T ~string](list []T) string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return strings.Join(out, ", ")
}

// tortureAnswers runs an engine whose Graph drops answers.
func (c *cli) tortureAnswers(ctx context.Context, o *torture.Options, dropped float64, messages int) error {
	r, err := drop.Run(ctx, drop.Options{Binary: o.Binary, Commit: o.Commit, Dir: o.Dir, Out: o.Out, Resume: o.Resume, Force: o.Force,
		Log: o.Log, Share: dropped, Messages: messages, Seed: o.Seed})
	if r == nil {
		return err
	}
	if _, printErr := fmt.Fprint(c.stdout, r.Text()); printErr != nil {
		return printErr
	}
	if errors.Is(err, drop.ErrRed) {
		return &exitError{code: exitViolation, err: err}
	}
	return err
}

// share is a flag: a part of a whole, as 10% or 0.1.
type share float64

// String implements pflag.Value.
func (s *share) String() string { return strconv.FormatFloat(float64(*s)*100, 'g', -1, 64) + "%" }

// Type implements pflag.Value.
func (s *share) Type() string { return "share" }

// Set implements pflag.Value.
func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || v <= 0 || v >= 1 {
		return errors.New("a share is between 0% and 100%, such as 10% or 0.1")
	}
	*s = share(v)
	return nil
}

// findTorturer names an executable with the steps inside; false when there is
// none.
func findTorturer(o *torture.Options) bool {
	if o.Binary != "" || failpoint.Armed {
		return true
	}
	self, err := os.Executable()
	if err != nil {
		return false
	}
	beside := filepath.Join(filepath.Dir(self), "chumi-torture")
	if _, err := os.Stat(beside); err != nil {
		return false
	}
	o.Binary = beside
	return true
}

// chooseTorturer finds an executable with the steps inside, or leaves them out
// and says so.
func (c *cli) chooseTorturer(o *torture.Options) {
	if findTorturer(o) || len(o.Steps) > 0 {
		return
	}
	for _, s := range torture.Steps() {
		if s.Where != torture.WhereInside {
			o.Steps = append(o.Steps, s.Name)
		}
	}
	fmt.Fprintln(c.stderr, "there is no chumi-torture beside this executable: only the steps outside the engine are used (make torture builds it)")
}

// judged prints a report and turns a red one into its exit code.
func (c *cli) judged(r *torture.Report, err error) error {
	if r == nil {
		return err
	}
	if _, printErr := fmt.Fprint(c.stdout, r.Text()); printErr != nil {
		return printErr
	}
	if errors.Is(err, torture.ErrRed) {
		return &exitError{code: exitViolation, err: err}
	}
	return err
}
