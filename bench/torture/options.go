package torture

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Options configures Run. The zero value is usable.
type Options struct {
	// Binary is the chumi executable to torture, built with -tags torture for
	// steps inside; empty means this process's own.
	Binary string
	// Commit is what the executables were built from, for the report.
	Commit string
	// Planted is an executable built with -tags "torture planted", for Plant.
	Planted string
	// Dir is where data directories are made; empty means the system's
	// temporary directory. Those of red segments are kept, with Keep all are.
	Dir  string
	Keep bool
	// Out is a file for the report as JSON, Markdown one for a stranger who wants
	// to repeat the run; empty writes none.
	Out, Markdown string
	// Command is the command line, for the report.
	Command []string
	// Resume is a file that holds the totals so far and is written after every
	// audited segment; empty keeps none. Totals of another build are refused
	// unless Force is set.
	Resume string
	Force  bool
	// Log gets a line every few seconds. Can be nil.
	Log io.Writer

	// Kills ends the run when so many counted; Duration when that long has
	// passed. With neither, DefaultKills.
	Kills    int
	Duration time.Duration
	// Seed chooses customers, moments and faults.
	Seed uint64
	// Engines is how many are tortured at once, SegmentKills how many kills each
	// store lives through before it is audited.
	Engines      int
	SegmentKills int
	// Steps restricts the kills to these; empty means every step.
	Steps []string

	// Nodes, when not 0, tortures a cluster of so many nodes instead, in a
	// network of its own; see FaultKinds. Engines and Steps mean nothing then,
	// Kills counts nodes killed, and SegmentKills faults.
	Nodes int
	// LeaderKills, when not 0, only kills leaders, so many times, under a load of
	// Rate messages a second without replies, and measures how long nothing is
	// acknowledged.
	LeaderKills int
	Rate        float64
	// CatchUp, when not 0, has one node miss commits, Missed of them at first, and
	// kills it so many times while it takes in the snapshots it then needs, under
	// a load of Rate messages a second without replies.
	CatchUp, Missed int

	// Faults, when there are any, happen to the machine below an engine, Trials
	// times each, instead of kills; see HostFaults. Each trial is audited.
	Faults []HostFault
	Trials int

	// Traffic is what customers do.
	Traffic Traffic
	// QuietPeriod and ReconcileAfter are told to the engine.
	QuietPeriod    time.Duration
	ReconcileAfter time.Duration

	// env is added to the engine's environment, drain bounds how long it may
	// take to do what it owes at the end; plants set them.
	env   []string
	drain time.Duration
	// mute leaves answers out, diskFreeMin and perIPMax are told to the engine, orders
	// gives every node of a cluster a file of orders; trials of faults set them.
	mute        bool
	diskFreeMin int
	perIPMax    int
	orders      bool
}

// Traffic is the load of one engine.
type Traffic struct {
	// Tenants and Customers: each tenant has that many customers on WhatsApp
	// and as many on Instagram.
	Tenants, Customers int
	// Writers post at once; each waits Think between its messages.
	Writers int
	Think   time.Duration
	// Repeated is the share of POSTs that are posted a second time, half of
	// them at the same time, half of them later. Batched is the share that
	// carry several messages.
	Repeated, Batched float64
	// GraphFaults and ModelFaults scale how often the simulators fail; 1 is
	// about one request in ten, 0 is never.
	GraphFaults, ModelFaults float64
	// NoPeople leaves API messages and takeovers out.
	NoPeople bool
}

// The defaults of Options.
const (
	DefaultKills          = 200
	DefaultEngines        = 2
	DefaultSegmentKills   = 50
	DefaultTrials         = 5
	DefaultQuietPeriod    = 50 * time.Millisecond
	DefaultReconcileAfter = 300 * time.Millisecond

	// drainMax is far above what retries of throttled sends and calls add up to.
	drainMax = 90 * time.Second
)

// DefaultTraffic is the load unless told otherwise.
var DefaultTraffic = Traffic{Tenants: 4, Customers: 60, Writers: 32, Think: 5 * time.Millisecond,
	Repeated: 0.2, Batched: 0.15, GraphFaults: 1, ModelFaults: 1}

