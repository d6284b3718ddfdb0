package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// The parts of a run.
const (
	PartHeadline = "headline"  // engine against bounds, closed loop
	PartOpen     = "open"      // ack latency at given rates
	PartReply    = "reply"     // engine time per reply at a given rate
	PartNoisy    = "noisy"     // reply time of others beside a tenant with a hundred times their traffic
	PartPoison   = "poison"    // what good traffic gets beside a flood of what must be refused or kept aside; only when named
	PartSlow     = "slowloris" // what good traffic gets beside connections that only occupy the edge; only when named
	PartFlight   = "flight"    // memory of turns in flight, and turns a second
	PartMemory   = "memory"    // memory per resident conversation
	PartOutage   = "outage"    // goodput while Meta replays what an outage held back; only when named
	PartScale    = "scale"     // cost of a message, restart and memory with millions stored; only when named
	PartPeers    = "peers"     // engine, bounds and peers, closed and open loop; only when named, or with their program
)

// Parts lists every part in the order they run.
func Parts() []string {
	return append(quickParts(), PartPoison, PartSlow, PartScale, PartOutage, PartPeers)
}

// quickParts are those that run when none are named: each takes minutes at most.
func quickParts() []string {
	return []string{PartHeadline, PartOpen, PartReply, PartNoisy, PartFlight, PartMemory}
}

// Options configures Run. The zero value is usable; EnsureDefaults fills it.
type Options struct {
	// Binary is the chumi executable to measure; empty means this process's own.
	// It also serves the bounds, by `bench bound`.
	Binary string
	// Dir is where data directories are made, on the disk to be measured; empty
	// means the system's temporary directory. It is emptied of them at the end.
	Dir string
	// Out is a directory for report.json, report.txt and report.svg; empty
	// writes none.
	Out string
	// Log gets a line per round. Can be nil.
	Log io.Writer

	// Commit is what the binary was built from, for the report.
	Commit string
	// Parts to run, in order; empty means those that do not run only when named, and
	// PartPeers with the program of the peers.
	Parts []string
	// Within bounds the whole run: rounds are not run again when a quarter of it is
	// over, and the last part, the peers, ends in time. 0 is no bound.
	Within time.Duration
	// Rows to run in the headline, of RowAcks and RowReplies; empty means both.
	// The ratios need RowAcks.
	Rows []string
	// Against is another chumi executable whose acks are measured in the same
	// rounds; empty measures none.
	Against string
	// Cluster adds three nodes of the engine to the headline's rounds, all on this
	// machine: what a copy on two disks costs, not what three machines bring.
	Cluster bool
	// Bounds to run in the headline, of BoundHMAC, BoundPebble and
	// BoundPebbleTuned; empty means all three.
	Bounds []string

	Tenants       int
	Conversations int     // per tenant
	Skew          float64 // Zipf s
	Instagram     float64 // share of conversations
	Seed          uint64
	Conns         int

	// Rounds of the headline, each Warm and then Measure long. Each side of a
	// round that is invalid is run again, at most Retries times.
	Rounds        int
	Retries       int
	Warm, Measure time.Duration
	// Requests is how many bodies are signed beforehand; 0 means 80,000 for
	// every second of a round.
	Requests int

	// Rates are those of the open loop, in requests per second; Poisson draws
	// exponential gaps.
	Rates   []float64
	Poisson bool

	// ReplyRate is messages per second while reply time is measured, ReplyQuiet
	// the quiet period then.
	ReplyRate  float64
	ReplyQuiet time.Duration
	// Flights is how many turns are in flight at once when their memory is measured.
	Flights int
	// Resident is how many conversations memory is measured with.
	Resident int
	// Stored is how many conversations the store holds at last in PartScale, of which
	// StoredResident are then made resident.
	Stored, StoredResident int
	// Outage is how long webhooks did not get through in PartOutage, OutageSpeed how many
	// times as fast they are offered afterwards.
	Outage      time.Duration
	OutageSpeed int

	// Peers is the program that serves the peers, built from bench/peers; without it
	// the peers part has the engine and the bare handlers alone. Contenders are those
	// to run; empty means all.
	Peers      string
	Contenders []string
	// PeerConns are the numbers of connections in the peers part, PeerRounds its
	// rounds; each load of it is PeerWarm, the first of a store ten times that, and
	// then PeerMeasure long.
	PeerConns             []int
	PeerRounds            int
	PeerWarm, PeerMeasure time.Duration

	// OtherMax is the share of one CPU that others may use before a round is
	// invalid; LagMax how late the generator may be at p99 (or 5 % of the p99
	// of acks, if that is more).
	OtherMax float64
	LagMax   time.Duration
}

