package edge

import (
	"encoding/json"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"github.com/valyala/fasthttp/pprofhandler"
)

// Check is one named condition of readiness. It answers from memory, at once.
type Check struct {
	// Name is a word such as "disk" or "draining".
	Name string
	// Ready returns "" when fulfilled, otherwise a sentence for the operator.
	Ready func() string
	// Note returns a sentence to show though it is fulfilled, "" for none. Can be nil.
	Note func() string
}

// Ops is what the operator's listener shows.
type Ops struct {
	// Gatherer is the registry behind /metrics.
	Gatherer prometheus.Gatherer
	// Checks decide /readyz: all must be fulfilled. /livez looks at none of
	// them: a process that can answer it is alive.
	Checks []Check
	// Cluster serves /cluster and what is below it. Can be nil: then there is none.
	Cluster fasthttp.RequestHandler
	// Apps is behind /apps and what is below it. Can be nil: then there is none.
	Apps AppSecrets
	// Settings changes the rest of an app. Can be nil: then nothing does.
	Settings AppSettings
	// Backups is behind /backup and /erasures, Restored behind /restore/confirm. Can be nil.
	Backups  Backups
	Restored Restored
	// Archives is behind /tenants and what is below it. Can be nil.
	Archives Archives
}

func (o Ops) routes() []Route {
	metrics := fasthttpadaptor.NewFastHTTPHandler(promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		EnableOpenMetrics: true, MaxRequestsInFlight: 4,
	}))
	routes := []Route{
		{Prefix: "/metrics", Handler: reading(metrics)},
		{Prefix: "/livez", Handler: reading(func(ctx *fasthttp.RequestCtx) { plain(ctx, fasthttp.StatusOK, "alive\n") })},
		{Prefix: "/readyz", Handler: reading(o.ready)},
		{Prefix: "/debug/pprof/", Handler: reading(pprofhandler.PprofHandler)},
	}
	if o.Cluster != nil {
		routes = append(routes, Route{Prefix: "/cluster", Handler: o.Cluster}, Route{Prefix: "/cluster/", Handler: o.Cluster})
	}
	if o.Apps != nil {
		routes = append(routes, Route{Prefix: "/apps", Handler: o.apps}, Route{Prefix: "/apps/", Handler: o.apps})
	}
	if o.Backups != nil {
		routes = append(routes, Route{Prefix: "/backup", Handler: o.backups}, Route{Prefix: "/erasures", Handler: reading(o.erasures)})
	}
	if o.Archives != nil {
		routes = append(routes, Route{Prefix: "/tenants", Handler: o.tenants}, Route{Prefix: "/tenants/", Handler: o.tenants})
	}
	if o.Restored != nil {
		routes = append(routes, Route{Prefix: "/restore/confirm", Handler: o.confirm})
	}
	return routes
}

// reading admits GET and HEAD only.
func reading(h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		if !ctx.IsGet() && !ctx.IsHead() {
			ctx.Response.Header.Set("Allow", "GET, HEAD")
			plain(ctx, fasthttp.StatusMethodNotAllowed, "")
			return
		}
		h(ctx)
	}
}

// readiness is the body of /readyz.
type readiness struct {
	Ready  bool          `json:"ready"`
	Checks []checkResult `json:"checks"`
}

type checkResult struct {
	Name   string `json:"name"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"`
	Note   string `json:"note,omitempty"`
}

func (o Ops) ready(ctx *fasthttp.RequestCtx) {
	r := readiness{Ready: true, Checks: make([]checkResult, 0, len(o.Checks))}
	for _, c := range o.Checks {
		reason := c.Ready()
		r.Ready = r.Ready && reason == ""
		result := checkResult{Name: c.Name, Ready: reason == "", Reason: reason}
		if c.Note != nil {
			result.Note = c.Note()
		}
		r.Checks = append(r.Checks, result)
	}
	body, err := json.Marshal(r)
	if err != nil {
		plain(ctx, fasthttp.StatusInternalServerError, "")
		return
	}
	ctx.SetContentType("application/json")
	if !r.Ready {
		ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
	}
	ctx.SetBody(append(body, '\n'))
}
