package openaisim

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func start(t *testing.T, o Options) (*Server, string) {
	t.Helper()
	s := New(o)
	addr, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, Base(addr)
}

type response struct {
	status int
	header http.Header
	body   string
	err    error // of the exchange or of reading the body
}

func ask(t *testing.T, base, turn, body string) response {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, base+"/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer key")
	if turn != "" {
		req.Header.Set(TurnHeader, turn)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return response{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return response{resp.StatusCode, resp.Header, string(b), err}
}

func prompt(stream bool, turns ...string) string {
	msgs := []map[string]string{{"role": "system", "content": "You are the assistant of a shop."}}
	for _, m := range turns {
		role, text, _ := strings.Cut(m, ": ")
		msgs = append(msgs, map[string]string{"role": role, "content": text})
	}
	req := map[string]any{"model": "any", "messages": msgs}
	if stream {
		req["stream"], req["stream_options"] = true, map[string]bool{"include_usage": true}
	}
	b, err := json.Marshal(req)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestServer_Completion(t *testing.T) {
	s, base := start(t, Options{Now: func() time.Time { return time.Unix(1790000000, 0) }})
	r := ask(t, base, "turn-1", prompt(false, "user: Hello"))
	if r.status != 200 {
		t.Fatal(r)
	}
	c := s.Calls()[0]
	want := `{"id":"` + newCompletion("", c).ID + `","object":"chat.completion","created":1790000000,"model":"chumi-simulated",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I help?"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":21,"completion_tokens":6,"total_tokens":27,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}`
	if r.body != want {
		t.Errorf("got\n%s, want\n%s", r.body, want)
	}
	if c.Turn != "turn-1" || c.Attempt != 1 || c.Answer != AnswerGiven || c.Text != "Hello! How can I help?" || c.Receipt != 1 {
		t.Errorf("ledger %+v", c)
	}
}

func TestServer_Stream(t *testing.T) {
	s, base := start(t, Options{})
	r := ask(t, base, "", prompt(true, "user: What does #7 cost?"))
	if got := r.header.Get("Content-Type"); r.status != 200 || got != "text/event-stream" {
		t.Fatal(r.status, got)
	}
	var text strings.Builder
	var lines []string
	var used *usage
	in := bufio.NewScanner(strings.NewReader(r.body))
	for in.Scan() {
		data, ok := strings.CutPrefix(in.Text(), "data: ")
		if !ok {
			continue
		}
		lines = append(lines, data)
		var chunk completion
		if data == "[DONE]" || json.Unmarshal([]byte(data), &chunk) != nil {
			continue
		}
		if chunk.Object != "chat.completion.chunk" || chunk.Model != ModelName {
			t.Errorf("chunk %s", data)
		}
		if len(chunk.Choices) == 0 {
			used = chunk.Usage
		} else if d := chunk.Choices[0].Delta; d.Content != nil {
			text.WriteString(*d.Content)
		}
	}
	c := s.Calls()[0]
	if text.String() != c.Text || !strings.Contains(c.Text, "#7") || c.Turn != c.Prompt || !c.Stream {
		t.Errorf("streamed %q, ledger %+v", text.String(), c)
	}
	if used == nil || used.Total != used.Prompt+used.Completion || used.Completion == 0 {
		t.Errorf("usage %+v", used)
	}
	if lines[len(lines)-1] != "[DONE]" || !strings.Contains(lines[len(lines)-3], `"finish_reason":"stop"`) {
		t.Errorf("ends with %v", lines[len(lines)-3:])
	}
}

func TestServer_Refuses(t *testing.T) {
	s, base := start(t, Options{APIKey: "key"})
	for _, body := range []string{
		`{`, `{"model":"m","messages":[]}`, `{"messages":[{"role":"user","content":"x"}]}`,
		`{"model":"m","messages":[{"role":"robot","content":"x"}]}`,
		`{"model":"m","n":2,"messages":[{"role":"user","content":"x"}]}`,
		`{"model":"m","stream_options":{},"messages":[{"role":"user","content":"x"}]}`,
		`{"model":"m","messages":[{"role":"user","content":5}]}`,
	} {
		if r := ask(t, base, "", body); r.status != 400 || !strings.Contains(r.body, `"type":"invalid_request_error"`) {
			t.Errorf("%s: %d %s", body, r.status, r.body)
		}
	}
	other, url := start(t, Options{APIKey: "another"})
	if r := ask(t, url, "", prompt(false, "user: x")); r.status != 401 || !strings.Contains(r.body, "invalid_api_key") {
		t.Error(r)
	}
	if len(s.Calls())+len(other.Calls()) != 0 {
		t.Error("a malformed request is in the ledger")
	}
	resp, err := http.Get(base + "/models")
	if err != nil || resp.StatusCode != 200 {
		t.Fatal(resp, err)
	}
}

func TestReply(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want string
	}{
		{[]string{"Hi!"}, "Hello! How can I help?"},
		{[]string{"Hi, are you open on Saturday?"}, "We are open Monday to Saturday, 9 am to 6 pm."},
		{[]string{"Wo ist meine Bestellung 1042?"}, "Bestellung 1042 ist unterwegs und kommt morgen an."},
		{[]string{"where is my order"}, "Sure! What is the order number, for example 1042?"},
		{[]string{"where is order #1042"}, "Order #1042 is on its way and arrives tomorrow."},
		{[]string{"¿Cuánto cuesta?"}, "Cuesta 24 euros. ¿Quiere pedirlo?"},
		{[]string{"Bonjour"}, "Bonjour ! Comment puis-je vous aider ?"},
		{[]string{"Obrigada"}, "De nada!"},
		{[]string{"[image]"}, "Thank you, it has arrived."},
		{[]string{"a blue\nshirt"}, "You wrote: “a blue shirt”. I have made a note of it."},
		{[]string{"first #12", "second #13 and #12"}, "Thank you for your message. I have made a note of it. (answer to #12 #13)"},
		{[]string{"orders #5 #6"}, "Thank you for your message. I have made a note of it. (answer to #5 #6)"},
		{[]string{"order #5 #6"}, "Order #5 is on its way and arrives tomorrow. (answer to #6)"},
		{nil, "Thank you for your message. I have made a note of it."},
	} {
		if got := reply(c.in); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzReply_CoversExactlyTheTokens(f *testing.F) {
	f.Add("order #12", "price #13 #12")
	f.Add("1042 #1", strings.Repeat("long ", 30)+"#7")
	f.Fuzz(func(t *testing.T, a, b string) {
		run := []string{a, b}
		got, want := tokensOf([]string{reply(run)}), tokensOf(run)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q covers %v, want %v", reply(run), got, want)
		}
	})
}

func TestCall_TokensAreOfTheLastRun(t *testing.T) {
	s, base := start(t, Options{})
	ask(t, base, "a", prompt(false, "user: #1", "assistant: answer to #1", "user: #2", "user: #3"))
	ask(t, base, "b", prompt(false, "user: #1", "assistant: about #9", "system: be brief"))
	ask(t, base, "c", `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"#4"},{"type":"image_url","image_url":{"url":"x#5"}}]}]}`)
	var got []string
	for _, c := range s.Calls() {
		got = append(got, strings.Join(c.Tokens, ""))
	}
	if strings.Join(got, " ") != "#2#3 #1 #4" {
		t.Errorf("tokens %v", got)
	}
}

func TestPlan_Faults(t *testing.T) {
	for _, stream := range []bool{false, true} {
		for _, c := range []struct {
			fault  Fault
			status int
			broken bool
			answer Answer
		}{
			{FaultNone, 200, false, AnswerGiven},
			{FaultThrottled, 429, false, AnswerRefused},
			{FaultServerError, 500, false, AnswerFailed},
			{FaultHang, 0, true, AnswerDropped},
			{FaultCut, 200, true, AnswerDropped},
			{FaultEmpty, 200, false, AnswerGiven},
		} {
			t.Run(fmt.Sprintf("%s stream=%v", c.fault, stream), func(t *testing.T) {
				s, base := start(t, Options{Plan: Plan{HangFor: time.Millisecond, RetryAfter: 1500 * time.Millisecond,
					Script: func(Call) Fault { return c.fault }}})
				r := ask(t, base, "", prompt(stream, "user: Hello"))
				if r.status != c.status || (r.err != nil) != c.broken {
					t.Errorf("%+v", r)
				}
				got := s.Calls()[0]
				if got.Fault != c.fault || got.Answer != c.answer {
					t.Errorf("ledger %+v", got)
				}
				switch c.fault {
				case FaultThrottled:
					if r.header.Get("Retry-After") != "2" || !strings.Contains(r.body, "rate_limit_exceeded") {
						t.Errorf("%+v", r)
					}
				case FaultEmpty:
					if !strings.Contains(r.body, `"content":""`) {
						t.Errorf("%s", r.body)
					}
				case FaultCut:
					if len(r.body) == 0 || strings.Contains(r.body, "[DONE]") {
						t.Errorf("%q", r.body)
					}
				}
			})
		}
	}
}

// TestPlan_Deterministic: what happens to a turn depends on the seed and the
// turn, not on the order or the concurrency of the requests.
func TestPlan_Deterministic(t *testing.T) {
	run := func(seed uint64, workers int) map[string]Call {
		s, base := start(t, Options{Plan: Plan{Seed: seed, Throttled: 0.2, ServerError: 0.2, Cut: 0.1, Empty: 0.1}})
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := w; i < 60; i += workers {
					ask(t, base, fmt.Sprint("turn-", i), prompt(false, fmt.Sprintf("user: hi #%d", i)))
				}
			})
		}
		wg.Wait()
		got := map[string]Call{}
		for _, c := range s.Calls() {
			c.Receipt, c.Time = 0, time.Time{}
			got[c.Turn] = c
		}
		return got
	}
	one, many, other := run(1, 1), run(1, 6), run(2, 1)
	if !reflect.DeepEqual(one, many) {
		t.Error("order of requests changes what happens to them")
	}
	if reflect.DeepEqual(one, other) {
		t.Error("the seed changes nothing")
	}
}

