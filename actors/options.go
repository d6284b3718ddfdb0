package actors

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// Defaults of Options.
const (
	// DefaultResidentMax resident conversations cost about 120 MB.
	DefaultResidentMax    = 100_000
	DefaultPassivateAfter = 10 * time.Minute
	DefaultSweepEvery     = 10 * time.Second
	// DefaultTurnsInFlightMax model calls at 40 KB each are 800 MB.
	DefaultTurnsInFlightMax = 20_000
	DefaultAttemptTimeout   = 20 * time.Second
	DefaultSendWindow       = 64
	DefaultTicksInFlightMax = 256
)

// Options is what a System needs.
type Options struct {
	// The ports. Model may be nil: every turn then fails for good. Strikes may
	// be nil: updates that kill the process are then not recognised. Uploads may be
	// nil: it is then the system's own Library, where there is one. Media, Files and
	// Opener may be nil, all three: files of messages are then owed and not fetched,
	// and messages with files of the engine fail. Presence may be nil:
	// nothing is shown to customers.
	Journal    Journal
	Histories  Histories
	Pairs      Pairs
	Index      Index
	Contacts   Contacts
	Documents  Documents
	Barrier    Barrier
	Directory  Directory
	Quarantine Quarantine
	Leadership Leadership
	Elections  Elections
	Agenda     Agenda
	Model      Model
	// Knowledge, Toolbox and Transcriber may be nil: assistants then answer without
	// what the business has written, their tools are not to be had, and voice notes are
	// not heard.
	Knowledge   Knowledge
	Toolbox     Toolbox
	Transcriber Transcriber
	Graph       Graph
	Uploads     Uploads
	Presence    Presence
	Strikes     Strikes
	Media       Media
	Files       Files
	Opener      Opener
	// Models may be nil: any model is then taken for known. Prices may be nil: nothing
	// then costs money. Counters may be nil: nobody is then told when money runs out.
	Models   Models
	Prices   Prices
	Counters Counters
	// Talks may be nil: no training data is then made.
	Talks Talks
	// Persons may be nil: no profile is then fetched.
	Persons Persons
	// Texts may be nil: nobody then reads what a business gives of its knowledge. It
	// needs Files and Registry. Embedder may be nil: no vectors are then made.
	Texts    Texts
	Embedder Embedder
	Clock    Clock
	// Registry may be nil: news of a WABA then concern the channel they were led to
	// alone. Accounts, Onboarding, Releaser, Binder and Sightings may be nil, together with it:
	// nobody then asks Meta about channels.
	Registry   Registry
	Accounts   Accounts
	Onboarding Onboarding
	Releaser   Releaser
	Binder     Binder
	Sightings  Sightings
	// Portfolios may be nil: nobody then counts whom templates go to.
	Portfolios Portfolios
	// Node is this node's number in its cluster; the others know the other nodes.
	// All are set, or none for a node alone.
	Node      chat.NodeID
	Leaders   Leaders
	Peers     Peers
	Places    Places
	Refresher Refresher

	// Tracer may be nil: nothing is then traced.
	Tracer Tracer

	// Strain tells how long work waited for a processor since the last call; nil for a
	// node whose own work never gives way to deliveries.
	Strain func() Strain

	// Boot tells this process from every other that asked for its node: answers to
	// an earlier one may still be on their way. 0 draws one.
	Boot uint64
	// Rand draws from [0,1) for jitter. Safe for concurrent use.
	Rand func() float64
	// Released is closed once the system may act; nil when it may at once. Before that
	// it takes in and does nothing of its own.
	Released <-chan struct{}
	// Arrivals has every tenant that came from an archive: true while it must not act.
	// The map is never changed. nil when there is none.
	Arrivals func() map[chat.TenantID]bool
	// Metrics may be nil.
	Metrics *metrics.Set
	// Logger may be nil.
	Logger *slog.Logger

	// ResidentMax bounds resident conversations of the node.
	ResidentMax int
	// PassivateAfter is how long a conversation may be idle and stay resident;
	// SweepEvery is how often that is looked at.
	PassivateAfter, SweepEvery time.Duration
	// TurnsInFlightMax bounds model calls under way on the node, TenantTurnsMax those of
	// one tenant; 0 for three quarters of the former.
	TurnsInFlightMax int
	TenantTurnsMax   int
	// AttemptTimeout bounds one HTTP attempt of a send.
	AttemptTimeout time.Duration
	// SendWindow bounds attempts in flight per channel.
	SendWindow int
	// TicksInFlightMax bounds due rows being worked on per group.
	TicksInFlightMax int
}

// EnsureDefaults fills every unset limit.
func (o *Options) EnsureDefaults() {
	count := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	span := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	count(&o.ResidentMax, DefaultResidentMax)
	count(&o.TurnsInFlightMax, DefaultTurnsInFlightMax)
	count(&o.SendWindow, DefaultSendWindow)
	count(&o.TicksInFlightMax, DefaultTicksInFlightMax)
	span(&o.PassivateAfter, DefaultPassivateAfter)
	span(&o.SweepEvery, DefaultSweepEvery)
	span(&o.AttemptTimeout, DefaultAttemptTimeout)
	if o.Boot == 0 {
		o.Boot = rand.Uint64() // #nosec G404 -- told apart, not guessed
	}
	if o.Rand == nil {
		o.Rand = func() float64 { return 1 }
	}
	if o.Metrics == nil {
		o.Metrics = metrics.New(nil)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// Validate reports the first port that is missing.
func (o *Options) Validate() error {
	for _, p := range []struct {
		name    string
		missing bool
	}{
		{"Journal", o.Journal == nil}, {"Histories", o.Histories == nil}, {"Pairs", o.Pairs == nil}, {"Index", o.Index == nil}, {"Contacts", o.Contacts == nil}, {"Documents", o.Documents == nil},
		{"Barrier", o.Barrier == nil}, {"Directory", o.Directory == nil}, {"Quarantine", o.Quarantine == nil},
		{"Leadership", o.Leadership == nil}, {"Elections", o.Elections == nil}, {"Agenda", o.Agenda == nil}, {"Graph", o.Graph == nil},
		{"Clock", o.Clock == nil},
	} {
		if p.missing {
			return chat.E("actors.New", chat.KindInvalid, "Options."+p.name+" is not set", nil)
		}
	}
	if (o.Media == nil) != (o.Files == nil) || (o.Media == nil) != (o.Opener == nil) {
		return chat.E("actors.New", chat.KindInvalid, "Options.Media, Files and Opener are set together or not at all", nil)
	}
	if o.Texts != nil && (o.Files == nil || o.Registry == nil) {
		return chat.E("actors.New", chat.KindInvalid, "Options.Texts needs Files and Registry", nil)
	}
	alone := o.Node == 0
	if alone != (o.Leaders == nil) || alone != (o.Peers == nil) || alone != (o.Places == nil) || alone != (o.Refresher == nil) {
		return chat.E("actors.New", chat.KindInvalid, "Options.Node, Leaders, Peers, Places and Refresher are set together or not at all", nil)
	}
	return nil
}
