package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var prompt = chat.Prompt{
	Turn: "turn_x_7",
	Lines: []chat.PromptLine{
		{Role: chat.RoleSystem, Text: "You are the assistant."},
		{Role: chat.RoleCustomer, Text: "hello #17"},
		{Role: chat.RoleAssistant, Text: "hi"},
		{Role: chat.RoleCustomer, Text: "price?"},
	},
}

// serve starts a provider and a client of it.
func serve(t *testing.T, o openai.Options, h http.HandlerFunc) *openai.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	o.BaseURL = srv.URL + "/v1/"
	if o.Model == "" {
		o.Model = "test-model"
	}
	c, err := openai.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); srv.Close() })
	return c
}

func chunk(content, finish string) string {
	f := "null"
	if finish != "" {
		f = `"` + finish + `"`
	}
	c, _ := json.Marshal(content)
	return fmt.Sprintf(`data: {"id":"x","model":"served-model","choices":[{"index":0,"delta":{"content":%s},"finish_reason":%s}]}`+"\n\n", c, f)
}

const usage = `data: {"id":"x","model":"served-model","choices":[],"usage":{"prompt_tokens":21,"completion_tokens":5,"total_tokens":26}}` + "\n\n"
const done = "data: [DONE]\n\n"

func sse(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, p := range parts {
			_, _ = io.WriteString(w, p)
			w.(http.Flusher).Flush()
		}
	}
}