func TestPlan_FaultAttempts(t *testing.T) {
	s, base := start(t, Options{Plan: Plan{ServerError: 1, FaultAttempts: 1}})
	for range 2 {
		ask(t, base, "t", prompt(false, "user: hi"))
	}
	if got := s.Calls(); got[0].Answer != AnswerFailed || got[1].Answer != AnswerGiven || got[1].Attempt != 2 {
		t.Errorf("ledger %+v", got)
	}
}

func TestOptions_OnCall(t *testing.T) {
	var s *Server
	var mu sync.Mutex
	var got []Moment
	done := make(chan struct{})
	s, base := start(t, Options{Plan: Plan{Latency: Latency{Median: time.Microsecond, Sigma: 1, Max: time.Millisecond}},
		OnCall: func(m Moment, c Call) {
			mu.Lock()
			defer mu.Unlock()
			if in := s.Calls(); len(in) != 1 || in[0].Receipt != c.Receipt || s.InFlight() != 1 {
				t.Errorf("at %s the ledger holds %+v", m, in)
			}
			if got = append(got, m); m == CallAnswered {
				close(done)
			}
		}})
	ask(t, base, "", prompt(false, "user: hi"))
	<-done
	if want := []Moment{CallReceived, CallAnswering, CallAnswered}; !reflect.DeepEqual(got, want) {
		t.Errorf("moments %v", got)
	}
}