// The defaults of Options.
const (
	DefaultTenants       = 20
	DefaultConversations = 500
	DefaultSkew          = 1.1
	DefaultInstagram     = 0.2
	DefaultConns         = 64
	DefaultRounds        = 5
	DefaultRetries       = 2
	DefaultWarm          = 2 * time.Second
	DefaultMeasure       = 8 * time.Second
	DefaultReplyRate     = 500
	DefaultReplyQuiet    = 100 * time.Millisecond
	DefaultFlights       = 20_000
	DefaultResident      = 50_000
	DefaultStored        = 5_000_000
	DefaultStoredActive  = 1_000_000
	DefaultPeerRounds    = 5
	DefaultPeerWarm      = 300 * time.Millisecond
	DefaultPeerMeasure   = 1500 * time.Millisecond
	DefaultOutage        = 6 * time.Hour
	DefaultOutageSpeed   = 10
	DefaultOtherMax      = 0.10
	DefaultLagMax        = time.Millisecond

	requestsPerSecond = 80_000
)

// EnsureDefaults fills every unset field.
func (o *Options) EnsureDefaults() {
	def(&o.Tenants, DefaultTenants)
	def(&o.Conversations, DefaultConversations)
	def(&o.Skew, DefaultSkew)
	def(&o.Instagram, DefaultInstagram)
	def(&o.Seed, 1)
	def(&o.Conns, DefaultConns)
	def(&o.Rounds, DefaultRounds)
	def(&o.Retries, DefaultRetries)
	def(&o.Warm, DefaultWarm)
	def(&o.Measure, DefaultMeasure)
	def(&o.ReplyRate, DefaultReplyRate)
	def(&o.ReplyQuiet, DefaultReplyQuiet)
	def(&o.Flights, DefaultFlights)
	def(&o.Resident, DefaultResident)
	def(&o.Stored, DefaultStored)
	def(&o.StoredResident, DefaultStoredActive)
	def(&o.Outage, DefaultOutage)
	def(&o.OutageSpeed, DefaultOutageSpeed)
	def(&o.OtherMax, DefaultOtherMax)
	def(&o.LagMax, DefaultLagMax)
	def(&o.PeerRounds, DefaultPeerRounds)
	def(&o.PeerWarm, DefaultPeerWarm)
	def(&o.PeerMeasure, DefaultPeerMeasure)
	if o.Log == nil {
		o.Log = io.Discard
	}
	if len(o.PeerConns) == 0 {
		o.PeerConns = []int{DefaultConns, 4 * DefaultConns}
	}
	if len(o.Parts) == 0 {
		o.Parts = quickParts()
		if o.Peers != "" {
			o.Parts = append(o.Parts, PartPeers)
		}
	}
	if len(o.Rows) == 0 {
		o.Rows = []string{RowAcks, RowReplies}
	}
	if len(o.Bounds) == 0 {
		o.Bounds = []string{BoundHMAC, BoundPebble, BoundPebbleTuned}
	}
	if len(o.Rates) == 0 {
		o.Rates = []float64{500, 2000}
	}
	def(&o.Requests, o.requests())
}

// requests is how many bodies the longest use of one store may take: a round of the
// headline, or a round of the peers part, whose loads mostly wait for a disk.
func (o *Options) requests() int {
	n := requestsPerSecond * (o.Warm + o.Measure).Seconds()
	if slices.Contains(o.Parts, PartPeers) {
		loads := time.Duration(len(o.PeerConns) * (1 + laterTries))
		n = max(n, requestsPerSecond/2*(firstWarm*o.PeerWarm+loads*(o.PeerWarm+o.PeerMeasure)).Seconds())
	}
	return int(n)
}