// ClusterTraffic is the load of a cluster unless told otherwise: its segments
// last minutes, and every node shares this machine.
var ClusterTraffic = Traffic{Tenants: 8, Customers: 40, Writers: 24, Think: 200 * time.Millisecond,
	Repeated: 0.2, Batched: 0.15, GraphFaults: 0.5, ModelFaults: 1}

// DefaultRate is the load while only leaders are killed, in messages a second.
const DefaultRate = 500

// The load while a node catches up, in messages a second, and the commits it
// misses at first.
const (
	DefaultCatchUpRate = 200
	DefaultMissed      = 200_000
)

// nodesLeast is the smallest cluster that outlives a node.
const nodesLeast = 3

// EnsureDefaults fills every unset field.
func (o *Options) EnsureDefaults() {
	if o.Kills == 0 && o.Duration == 0 {
		o.Kills = DefaultKills
	}
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.Engines == 0 {
		o.Engines = DefaultEngines
	}
	if o.SegmentKills == 0 {
		o.SegmentKills = DefaultSegmentKills
	}
	if o.QuietPeriod == 0 {
		o.QuietPeriod = DefaultQuietPeriod
	}
	if o.ReconcileAfter == 0 {
		o.ReconcileAfter = DefaultReconcileAfter
	}
	if len(o.Faults) > 0 && o.Trials == 0 {
		o.Trials = DefaultTrials
	}
	if o.Traffic == (Traffic{}) && len(o.Faults) > 0 {
		o.Traffic = HostTraffic
	}
	if o.Traffic == (Traffic{}) && o.Nodes > 0 {
		o.Traffic = ClusterTraffic
	}
	if o.Traffic == (Traffic{}) {
		o.Traffic = DefaultTraffic
	}
	if o.LeaderKills > 0 && o.Rate == 0 {
		o.Rate = DefaultRate
	}
	if o.CatchUp > 0 && o.Rate == 0 {
		o.Rate = DefaultCatchUpRate
	}
	if o.CatchUp > 0 && o.Missed == 0 {
		o.Missed = DefaultMissed
	}
	if o.drain == 0 {
		o.drain = drainMax
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
}

// silent reports whether nothing is answered and there is one segment only.
func (o *Options) silent() bool { return o.LeaderKills > 0 || o.CatchUp > 0 || o.mute }

// Validate names the first option that makes no sense.
func (o *Options) Validate() error {
	if o.Engines < 1 || o.SegmentKills < 1 || o.Kills < 0 || o.Duration < 0 {
		return errors.New("torture: engines and kills are positive")
	}
	if t := o.Traffic; t.Tenants < 1 || t.Customers < 1 || t.Writers < 1 {
		return errors.New("torture: tenants, customers and writers are positive")
	}
	if o.Nodes != 0 && o.Nodes != nodesLeast {
		return fmt.Errorf("torture: a cluster of %d nodes: only %d are supported", o.Nodes, nodesLeast)
	}
	if o.LeaderKills < 0 || o.Rate < 0 || (o.LeaderKills > 0 || o.Rate > 0) && o.Nodes == 0 {
		return errors.New("torture: leaders are killed in a cluster, see Nodes")
	}
	if o.CatchUp < 0 || o.Missed < 0 || (o.CatchUp > 0 || o.Missed > 0) && o.Nodes == 0 {
		return errors.New("torture: a node catches up in a cluster, see Nodes")
	}
	if o.CatchUp > 0 && o.LeaderKills > 0 || o.Missed > 0 && o.CatchUp == 0 {
		return errors.New("torture: leaders are killed, or a node catches up with what it missed, in a run of its own")
	}
	if len(o.Faults) > 0 && (o.Nodes > 0 || len(o.Steps) > 0) || o.Trials < 0 || o.Trials > 0 && len(o.Faults) == 0 {
		return errors.New("torture: faults of the machine are tried in a run of their own, a positive number of times")
	}
	for _, f := range o.Faults {
		if !slices.Contains(HostFaults(), f) {
			return fmt.Errorf("torture: unknown fault %q; known: %v", f, HostFaults())
		}
	}
	if got := len(stepsNamed(o.Steps)); len(o.Steps) > 0 && got != len(o.Steps) {
		return fmt.Errorf("torture: %d of the steps %v are unknown; list them with --list-steps", len(o.Steps)-got, o.Steps)
	}
	return nil
}