// TestCall_ClientLeaves: a client that cancels its request, as one does whose
// customer has written more meanwhile, is in the ledger as gone.
func TestCall_ClientLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, base := start(t, Options{Plan: Plan{Latency: Latency{Median: time.Hour}}, OnCall: func(Moment, Call) { cancel() }})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/chat/completions", strings.NewReader(prompt(false, "user: hi")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := http.DefaultClient.Do(req); err == nil {
		t.Fatal("answered")
	}
	for s.InFlight() > 0 {
		runtime.Gosched()
	}
	if got := s.Calls(); len(got) != 1 || got[0].Answer != AnswerLeft {
		t.Errorf("ledger %+v", got)
	}
}

func TestServer_LedgerMaxForgetsTheOldest(t *testing.T) {
	s, base := start(t, Options{LedgerMax: 2})
	for i := range 5 {
		ask(t, base, fmt.Sprint(i), prompt(false, "user: hi"))
	}
	if got := s.Calls(); len(got) != 3 || got[2].Receipt != 5 {
		t.Errorf("kept %+v", got)
	}
	var b strings.Builder
	if err := s.DumpLedger(&b); err != nil || !strings.HasPrefix(b.String(), `{"call":{"receipt":3`) {
		t.Error(err, b.String())
	}
}
