package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// TraceConfig says where traces go.
type TraceConfig struct {
	Endpoint string `koanf:"endpoint" rule:"url_opt" doc:"URL of a collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; empty for no traces. OTEL_EXPORTER_OTLP_HEADERS adds headers."`
	// OneIn is by the trace: all nodes keep the same ones.
	OneIn int `koanf:"one_in" doc:"Of how many traces one is kept; 1 keeps all."`
}

const (
	// traceBatch is how long spans wait for others to be sent with.
	traceBatch = time.Second
	// traceFlush bounds the wait for the last ones when the process stops.
	traceFlush = 3 * time.Second
)

// tracing sends spans to a collector. Ids follow from the journal: whoever works on a
// customer message adds to the same trace, also another node after a failover.
type tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// openTracing returns nil where no endpoint is configured.
func openTracing(ctx context.Context, c TraceConfig, log *slog.Logger) (*tracing, error) {
	if c.Endpoint == "" {
		return nil, nil
	}
	endpoint := c.Endpoint
	if !strings.Contains(strings.TrimPrefix(strings.TrimPrefix(endpoint, "http://"), "https://"), "/") {
		endpoint += "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log.Warn("traces could not be sent; they are lost", "err", metrics.RedactText(err.Error()))
	}))
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter, sdk.WithBatchTimeout(traceBatch)), sdk.WithIDGenerator(derived{}),
		sdk.WithSampler(sdk.TraceIDRatioBased(1/float64(c.OneIn))),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "chumi"), attribute.String("service.version", release))))
	return &tracing{provider: p, tracer: p.Tracer("github.com/chumiai/chumi")}, nil
}

// close sends what waits.
func (t *tracing) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), traceFlush)
	defer cancel()
	// What could not be sent was logged; it is no reason to call the stop a failure.
	_ = t.provider.Shutdown(ctx)
	return nil
}

// Span implements actors.Tracer.
func (t *tracing) Span(s actors.Span) {
	id := traceID(s.Conversation, s.First)
	ctx := context.WithValue(context.Background(), idKey{}, ids{id, spanID(id, s.Name, s.Of)})
	if s.Parent != "" {
		ctx = trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: id, SpanID: spanID(id, s.Parent, s.ParentOf), TraceFlags: trace.FlagsSampled, Remote: true}))
	}
	_, span := t.tracer.Start(ctx, s.Name, trace.WithTimestamp(s.Began), trace.WithSpanKind(kindOf(s.Name)))
	if s.Outcome != "" {
		span.SetAttributes(attribute.String("chumi.outcome", s.Outcome))
	}
	if s.Failed {
		span.SetStatus(codes.Error, s.Outcome)
	}
	span.End(trace.WithTimestamp(s.Ended))
}

func kindOf(name string) trace.SpanKind {
	switch name {
	case actors.SpanWebhook:
		return trace.SpanKindServer
	case actors.SpanModel, actors.SpanTool, actors.SpanSend:
		return trace.SpanKindClient
	}
	return trace.SpanKindInternal
}

// ids are those of the span that begins, in a context; idKey finds them.
type (
	ids struct {
		trace trace.TraceID
		span  trace.SpanID
	}
	idKey struct{}
)

// derived gives spans the ids that the context names.
type derived struct{}

// NewIDs implements sdk.IDGenerator.
func (derived) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	i, _ := ctx.Value(idKey{}).(ids)
	return i.trace, i.span
}

// NewSpanID implements sdk.IDGenerator.
func (derived) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	i, _ := ctx.Value(idKey{}).(ids)
	return i.span
}

// traceID is that of a customer message and of all that was answered with it.
func traceID(c chat.ConversationID, first chat.Seq) (id trace.TraceID) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte("trace/"), c...), uint64(first)))
	copy(id[:], sum[:])
	return id
}

func spanID(t trace.TraceID, name, of string) (id trace.SpanID) {
	sum := sha256.Sum256(append(append(append(t[:], name...), '/'), of...))
	copy(id[:], sum[:])
	return id
}
