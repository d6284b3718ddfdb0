package edge

import (
	"log/slog"
	"time"

	"github.com/chumiai/chumi/metrics"
	"github.com/valyala/fasthttp"
)

// NewHooks returns the public listener: Meta's webhooks below /hooks/ and
// nothing else. Zero limits take DefaultHooksLimits as a whole.
func NewHooks(limits Limits, hooks fasthttp.RequestHandler, m *metrics.Edge, log *slog.Logger) (*Server, error) {
	if limits == (Limits{}) {
		limits = DefaultHooksLimits
	}
	return New(Options{
		Name: "hooks", Limits: limits, Metrics: m, Log: log,
		Routes: []Route{{Prefix: "/hooks/", Handler: hooks}},
	})
}

// NewAPI returns the listener of the REST API, its event streams, the
// specification, the console and, when simulating, the simulator. endStreams is
// called when a drain begins; bodyMax is as in Options. Zero limits take DefaultAPILimits as a whole.
func NewAPI(limits Limits, api fasthttp.RequestHandler, bodyMax func(*fasthttp.RequestHeader) (int, time.Duration), endStreams func(), m *metrics.Edge, log *slog.Logger) (*Server, error) {
	if limits == (Limits{}) {
		limits = DefaultAPILimits
	}
	return New(Options{
		Name: "api", Limits: limits, BodyMax: bodyMax, OnDrain: endStreams, Metrics: m, Log: log,
		Routes: []Route{{Prefix: "/", Handler: api}},
	})
}

// NewOps returns the operator's listener: metrics, health and profiles. Keep it
// on a private address. Zero limits take DefaultOpsLimits as a whole.
func NewOps(limits Limits, ops Ops, m *metrics.Edge, log *slog.Logger) (*Server, error) {
	if limits == (Limits{}) {
		limits = DefaultOpsLimits
	}
	return New(Options{Name: "ops", Limits: limits, Metrics: m, Log: log, Routes: ops.routes()})
}
