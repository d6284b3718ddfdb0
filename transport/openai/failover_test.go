package openai_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// backup is a second provider that answers.
func backup(t *testing.T) (openai.ProviderOptions, *atomic.Int64) {
	t.Helper()
	var calls atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		sse(chunk("from the second", "stop"), usage, done)(w, r)
	}))
	t.Cleanup(srv.Close)
	return openai.ProviderOptions{BaseURL: srv.URL}, &calls
}

// Which failures another model is asked after: those of the provider or the model, not
// those of the answer. A refusal is not shopped around.
func TestClient_FallsOverByReason(t *testing.T) {
	for _, c := range []struct {
		reason  string
		opt     openai.Options
		handler http.HandlerFunc
		over    bool
	}{
		{"throttled", openai.Options{}, status(429, "1", ""), true},
		{"provider_error", openai.Options{}, status(503, "", ""), true},
		{"timeout", openai.Options{Timeout: 300 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, true},
		{"cut", openai.Options{}, cut(chunk("half", "")), true},
		{"malformed", openai.Options{}, sse("data: {\n\n"), true},
		{"empty", openai.Options{}, sse(chunk("", "stop"), done), true},
		{"tool_call", openai.Options{}, sse(`data: {"choices":[{"delta":{"tool_calls":[{"function":{"name":"f"}}]},"finish_reason":"tool_calls"}]}`+"\n\n", done), true},
		{"quota_exceeded", openai.Options{}, status(429, "", `{"error":{"message":"x","code":"insufficient_quota"}}`), true},
		{"unauthorized", openai.Options{}, status(401, "", "{}"), true},
		{"model_not_found", openai.Options{}, status(404, "", "{}"), true},
		{"bad_request", openai.Options{}, status(400, "", "{}"), true},
		{"context_too_long", openai.Options{}, status(413, "", "{}"), true},
		{"redirected", openai.Options{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", 307) }, true},
		{"refused", openai.Options{}, sse(`data: {"choices":[{"delta":{"refusal":"no"},"finish_reason":"stop"}]}`+"\n\n", done), false},
		{"content_filter", openai.Options{}, sse(chunk("", "content_filter"), done), false},
		{"truncated", openai.Options{}, sse(chunk("half", "length"), done), false},
		{"too_long", openai.Options{TextMax: 3}, sse(chunk("long text", "stop"), done), false},
	} {
		t.Run(c.reason, func(t *testing.T) {
			second, calls := backup(t)
			set := metrics.New(nil)
			c.opt.Named, c.opt.Metrics = map[string]openai.ProviderOptions{"second": second}, &set.Model
			client := serve(t, c.opt, c.handler)
			p := prompt
			p.Models = []chat.ModelRef{{Model: "first-model"}, {Provider: "second", Model: "other"}}
			a, err := client.Complete(t.Context(), p)
			if c.over {
				if err != nil || a.Text != "from the second" || a.Provider != "second" || a.Tokens.Prompt != 21 {
					t.Errorf("got %+v, %v", a, err)
				}
				if n := testutil.ToFloat64(set.Model.Failovers.WithLabelValues(c.reason)); n != 1 {
					t.Errorf("counted %v failovers", n)
				}
				return
			}
			if err == nil || modelError(t, err).Reason != c.reason || calls.Load() != 0 {
				t.Errorf("got %+v, %v, and %d calls of the second", a, err, calls.Load())
			}
		})
	}
}

func TestClient_CancelledCallsAskNobodyElse(t *testing.T) {
	second, calls := backup(t)
	begun := make(chan struct{})
	c := serve(t, openai.Options{Named: map[string]openai.ProviderOptions{"second": second}}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(begun)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	p := prompt
	p.Models = []chat.ModelRef{{Model: "m"}, {Provider: "second", Model: "m"}}
	_, err := c.Complete(ctx, p)
	if modelError(t, err).Reason != "cancelled" || calls.Load() != 0 {
		t.Errorf("%v and %d more calls", err, calls.Load())
	}
}

// When all fail, the caller hears of the one that may work later, and when the first of
// them may.
func TestClient_TellsTheFailureThatMayPass(t *testing.T) {
	throttled := httptest.NewServer(status(429, "9", ""))
	defer throttled.Close()
	sick := httptest.NewServer(status(503, "4", ""))
	defer sick.Close()
	c := serve(t, openai.Options{Named: map[string]openai.ProviderOptions{
		"throttled": {BaseURL: throttled.URL}, "sick": {BaseURL: sick.URL}}}, status(401, "", "{}"))
	p := prompt
	p.Models = []chat.ModelRef{{Provider: "nobody", Model: "m"}, {Model: "m"}, {Provider: "throttled", Model: "m"}, {Provider: "sick", Model: "m"}}
	_, err := c.Complete(t.Context(), p)
	if me := modelError(t, err); me.Reason != "throttled" || me.Permanent || me.RetryAfter != 4*time.Second {
		t.Errorf("got %+v", me)
	}
	p.Models = p.Models[:2]
	_, err = c.Complete(t.Context(), p)
	if me := modelError(t, err); me.Reason != "no_provider" || !me.Permanent {
		t.Errorf("got %+v", me)
	}
}

// tenants knows one provider of one tenant.
type tenants struct{ openai.ProviderOptions }

// Provider implements openai.Providers.
func (p tenants) Provider(t chat.TenantID, name string) (openai.ProviderOptions, bool) {
	return p.ProviderOptions, t == "acme" && name == "own"
}

func TestClient_TenantsHaveProvidersOfTheirOwn(t *testing.T) {
	own, calls := backup(t)
	own.Models = []string{"allowed"}
	c := serve(t, openai.Options{Providers: tenants{own}}, sse(chunk("from the first", "stop"), done))
	for _, tc := range []struct {
		tenant chat.TenantID
		model  string
		reason string
	}{{"acme", "allowed", ""}, {"acme", "another", "model_not_found"}, {"other", "allowed", "no_provider"}} {
		p := prompt
		p.Tenant, p.Models = tc.tenant, []chat.ModelRef{{Provider: "own", Model: tc.model}}
		_, err := c.Complete(t.Context(), p)
		if (tc.reason == "") != (err == nil) || err != nil && modelError(t, err).Reason != tc.reason {
			t.Errorf("%s by %s: %v", tc.model, tc.tenant, err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("the tenant's provider got %d calls", calls.Load())
	}
}

// One provider that is down does not stop another: each has a breaker.
func TestClient_BreakersAreOfProviders(t *testing.T) {
	second, calls := backup(t)
	set := metrics.New(nil)
	var sick atomic.Int64
	c := serve(t, openai.Options{FailureMax: 3, Pause: time.Hour, Metrics: &set.Model, Named: map[string]openai.ProviderOptions{"second": second}},
		func(w http.ResponseWriter, r *http.Request) { sick.Add(1); status(500, "", "")(w, r) })
	p := prompt
	p.Models = []chat.ModelRef{{Model: "m"}, {Provider: "second", Model: "m"}}
	for i := range 20 {
		if a, err := c.Complete(t.Context(), p); err != nil || a.Provider != "second" {
			t.Fatalf("call %d: %+v, %v", i, a, err)
		}
	}
	if sick.Load() != 3 || calls.Load() != 20 {
		t.Errorf("%d calls of the sick one and %d of the other", sick.Load(), calls.Load())
	}
	if testutil.ToFloat64(set.Model.Breakers) != 1 {
		t.Error("the open breaker is not shown")
	}
}

// A provider that throttles again and again is left alone for as long as it says, and
// not longer; one refusal alone stops nobody.
func TestClient_LeavesAThrottlingProviderAlone(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var calls atomic.Int64
	c := serve(t, openai.Options{Now: func() time.Time { return now }}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		status(429, "5", "")(w, r)
	})
	for range 10 {
		_, err := c.Complete(t.Context(), prompt)
		if me := modelError(t, err); me.Reason != "throttled" || me.RetryAfter != 5*time.Second {
			t.Fatalf("got %+v", me)
		}
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls of a provider that throttles, want 3", calls.Load())
	}
	now = now.Add(5 * time.Second)
	if _, err := c.Complete(t.Context(), prompt); err == nil || calls.Load() != 4 {
		t.Errorf("%d calls after the pause", calls.Load())
	}
}

// With two models of one provider, a sick provider gets at most a fifth more requests
// and not twice as many.
func TestClient_ASickProviderIsNotAskedTwice(t *testing.T) {
	const turns = 100
	var first, second atomic.Int64
	full := make(chan struct{})
	c := serve(t, openai.Options{FailureMax: 1 << 20}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if n := string(body); len(n) > 0 && n[10] == 'a' {
			if first.Add(1) == turns {
				close(full)
			}
			<-full
		} else {
			second.Add(1)
			// Second calls stay under way until all have been tried.
			<-r.Context().Done()
		}
		status(503, "", "")(w, r)
	})
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var ended atomic.Int64
	for i := range turns {
		wg.Go(func() {
			p := prompt
			p.Turn = chat.TurnID(fmt.Sprint("turn_", i))
			p.Models = []chat.ModelRef{{Model: "a"}, {Model: "b"}}
			_, _ = c.Complete(ctx, p)
			// Those without room for a second call have ended by themselves.
			if ended.Add(1) >= turns*3/4 {
				cancel()
			}
		})
	}
	wg.Wait()
	if n := second.Load(); n == 0 || n > turns/5+3 {
		t.Errorf("%d calls of the second model for %d of the first", n, turns)
	}
}
