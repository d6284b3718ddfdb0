package webhook

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/valyala/fasthttp"
)

// prefix is where the hooks are mounted; the app's id is the rest of the path.
const prefix = "/hooks/"

const (
	// DefaultDeliverTimeout leaves Instagram's limit of five seconds behind only
	// when the disk is in trouble, and stays below the connection's WriteTimeout.
	DefaultDeliverTimeout = 8 * time.Second
	// DefaultInFlightMax bounds POSTs being decoded and made durable: beyond it
	// a fast 503 keeps the answered ones fast.
	DefaultInFlightMax = 1024
	// retryAfter is the pause in seconds a 503 asks for.
	retryAfter = "1"
	// logEvery bounds warnings that a stranger can cause.
	logEvery = 10 * time.Second
)

// Options is what a Handler needs.
type Options struct {
	// Apps and Ingress are required.
	Apps    Apps
	Ingress Ingress
	// DeliverTimeout bounds one POST from decoded to durable; 0 takes the default.
	DeliverTimeout time.Duration
	// InFlightMax bounds POSTs between signature and answer; 0 takes the default.
	InFlightMax int
	// Sightings are told what comes in; nil for nobody.
	Sightings *Sightings
	// Metrics and Log are required.
	Metrics *metrics.Edge
	// Traced puts into the context of a delivery when its POST was read. Nil where
	// nothing is traced.
	Traced func(ctx context.Context, read time.Time) context.Context
	Log    *slog.Logger
}

// Handler serves /hooks/{app}.
type Handler struct {
	apps      Apps
	ingress   Ingress
	deadlines deadlines
	slots     chan struct{}
	verifiers verifiers
	sightings *Sightings
	metrics   *metrics.Edge
	traced    func(ctx context.Context, read time.Time) context.Context
	log       *slog.Logger
	// warned is when a warning was last logged, in nanoseconds since 1970.
	warned atomic.Int64
}

// New returns a Handler, or an error that names the missing option.
func New(o Options) (*Handler, error) {
	if o.Apps == nil || o.Ingress == nil || o.Metrics == nil || o.Log == nil {
		return nil, chat.E("webhook.New", chat.KindInvalid, "Apps, Ingress, Metrics and Log are required", nil)
	}
	if o.DeliverTimeout <= 0 {
		o.DeliverTimeout = DefaultDeliverTimeout
	}
	if o.InFlightMax <= 0 {
		o.InFlightMax = DefaultInFlightMax
	}
	if o.Sightings == nil {
		o.Sightings = NewSightings()
	}
	return &Handler{
		sightings: o.Sightings,
		apps:      o.Apps,
		ingress:   o.Ingress,
		deadlines: deadlines{timeout: o.DeliverTimeout},
		traced:    o.Traced,
		slots:     make(chan struct{}, o.InFlightMax),
		metrics:   o.Metrics,
		log:       o.Log,
	}, nil
}

// Serve is the fasthttp handler.
func (h *Handler) Serve(ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	id, ok := strings.CutPrefix(string(ctx.Path()), prefix)
	app, found := chat.App{}, false
	if ok && id != "" {
		app, found = h.apps.App(chat.AppID(id))
	}
	switch {
	case ctx.IsPost():
		begun := time.Now()
		status := fasthttp.StatusNotFound
		if found {
			status = h.receive(ctx, &app, begun)
		}
		ctx.SetStatusCode(status)
		h.metrics.Posts.WithLabelValues(strconv.Itoa(status)).Inc()
		if status == fasthttp.StatusOK {
			h.metrics.Ack.Observe(time.Since(begun).Seconds())
		}
	case !found:
		ctx.SetStatusCode(fasthttp.StatusNotFound)
	case ctx.IsGet():
		handshake(ctx, &app)
	default:
		ctx.Response.Header.Set("Allow", "GET, POST")
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
	}
}

// receive takes one POST to a known app, read at begun, and returns its status.
func (h *Handler) receive(ctx *fasthttp.RequestCtx, app *chat.App, begun time.Time) int {
	body := ctx.PostBody()
	secret, ok := h.verifiers.of(app).Verify(ctx.Request.Header.Peek("X-Hub-Signature-256"), body)
	now := time.Now().Unix()
	if !ok {
		h.sightings.refused.note(string(app.ID), now)
		h.warn("a webhook with a wrong signature was refused", "app", app.ID, "bytes", len(body))
		return fasthttp.StatusUnauthorized
	}
	h.metrics.SecretUsed.WithLabelValues(secretWord(app, secret)).Inc()
	h.sightings.signed.note(string(app.ID), now)
	failpoint.Hit(failpoint.WebhookVerified)

	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.warn("a webhook was refused: too many in flight", "app", app.ID, "limit", cap(h.slots))
		return unavailable(ctx)
	}
	h.metrics.InFlight.Inc()
	defer h.metrics.InFlight.Dec()

	updates, err := meta.Decode(app.ID, body, app.AtMeta()...)
	if err != nil {
		updates = []chat.Inbound{unreadable(app.ID, body, err)}
	}
	h.count(updates)
	failpoint.Hit(failpoint.WebhookDecoded)
	if len(updates) == 0 {
		return fasthttp.StatusOK
	}
	// fasthttp knows nothing of a client that went away: time is the only bound.
	deadline := h.deadlines.next(time.Now())
	if h.traced != nil {
		deadline = h.traced(deadline, begun)
	}
	if err := h.ingress.Deliver(deadline, app.ID, updates); err != nil {
		h.warn("a webhook could not be made durable", "app", app.ID, "updates", len(updates), "err", err)
		return unavailable(ctx)
	}
	h.sightings.updates(updates, now)
	failpoint.Hit(failpoint.WebhookAnswering)
	return fasthttp.StatusOK
}

func unavailable(ctx *fasthttp.RequestCtx) int {
	ctx.Response.Header.Set("Retry-After", retryAfter)
	return fasthttp.StatusServiceUnavailable
}

// warn logs at most once per logEvery.
func (h *Handler) warn(message string, args ...any) {
	now := time.Now().UnixNano()
	last := h.warned.Load()
	if now-last < int64(logEvery) || !h.warned.CompareAndSwap(last, now) {
		return
	}
	h.log.Warn(message, args...)
}

func (h *Handler) count(updates []chat.Inbound) {
	for i := range updates {
		h.metrics.Updates.WithLabelValues(kindWord(&updates[i])).Inc()
	}
}

func kindWord(in *chat.Inbound) string {
	if in.Problem != "" {
		return "malformed"
	}
	switch in.Kind {
	case chat.InboundMessage:
		return "message"
	case chat.InboundStatus:
		return "status"
	case chat.InboundEcho:
		return "echo"
	case chat.InboundRead:
		return "read"
	case chat.InboundUpdate:
		return "update"
	}
	return "malformed"
}
