package api

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/valyala/fasthttp"
)

// Version is the dated version of the contract. A request that names another
// one in Chumi-Version is refused.
const Version = "2026-11-23"

// The defaults of Options.
const (
	// DefaultRatePerSecond and DefaultBurst bound one key: far above a person's
	// console, below what one client could do to the others.
	DefaultRatePerSecond = 200
	DefaultBurst         = 400
	// DefaultHeartbeat is how often a silent stream says that it lives; a client
	// that left is noticed at the next write.
	DefaultHeartbeat = 15 * time.Second
	// DefaultStreamMax and DefaultKeyStreamMax bound open streams, at about
	// 25 KB each, in all and of one key.
	DefaultStreamMax    = 4096
	DefaultKeyStreamMax = 64
	// DefaultReadTimeout and DefaultWriteTimeout bound a request's work. A
	// takeover waits for attempts under way, which the sender bounds.
	DefaultReadTimeout  = 10 * time.Second
	DefaultWriteTimeout = 30 * time.Second
	// DefaultFlushTimeout is how long a stream's client may block one flush.
	DefaultFlushTimeout = 10 * time.Second
)

// Options is what an API needs. The zero value of a number takes its default.
type Options struct {
	// Keys, Views, People, Sends, Templates, Feed, Commands, Approvals, Links, Marks, Metrics and Log
	// are required, and so are Channels, Onboarding, Disconnection, TemplateSync, Profiles
	// and Settings, and the three of assistants.
	Keys          Keys
	Views         Views
	People        People
	Sends         Sends
	Templates     Templates
	Feed          Feed
	Commands      Commands
	Approvals     Approvals
	Links         Links
	Marks         Marks
	Channels      Channels
	Onboarding    Onboarding
	Disconnection Disconnection
	TemplateSync  TemplateSync
	Profiles      Profiles
	Settings      Settings

	// TrainingPolicy, Training and TrainingReports are required.
	TrainingPolicy  TrainingPolicy
	Training        Training
	TrainingReports TrainingReports
	// Erasures is required.
	Erasures         Erasures
	Assistants       Assistants
	AssistantChanges AssistantChanges
	AssistantPlaces  AssistantPlaces
	// Usage, Budgets and Pasts are required. Currency is that of the price list, PricesAsOf
	// its day.
	Usage      Usage
	Budgets    Budgets
	Pasts      Pasts
	Currency   string
	PricesAsOf string

	Metrics *metrics.API
	Log     *slog.Logger
	// Tooling has tools, products and orders. Can be nil: then there are none.
	Tooling *Tooling
	// Library has the files. Can be nil: then there are none.
	Library Library
	// Sources has the knowledge, and CheckURL says whether a website may be fetched. Can
	// be nil, both: then there is none.
	Sources  Sources
	CheckURL func(url string) error
	// Held says why nothing is sent for a tenant, "" when it is. Can be nil: it is.
	Held func(chat.TenantID) string
	// Home finds the node that answers for a tenant. Can be nil: this one does.
	Home Home
	// Console returns an asset of the console by its path ("/", "/app.js").
	// Can be nil: then there is none.
	Console func(path string) (body []byte, contentType string, ok bool)
	// Simulator serves /simulator/api/. Can be nil: then there is none. It is
	// not authenticated: on a loopback listener only requests that name a
	// loopback host, and from pages of this origin, reach it.
	Simulator fasthttp.RequestHandler

	RatePerSecond float64
	Burst         int
	Heartbeat     time.Duration
	StreamMax     int
	KeyStreamMax  int
	UploadMax     int
	ReadTimeout   time.Duration
	WriteTimeout  time.Duration
	FlushTimeout  time.Duration
}

// EnsureDefaults fills every unset number.
func (o *Options) EnsureDefaults() {
	if o.RatePerSecond <= 0 {
		o.RatePerSecond = DefaultRatePerSecond
	}
	for _, n := range []struct {
		field *int
		def   int
	}{{&o.Burst, DefaultBurst}, {&o.StreamMax, DefaultStreamMax}, {&o.KeyStreamMax, DefaultKeyStreamMax}, {&o.UploadMax, DefaultUploadMax}} {
		if *n.field <= 0 {
			*n.field = n.def
		}
	}
	for _, d := range []struct {
		field *time.Duration
		def   time.Duration
	}{{&o.Heartbeat, DefaultHeartbeat}, {&o.ReadTimeout, DefaultReadTimeout},
		{&o.WriteTimeout, DefaultWriteTimeout}, {&o.FlushTimeout, DefaultFlushTimeout}} {
		if *d.field <= 0 {
			*d.field = d.def
		}
	}
}