// Shorten makes a run of minutes, which shows that everything works and not how fast
// it is: too few rounds for a ratio.
func (o *Options) Shorten() {
	o.Within = 5 * time.Minute
	o.Rounds, o.Warm, o.Measure = 1, time.Second, 2*time.Second
	o.Resident = 5000
	o.PeerRounds, o.PeerWarm, o.PeerMeasure = 2, 100*time.Millisecond, 500*time.Millisecond
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Validate names the first option that makes no sense.
func (o *Options) Validate() error {
	for _, p := range o.Parts {
		if !slices.Contains(Parts(), p) {
			return fmt.Errorf("bench: unknown part %q; known: %v", p, Parts())
		}
	}
	bounds := []string{BoundHMAC, BoundPebble, BoundPebbleTuned}
	for _, b := range o.Bounds {
		if !slices.Contains(bounds, b) {
			return fmt.Errorf("bench: unknown bound %q; known: %v", b, bounds)
		}
	}
	if slices.Min(o.PeerConns) < 1 || o.PeerRounds < 1 || o.Within < 0 {
		return fmt.Errorf("bench: the peers need connections and rounds, and time cannot be negative")
	}
	for _, w := range o.Rows {
		if w != RowAcks && w != RowReplies {
			return fmt.Errorf("bench: unknown row %q; known: %s, %s", w, RowAcks, RowReplies)
		}
	}
	if o.Against != "" {
		if _, err := os.Stat(o.Against); err != nil {
			return fmt.Errorf("bench: cannot measure against it: %w", err)
		}
	}
	if o.Instagram < 0 || o.Instagram > 1 {
		return errors.New("bench: the Instagram share lies between 0 and 1")
	}
	if o.Tenants < 1 || o.Conversations < 1 || o.Conns < 1 || o.Rounds < 1 {
		return errors.New("bench: tenants, conversations, connections and rounds are at least 1")
	}
	return nil
}

// ErrLossy is returned with a report that found acknowledged messages lost or
// doubled.
var ErrLossy = errors.New("bench: acknowledged messages were lost or doubled")

// Run measures. It returns the report also with ErrLossy; other errors mean
// that it could not measure.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	begin := time.Now()
	dir, err := os.MkdirTemp(o.Dir, "chumi-bench-*")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	env, err := ReadEnvironment(dir, o.Commit)
	if err != nil {
		return nil, err
	}
	r := &runner{o: o, began: begin, dir: dir, world: child.NewWorld(o.Tenants), report: &Report{Environment: env}}
	r.requests = BuildRequests(r.world, r.workload(), o.Requests, time.Now())
	r.report.Settings = Settings{
		Seed: o.Seed, Tenants: o.Tenants, Conversations: o.Conversations, Skew: o.Skew, Instagram: o.Instagram,
		Conns: o.Conns, Rounds: o.Rounds, Warm: o.Warm, Measure: o.Measure, BodyBytes: r.requests.BodySize(),
	}
	parts := map[string]func(context.Context) error{
		PartHeadline: r.headline, PartOpen: r.open, PartReply: r.reply, PartNoisy: r.noisy, PartPoison: r.poison, PartSlow: r.slowloris,
		PartFlight: r.flight, PartMemory: r.memory, PartScale: r.scale, PartOutage: r.outage, PartPeers: r.peers,
	}
	for _, p := range Parts() {
		if !slices.Contains(o.Parts, p) {
			continue
		}
		if err := parts[p](ctx); err != nil {
			return nil, fmt.Errorf("%s (data in %s): %w", p, dir, err)
		}
	}
	return r.finish(begin)
}

// finish writes the report, keeps the data of a lossy run and removes all other.
func (r *runner) finish(begin time.Time) (*Report, error) {
	r.report.Took = time.Since(begin)
	if !r.report.Failed() {
		_ = os.RemoveAll(r.dir)
	} else {
		r.report.void()
		r.logf("data kept in %s", r.dir)
	}
	if r.o.Out != "" {
		if err := r.report.WriteFiles(r.o.Out); err != nil {
			return nil, err
		}
		r.logf("report in %s", filepath.Join(r.o.Out, "report.txt"))
	}
	if r.report.Failed() {
		return r.report, ErrLossy
	}
	return r.report, nil
}

func (o *Options) workloadOf(skew float64) Workload {
	return Workload{Tenants: o.Tenants, Conversations: o.Conversations, Skew: skew, Instagram: o.Instagram, Seed: o.Seed}
}
