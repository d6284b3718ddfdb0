package openai_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

func cosine(a, b []float32) float64 {
	var dot, aa, bb float64
	for i := range a {
		dot += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return dot / math.Sqrt(aa*bb)
}

func TestClient_EmbedsInOrderAndInParts(t *testing.T) {
	var spent []chat.Spend
	sim, base := startSim(t, openaisim.Options{Price: openaisim.Price{Prompt: 20}})
	c := open(t, openai.Options{BaseURL: base, Spent: func(who chat.TenantID, s chat.Spend) {
		if who != "acme" {
			t.Errorf("told of %s", who)
		}
		spent = append(spent, s)
	}})
	var texts []string
	for i := range 300 {
		texts = append(texts, fmt.Sprintf("number %d of the catalog", i))
	}
	texts[7], texts[250] = "Rückgabe innerhalb von 30 Tagen", "Kann ich das zurückgeben? Wie viele Tage?"
	vectors, model, err := c.Embed(t.Context(), "acme", texts)
	if err != nil || len(vectors) != 300 || model != openaisim.EmbeddingName {
		t.Fatalf("%d vectors of %q, %v", len(vectors), model, err)
	}
	for i, text := range texts {
		if cosine(vectors[i], openaisim.Vector(text)) < 0.999 {
			t.Fatalf("vector %d is of another text", i)
		}
	}
	if near, far := cosine(vectors[7], vectors[250]), cosine(vectors[7], vectors[100]); near <= far {
		t.Errorf("a question is %.2f from its passage and %.2f from another", near, far)
	}
	var tokens int64
	for _, s := range spent {
		tokens += s.Tokens.Prompt
		if s.Operation != chat.OperationEmbeddings || s.Tokens.Estimated {
			t.Errorf("spent %+v", s)
		}
	}
	if len(sim.Calls()) != 3 || tokens*20 != sim.Cost() {
		t.Errorf("%d requests, %d tokens and a bill of %d", len(sim.Calls()), tokens, sim.Cost())
	}
	if vectors, _, err := c.Embed(t.Context(), "acme", nil); err != nil || len(vectors) != 0 {
		t.Errorf("%d vectors of nothing, %v", len(vectors), err)
	}
}

func TestClient_RefusesVectorsThatCannotBe(t *testing.T) {
	for name, data := range map[string]string{
		"too few":       `[{"index":0,"embedding":[1,2]}]`,
		"twice":         `[{"index":0,"embedding":[1,2]},{"index":0,"embedding":[1,2]}]`,
		"out of range":  `[{"index":0,"embedding":[1,2]},{"index":9,"embedding":[1,2]}]`,
		"mixed lengths": `[{"index":0,"embedding":[1,2]},{"index":1,"embedding":[1]}]`,
		"empty":         `[{"index":0,"embedding":[]},{"index":1,"embedding":[]}]`,
		"absurd":        `[{"index":0,"embedding":[1e99,2]},{"index":1,"embedding":[1,2]}]`,
	} {
		c := serve(t, openai.Options{}, status(200, "", `{"model":"m","data":`+data+`}`))
		_, _, err := c.Embed(t.Context(), "acme", []string{"a", "b"})
		if modelError(t, err).Reason != "malformed" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClient_Transcribes(t *testing.T) {
	sim, base := startSim(t, openaisim.Options{APIKey: "k", Price: openaisim.Price{Prompt: 3, Output: 7}, Transcript: func(name string, sound []byte) string {
		return name + " says " + string(sound)
	}})
	c := open(t, openai.Options{BaseURL: base, APIKey: "k"})
	var bill chat.Money
	for _, tc := range []struct{ name, mime, want string }{
		{"Ana Maria 491701234567.opus", "audio/ogg; codecs=opus", "a.ogg says hola"},
		{"x.mp3", "", "a.mp3 says hola"},
		{"x.exe", "application/x-msdownload", "a.ogg says hola"},
	} {
		text, used, err := c.Transcribe(t.Context(), "acme", tc.name, tc.mime, strings.NewReader("hola"))
		if err != nil || text != tc.want {
			t.Errorf("%s: %q, %v", tc.name, text, err)
		}
		if used.Operation != chat.OperationTranscription || used.Model != openai.DefaultTranscriptionModel || used.Tokens.Estimated {
			t.Errorf("%s used %+v", tc.name, used)
		}
		bill += chat.Price{Input: 3, Output: 7}.For(&used)
	}
	if bill != chat.Money(sim.Cost()) || bill == 0 {
		t.Errorf("%d is billed for what cost %d", bill, sim.Cost())
	}
	_, _, err := c.Transcribe(t.Context(), "acme", "x.ogg", "audio/ogg", strings.NewReader(""))
	if me := modelError(t, err); me.Reason != "empty" {
		t.Error(err)
	}
	_, _, err = c.Transcribe(t.Context(), "acme", "x.ogg", "audio/ogg", strings.NewReader(strings.Repeat("x", 25<<20+1)))
	if me := modelError(t, err); me.Reason != "too_long" || !me.Permanent {
		t.Error(err)
	}
}

// What a server says of a sound is billed by the second or by the token, whichever the
// price list knows, and what it does not say is not free.
func TestClient_CountsWhatItHeard(t *testing.T) {
	sound := strings.Repeat("x", 3000)
	for body, want := range map[string]chat.Money{
		`{"text":"hola","usage":{"type":"duration","seconds":12}}`:                       12_000,
		`{"text":"hola","duration":2.5}`:                                                 2_500,
		`{"text":"hola","usage":{"type":"tokens","input_tokens":14,"output_tokens":4}}`:  0,
		`{"text":"hola","usage":{"type":"tokens","input_tokens":-9,"output_tokens":-1}}`: 3_000,
		`{"text":"hola"}`: 3_000,
		`{"text":"hola","usage":{"type":"duration","seconds":-3}}`: 3_000,
	} {
		c := serve(t, openai.Options{}, status(200, "", body))
		_, used, err := c.Transcribe(t.Context(), "acme", "", "", strings.NewReader(sound))
		if got := (chat.Price{Second: 1000}).For(&used); err != nil || got != want {
			t.Errorf("%s: %d of %+v, %v; want %d", body, got, used, err, want)
		}
	}
}

// What is known of a provider counts for all kinds of calls.
func TestClient_SideCallsShareTheBreaker(t *testing.T) {
	calls := 0
	c := serve(t, openai.Options{FailureMax: 2}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		status(500, "", "")(w, r)
	})
	for range 2 {
		_, _, _ = c.Embed(t.Context(), "acme", []string{"a"})
	}
	_, err := c.Complete(t.Context(), prompt)
	if modelError(t, err).Reason != "breaker_open" {
		t.Error(err)
	}
	_, _, err = c.Transcribe(t.Context(), "acme", "", "", strings.NewReader("x"))
	if modelError(t, err).Reason != "breaker_open" || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestNew_ProvidersAreChecked(t *testing.T) {
	for want, o := range map[string]openai.Options{
		"provider x: BaseURL":     {Named: map[string]openai.ProviderOptions{"x": {BaseURL: "ftp://a"}}},
		"provider x: API":         {Named: map[string]openai.ProviderOptions{"x": {BaseURL: "http://a", API: "soap"}}},
		"API must be":             {API: "soap"},
		"there is no provider lo": {Embedding: chat.ModelRef{Provider: "lo", Model: "m"}},
	} {
		o.Model = "m"
		if _, err := openai.New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