// API serves the API listener.
type API struct {
	opt     Options
	limits  *limiter
	streams *streamCount
	log     *slog.Logger
	ended   atomic.Bool
	// live is done when streams must end.
	live context.Context
	end  context.CancelFunc
}

// New returns an API, or an error that names the missing option.
func New(o Options) (*API, error) {
	if o.Keys == nil || o.Views == nil || o.People == nil || o.Links == nil || o.Sends == nil || o.Templates == nil || o.Feed == nil || o.Commands == nil || o.Approvals == nil || o.Marks == nil || o.Metrics == nil || o.Log == nil {
		return nil, chat.E("api.New", chat.KindInvalid, "Keys, Views, People, Sends, Templates, Feed, Commands, Approvals, Links, Marks, Metrics and Log are required", nil)
	}
	if o.Channels == nil || o.Onboarding == nil || o.Disconnection == nil || o.TemplateSync == nil || o.Profiles == nil || o.Settings == nil {
		return nil, chat.E("api.New", chat.KindInvalid, "Channels, Onboarding, Disconnection, TemplateSync, Profiles and Settings are required", nil)
	}
	if o.TrainingPolicy == nil || o.Training == nil || o.TrainingReports == nil || o.Erasures == nil {
		return nil, chat.E("api.New", chat.KindInvalid, "TrainingPolicy, Training, TrainingReports and Erasures are required", nil)
	}
	if o.Assistants == nil || o.AssistantChanges == nil || o.AssistantPlaces == nil || o.Usage == nil || o.Budgets == nil || o.Pasts == nil {
		return nil, chat.E("api.New", chat.KindInvalid, "Assistants, AssistantChanges, AssistantPlaces, Usage, Budgets and Pasts are required", nil)
	}
	o.EnsureDefaults()
	live, end := context.WithCancel(context.Background())
	return &API{
		opt:     o,
		limits:  newLimiter(o.RatePerSecond, o.Burst),
		streams: newStreamCount(o.StreamMax, o.KeyStreamMax),
		log:     o.Log,
		live:    live,
		end:     end,
	}, nil
}

// EndStreams ends every open stream and refuses new ones. It does not wait.
func (a *API) EndStreams() {
	a.ended.Store(true)
	a.end()
}

// Serve is the fasthttp handler of the listener.
func (a *API) Serve(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	switch {
	case path == "/v1" || len(path) > 3 && path[:4] == "/v1/":
		a.serveV1(ctx, path)
	case path == "/openapi.json":
		a.serveSpec(ctx)
	default:
		a.serveConsole(ctx, path)
	}
}

// serveV1 finds the route, lets the key pass, and answers.
func (a *API) serveV1(ctx *fasthttp.RequestCtx, path string) {
	begun := time.Now()
	r := &call{API: a, ctx: ctx, id: newID("req_")}
	ctx.Response.Header.Set("Request-Id", r.id)
	ctx.Response.Header.Set("Chumi-Version", Version)
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	route, id, fail := findRoute(string(ctx.Method()), path)
	name := "none"
	if fail == nil {
		name = route.name
		fail = r.admit(route)
	}
	if a.opt.Held != nil {
		if why := a.opt.Held(r.principal.Tenant); why != "" {
			ctx.Response.Header.Set("Chumi-Held", why)
		}
	}
	elsewhere := false
	if fail == nil {
		elsewhere, fail = r.relay()
	}
	if fail == nil && !elsewhere {
		r.object = id
		fail = route.serve(r)
	}
	if fail != nil {
		r.fail(fail)
	}
	a.opt.Metrics.Requests.WithLabelValues(name, codeClass(ctx.Response.StatusCode())).Inc()
	if !r.streaming {
		a.opt.Metrics.Latency.Observe(time.Since(begun).Seconds())
	}
}

func codeClass(status int) string {
	switch status / 100 {
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	}
	return "5xx"
}
