package main

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// receiver is a collector that takes OTLP over HTTP.
type receiver struct {
	url string

	mu    sync.Mutex // guards what follows
	raw   bytes.Buffer
	spans []*otlp.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var batch collector.ExportTraceServiceRequest
		if err != nil || req.URL.Path != "/v1/traces" || proto.Unmarshal(body, &batch) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.raw.Write(body)
		for _, rs := range batch.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				r.spans = append(r.spans, ss.Spans...)
			}
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// traces groups the names of spans by trace.
func (r *receiver) traces() map[string][]*otlp.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[string][]*otlp.Span{}
	for _, s := range r.spans {
		out[hex.EncodeToString(s.TraceId)] = append(out[hex.EncodeToString(s.TraceId)], s)
	}
	return out
}

// callsOnce is a model that uses a tool and then answers.
func callsOnce() openaisim.Options {
	var asked atomic.Int64
	return openaisim.Options{Plan: openaisim.Plan{Answer: func(a *openaisim.Asked) openaisim.Said {
		if asked.Add(1) == 1 {
			return openaisim.Said{Calls: []openaisim.ToolCall{{ID: "1", Name: "search_catalog", Arguments: `{"query":"bike"}`}}}
		}
		return form(`"intent":"opening hours"`)(a)
	}}}
}

// TestTrace_IsOneFromWebhookToSend follows a message to the answer on the phone by the
// spans that a collector gets: all in one trace, each below one that is there, none with
// anything personal in it.
func TestTrace_IsOneFromWebhookToSend(t *testing.T) {
	r := newReceiver(t)
	s := newStage(t, withTools, callsOnce(), "--set", "trace.endpoint="+r.url)
	const said = "Are you open on Saturday? #4711"
	s.says("acme-wa", phone(0), said)
	// The first send says that an assistant answers.
	want := []string{"webhook", "ingress", "commit", "turn", "model", "model", "tool", "send", "send"}
	slices.Sort(want)
	var names []string
	var spans []*otlp.Span
	for limit := time.Now().Add(patience); !slices.Equal(names, want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("spans %v, want %v", names, want)
		}
		traces := r.traces()
		if len(traces) > 1 {
			t.Fatalf("%d traces for one message", len(traces))
		}
		for _, spans = range traces {
			names = names[:0]
			for _, one := range spans {
				names = append(names, one.Name)
			}
			slices.Sort(names)
		}
	}
	byID := map[string]*otlp.Span{}
	for _, one := range spans {
		byID[string(one.SpanId)] = one
	}
	above := map[string]string{"ingress": "webhook", "commit": "ingress", "turn": "commit", "model": "turn", "tool": "turn", "send": "turn"}
	for _, one := range spans {
		parent := byID[string(one.ParentSpanId)]
		if one.Name == "webhook" {
			if len(one.ParentSpanId) != 0 {
				t.Error("the webhook stands below something")
			}
		} else if parent == nil || parent.Name != above[one.Name] {
			t.Errorf("%s stands below %v, want %s", one.Name, parent, above[one.Name])
		}
		if one.EndTimeUnixNano < one.StartTimeUnixNano {
			t.Errorf("%s ends before it begins", one.Name)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, personal := range []string{phone(0), said, "Saturday", "Ada", "wamid", "bike"} {
		if strings.Contains(r.raw.String(), personal) {
			t.Errorf("%q is in what was sent to the collector", personal)
		}
	}
}

// TestTrace_GoesOnAfterARestart stops the engine while a model is being asked. The process
// that goes on with the turn adds to the trace of the one that took the message.
func TestTrace_GoesOnAfterARestart(t *testing.T) {
	r := newReceiver(t)
	var asked atomic.Int64
	hold := make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() { close(hold) }))
	s := newStage(t, withTools, openaisim.Options{Plan: openaisim.Plan{Answer: func(a *openaisim.Asked) openaisim.Said {
		if asked.Add(1) == 1 {
			<-hold
		}
		return form(`"intent":"opening hours"`)(a)
	}}}, "--set", "trace.endpoint="+r.url)
	s.says("acme-wa", phone(0), "hello #1")
	for limit := time.Now().Add(patience); asked.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("the model was not asked")
		}
	}
	s.engine.stop()
	if before := r.traces(); len(before) != 1 {
		t.Fatalf("%d traces before the restart", len(before))
	}
	s.serve()
	count := func(spans []*otlp.Span, name string) (n int) {
		for _, one := range spans {
			if one.Name == name {
				n++
			}
		}
		return n
	}
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		traces := r.traces()
		if len(traces) != 1 {
			t.Fatalf("%d traces for one message", len(traces))
		}
		for _, spans := range traces {
			if count(spans, "send") == 2 && count(spans, "turn") == 1 && count(spans, "webhook") == 1 {
				return
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("the trace is not whole: %v", traces)
		}
	}
}

// TestTrace_FollowsTheJournal has two nodes, which know nothing of each other's memory,
// find the same ids for a message, and others for another.
func TestTrace_FollowsTheJournal(t *testing.T) {
	one := traceID("conv_a", 7)
	if one != traceID("conv_a", 7) || one == traceID("conv_a", 8) || one == traceID("conv_b", 7) {
		t.Error("the id of a trace is not that of its message")
	}
	if spanID(one, "turn", "t1") == spanID(one, "turn", "t2") || spanID(one, "turn", "t1") == spanID(one, "send", "t1") {
		t.Error("two spans have one id")
	}
}

// TestTrace_OffMeansNone starts without an endpoint: there is nobody who could be told.
func TestTrace_OffMeansNone(t *testing.T) {
	r := newReceiver(t)
	s := newStage(t, withTools, callsOnce())
	events := s.stream("key-of-acme")
	s.says("acme-wa", phone(0), "hello #1")
	until(t, events, func(ev apiEvent) bool { return ev.Kind == "turn_answered" })
	if len(r.traces()) > 0 {
		t.Error("spans came")
	}
	c := DefaultConfig()
	if tracing, err := openTracing(t.Context(), c.Trace, nil); tracing != nil || err != nil {
		t.Errorf("%v, %v", tracing, err)
	}
}