func TestClient_StreamsAWholeAnswer(t *testing.T) {
	var got struct {
		Model         string
		Stream        bool
		Messages      []struct{ Role, Content string }
		StreamOptions struct {
			IncludeUsage bool `json:"include_usage"`
		} `json:"stream_options"`
		Tools any
	}
	var header http.Header
	c := serve(t, openai.Options{APIKey: "key-1"}, func(w http.ResponseWriter, r *http.Request) {
		header = r.Header.Clone()
		if r.URL.Path != "/v1/chat/completions" {
			t.Errorf("path %s", r.URL.Path)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		sse(": comment\n\n", chunk("", ""), chunk("It costs ", ""), chunk("five.", ""), chunk("", "stop"), usage, done)(w, r)
	})
	a, err := c.Complete(t.Context(), prompt)
	if err != nil {
		t.Fatal(err)
	}
	want := chat.Answer{Text: "It costs five.", Model: "served-model", Request: "x", PromptTokens: 21, OutTokens: 5,
		Tokens: chat.Tokens{Prompt: 21, Output: 5}, PromptHash: prompt.Hash()}
	if !reflect.DeepEqual(a, want) {
		t.Errorf("got %+v, want %+v", a, want)
	}
	if header.Get("X-Chumi-Turn") != "turn_x_7" || header.Get("Authorization") != "Bearer key-1" {
		t.Errorf("headers %v", header)
	}
	if got.Model != "test-model" || !got.Stream || !got.StreamOptions.IncludeUsage || got.Tools != nil || len(got.Messages) != 4 ||
		got.Messages[0].Role != "system" || got.Messages[1].Role != "user" || got.Messages[2].Role != "assistant" || got.Messages[3].Content != "price?" {
		t.Errorf("request %+v", got)
	}
}

func TestClient_WholeAnswer(t *testing.T) {
	c := serve(t, openai.Options{Whole: true, Simulated: true}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"model":"served-model","choices":[{"message":{"role":"assistant","content":" Five. "},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
	})
	a, err := c.Complete(t.Context(), prompt)
	if err != nil {
		t.Fatal(err)
	}
	if a.Text != "Five." || a.Model != "served-model" || a.PromptTokens != 3 || a.OutTokens != 2 || !a.Simulated {
		t.Errorf("got %+v", a)
	}
}

func TestClient_TakesAWholeAnswerToAStream(t *testing.T) {
	c := serve(t, openai.Options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"model":"served-model","choices":[{"message":{"role":"assistant","content":"Five."}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}`)
	})
	a, err := c.Complete(t.Context(), prompt)
	if err != nil {
		t.Fatal(err)
	}
	if a.Text != "Five." || a.PromptTokens != 3 || a.OutTokens != 2 {
		t.Errorf("got %+v", a)
	}
}

func status(code int, header, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// cut writes parts and breaks the connection.
func cut(parts ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		sse(parts...)(w, r)
		panic(http.ErrAbortHandler)
	}
}

func TestClient_ClassifiesEveryEnd(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, tc := range []struct {
		name      string
		opt       openai.Options
		handler   http.HandlerFunc
		reason    string
		permanent bool
		after     time.Duration
	}{
		{"throttled", openai.Options{}, status(429, "7", `{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}`), "throttled", false, 7 * time.Second},
		{"throttled without a body", openai.Options{}, status(429, "1.5", ""), "throttled", false, 1500 * time.Millisecond},
		{"absurd pause", openai.Options{}, status(429, "1e30", ""), "throttled", false, 10 * time.Minute},
		{"negative pause", openai.Options{}, status(429, "-5", ""), "throttled", false, 0},
		{"unreadable pause", openai.Options{}, status(429, "soon", ""), "throttled", false, 0},
		{"quota", openai.Options{}, status(429, "", `{"error":{"message":"no money","code":"insufficient_quota"}}`), "quota_exceeded", true, 0},
		{"unauthorized", openai.Options{}, status(401, "", `{"error":{"message":"bad key sk-leak"}}`), "unauthorized", true, 0},
		{"no model", openai.Options{}, status(404, "", `{"error":{"message":"x","code":"model_not_found"}}`), "model_not_found", true, 0},
		{"too long prompt", openai.Options{}, status(400, "", `{"error":{"message":"x","code":"context_length_exceeded"}}`), "context_too_long", true, 0},
		{"bad request", openai.Options{}, status(400, "", `{"error":{"message":"x","code":400}}`), "bad_request", true, 0},
		{"server error", openai.Options{}, status(500, "", "<html>oops</html>"), "provider_error", false, 0},
		{"overloaded", openai.Options{}, status(503, "30", `{"error":{"message":"x"}}`), "provider_error", false, 30 * time.Second},
		{"redirect", openai.Options{}, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", 307) }, "redirected", true, 0},
		{"cut before text", openai.Options{}, cut(""), "cut", false, 0},
		{"cut in the text", openai.Options{}, cut(chunk("half an ans", "")), "cut", false, 0},
		{"ends without finish", openai.Options{}, sse(chunk("half an ans", "")), "cut", false, 0},
		{"done without finish", openai.Options{}, sse(chunk("half an ans", ""), done), "cut", false, 0},
		{"error in the stream", openai.Options{}, sse(chunk("half", ""), `data: {"error":{"message":"boom","type":"server_error"}}`+"\n\n"), "provider_error", false, 0},
		{"not json", openai.Options{}, sse("data: {\"choices\":\n\n"), "malformed", false, 0},
		{"wrong types", openai.Options{}, sse(`data: {"choices":7}` + "\n\n"), "malformed", false, 0},
		{"html instead of a stream", openai.Options{}, sse("<html><body>proxy</body></html>"), "cut", false, 0},
		{"only comments", openai.Options{}, sse(strings.Repeat(": ping\n\n", 1000)), "malformed", false, 0},
		{"no choices at all", openai.Options{}, sse(usage, done), "cut", false, 0},
		{"empty", openai.Options{}, sse(chunk("  \n", "stop"), done), "empty", false, 0},
		{"token limit", openai.Options{}, sse(chunk("half", "length"), done), "truncated", false, 0},
		{"filtered", openai.Options{}, sse(chunk("", "content_filter"), done), "content_filter", true, 0},
		{"tool call", openai.Options{}, sse(`data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}`+"\n\n", done), "tool_call", false, 0},
		{"refused", openai.Options{}, sse(`data: {"choices":[{"delta":{"refusal":"no"},"finish_reason":"stop"}]}`+"\n\n", done), "refused", true, 0},
		{"too much text", openai.Options{TextMax: 200}, sse(chunk(long, "stop"), done), "too_long", false, 0},
		{"too many bytes", openai.Options{ResponseMax: 2000}, sse(strings.Repeat(chunk("a", ""), 100)), "too_long", false, 0},
		{"too many error bytes", openai.Options{ResponseMax: 100}, status(400, "", long), "too_long", false, 0},
		{"whole: no choices", openai.Options{Whole: true}, status(200, "", `{"choices":[]}`), "empty", false, 0},
		{"whole: not json", openai.Options{Whole: true}, status(200, "", `hello`), "malformed", false, 0},
		{"whole: tool call", openai.Options{Whole: true}, status(200, "", `{"choices":[{"message":{"tool_calls":[{"id":"c"}]},"finish_reason":"tool_calls"}]}`), "tool_call", false, 0},
		{"whole: token limit", openai.Options{Whole: true}, status(200, "", `{"choices":[{"message":{"content":"half"},"finish_reason":"length"}]}`), "truncated", false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := serve(t, tc.opt, tc.handler)
			a, err := c.Complete(t.Context(), prompt)
			var me *chat.ModelError
			if !errors.As(err, &me) {
				t.Fatalf("got %+v, %v", a, err)
			}
			if me.Reason != tc.reason || me.Permanent != tc.permanent || me.RetryAfter != tc.after {
				t.Errorf("got %+v, want %s permanent=%v after=%v", me, tc.reason, tc.permanent, tc.after)
			}
			if !reflect.DeepEqual(a, chat.Answer{}) {
				t.Errorf("a failed call also answered %+v", a)
			}
			if strings.Contains(err.Error(), "leak") {
				t.Errorf("the error repeats the provider: %v", err)
			}
		})
	}
}

// The text is whole once its finish reason came; losing the usage afterwards
// must not throw a paid answer away.
func TestClient_KeepsAnAnswerCutAfterItsEnd(t *testing.T) {
	c := serve(t, openai.Options{}, cut(chunk("Five.", ""), chunk("", "stop")))
	a, err := c.Complete(t.Context(), prompt)
	if err != nil || a.Text != "Five." {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestClient_EndsWithItsContext(t *testing.T) {
	begun := make(chan struct{}, 1)
	gone := make(chan struct{})
	c := serve(t, openai.Options{}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, chunk("half", ""))
		w.(http.Flusher).Flush()
		begun <- struct{}{}
		<-r.Context().Done()
		gone <- struct{}{}
	})
	reason := func(err error) string {
		var me *chat.ModelError
		if !errors.As(err, &me) {
			return fmt.Sprint(err)
		}
		return me.Reason
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, err := c.Complete(ctx, prompt); reason(err) != "cancelled" {
		t.Errorf("cancelled: %v", err)
	}
	<-gone
	ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Complete(ctx, prompt); reason(err) != "timeout" {
		t.Errorf("deadline of the caller: %v", err)
	}
	<-begun
	<-gone
	c2 := serve(t, openai.Options{Timeout: 20 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	if _, err := c2.Complete(t.Context(), prompt); reason(err) != "timeout" {
		t.Errorf("own time-out: %v", err)
	}
}

func TestClient_BreakerOpensAndProbes(t *testing.T) {
	var calls atomic.Int64
	var healthy atomic.Bool
	c := serve(t, openai.Options{FailureMax: 3, Pause: 50 * time.Millisecond}, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if healthy.Load() {
			sse(chunk("ok", "stop"), done)(w, r)
			return
		}
		status(500, "", "")(w, r)
	})
	fail := func() *chat.ModelError {
		_, err := c.Complete(t.Context(), prompt)
		var me *chat.ModelError
		if !errors.As(err, &me) {
			t.Fatalf("got %v", err)
		}
		return me
	}
	for range 3 {
		if me := fail(); me.Reason != "provider_error" {
			t.Fatalf("got %+v", me)
		}
	}
	if me := fail(); me.Reason != "breaker_open" || me.RetryAfter <= 0 || me.Permanent {
		t.Errorf("after three failures: %+v", me)
	}
	if calls.Load() != 3 {
		t.Errorf("an open breaker let %d calls through", calls.Load()-3)
	}
	healthy.Store(true)
	deadline := time.After(5 * time.Second)
	for {
		if _, err := c.Complete(t.Context(), prompt); err == nil {
			break
		}
		select {
		case <-deadline:
			t.Fatal("the breaker never closed again")
		default:
		}
	}
	if _, err := c.Complete(t.Context(), prompt); err != nil {
		t.Errorf("closed again, but %v", err)
	}
}

// A request the provider understands and refuses says that it is alive.
func TestClient_RefusalsDoNotOpenTheBreaker(t *testing.T) {
	c := serve(t, openai.Options{FailureMax: 2}, status(401, "", "{}"))
	for range 10 {
		_, err := c.Complete(t.Context(), prompt)
		var me *chat.ModelError
		if !errors.As(err, &me) || me.Reason != "unauthorized" {
			t.Fatalf("got %v", err)
		}
	}
}

func TestClient_Unreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	c, err := openai.New(openai.Options{BaseURL: "http://" + addr, Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Complete(t.Context(), prompt)
	var me *chat.ModelError
	if !errors.As(err, &me) || me.Reason != "unreachable" || me.Permanent {
		t.Errorf("got %v", err)
	}
}

func TestClient_ConcurrentCallsStayApart(t *testing.T) {
	c := serve(t, openai.Options{}, func(w http.ResponseWriter, r *http.Request) {
		sse(chunk(r.Header.Get("X-Chumi-Turn"), "stop"), done)(w, r)
	})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			turn := chat.TurnID(fmt.Sprintf("turn_%d", i))
			a, err := c.Complete(t.Context(), chat.Prompt{Turn: turn, Lines: prompt.Lines})
			if err != nil || a.Text != string(turn) {
				t.Errorf("%s: %+v, %v", turn, a, err)
			}
		})
	}
	wg.Wait()
}

func TestNew_NamesWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		opt  openai.Options
		want string
	}{
		{openai.Options{}, "Model"},
		{openai.Options{Model: "m", BaseURL: "ftp://x"}, "BaseURL"},
		{openai.Options{Model: "m", BaseURL: "://"}, "BaseURL"},
		{openai.Options{Model: "m", BaseURL: "https://user:pw@host/v1"}, "BaseURL"},
	} {
		if _, err := openai.New(tc.opt); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%+v: %v", tc.opt, err)
		}
	}
}
