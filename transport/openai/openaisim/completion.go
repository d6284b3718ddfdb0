package openaisim

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// requestMax bounds a request body: more than any prompt with pictures a client
// should send.
const requestMax = 32 << 20

// The APIs, as the ledger names them.
const (
	apiChat           = "chat"
	apiResponses      = "responses"
	apiEmbeddings     = "embeddings"
	apiTranscriptions = "transcriptions"
)

// dialect is how one API is spoken.
type dialect interface {
	// decode reads a request; why says what is wrong with it, in param when that is known.
	decode(body []byte) (a *Asked, param, why string)
	// whole is an answer in one piece.
	whole(a *Asked, c Call, said Said) []byte
	// stream writes an answer piece by piece. It calls next before each, with the tokens
	// of it; next ends the handler when the client has left.
	stream(w io.Writer, a *Asked, c Call, said Said, next func(tokens int))
}

// allowed checks the key, of OpenAI or of Azure.
func (s *Server) allowed(w http.ResponseWriter, r *http.Request) bool {
	if s.o.APIKey == "" || r.Header.Get("Authorization") == "Bearer "+s.o.APIKey || r.Header.Get("api-key") == s.o.APIKey {
		return true
	}
	refuse(w, http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "", "Incorrect API key provided.")
	return false
}

// serve answers requests for completions.
func (s *Server) serve(d dialect) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.answering.Add(1)
		defer s.answering.Add(-1)
		if !s.allowed(w, r) {
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
		if err != nil {
			refuse(w, http.StatusBadRequest, "invalid_request_error", "", "", unparsed)
			return
		}
		a, param, why := d.decode(body)
		if why == "" && s.refusesForm(a) {
			param, why = a.form(), "this form of answer is not supported by the model"
		}
		if why != "" {
			refuse(w, http.StatusBadRequest, "invalid_request_error", "invalid_value", param, why)
			return
		}
		s.complete(w, r, d, a)
	}
}

// refusesForm reports whether the server is one that does not know the form.
func (s *Server) refusesForm(a *Asked) bool {
	return a.Form != "" && slices.Contains(s.o.Plan.RefusesForms, a.Form) ||
		a.Form == "json_schema" && a.Strict && slices.Contains(s.o.Plan.RefusesForms, "strict")
}

func (s *Server) complete(w http.ResponseWriter, r *http.Request, d dialect, a *Asked) {
	run := a.lastUserRun()
	said := s.think(a)
	c := Call{Time: s.o.Now().UTC(), Prompt: a.hash(), Turn: r.Header.Get(TurnHeader), Model: a.Model, Stream: a.Stream,
		API: a.api, Form: a.Form, Stored: a.stored, Pictures: a.pictures(), Tools: names(a.Tools), Tokens: tokensOf(run)}
	s.met(&c, a, &said)
	c = s.ledger.add(c)
	s.moment(CallReceived, c)
	s.pause(r, c, c.latency, 0)
	s.moment(CallAnswering, c)
	if !s.stumble(w, r, c) {
		if a.Stream {
			s.stream(w, r, d, a, c, said)
		} else {
			s.whole(w, c, d.whole(a, c, said))
		}
	}
	_ = http.NewResponseController(w).Flush() // a client that left learns nothing
	s.moment(CallAnswered, c)
}

// met decides what a request meets with, and what it uses.
func (s *Server) met(c *Call, a *Asked, said *Said) {
	if c.Turn == "" {
		c.Turn = c.Prompt
	}
	c.Attempt = s.ledger.attempt(c.Turn)
	random := source(s.o.Plan.Seed, c.Turn, c.Prompt, strconv.Itoa(c.Attempt))
	c.latency = s.o.Plan.Latency.draw(random)
	if c.Text = said.reply; c.Text == "" {
		c.Text = said.Text
	}
	c.Fault = s.o.Plan.fault(*c, random)
	c.Answer = c.Fault.answer()
	switch c.Fault {
	case FaultThrottled, FaultServerError, FaultHang:
		c.Text = ""
		return
	case FaultNone, FaultCut, FaultSlow:
	default:
		*said = a.spoiled(c.Fault, *said)
		c.Text = said.Text
		if said.reply != "" {
			c.Text = said.reply
		}
	}
	for _, call := range said.Calls {
		c.Called = append(c.Called, call.Name)
	}
	c.PromptTokens = a.promptTokens()
	if c.PromptTokens >= cachedFrom {
		c.CachedTokens = c.PromptTokens / 2 / 128 * 128
	}
	c.reasoning, c.noUsage = s.o.Plan.ReasoningTokens, s.o.Plan.NoUsage
	c.OutTokens = said.tokens() + c.reasoning
	c.Cost = s.o.Price.of(c)
}

// cachedFrom is the prompt that a provider begins to cache at.
const cachedFrom = 1024

func (f Fault) answer() Answer {
	switch f {
	case FaultThrottled:
		return AnswerRefused
	case FaultServerError:
		return AnswerFailed
	case FaultHang, FaultCut:
		return AnswerDropped
	}
	return AnswerGiven
}

// stumble answers requests that get no answer of a model.
func (s *Server) stumble(w http.ResponseWriter, r *http.Request, c Call) bool {
	switch c.Fault {
	case FaultThrottled:
		w.Header().Set("Retry-After", strconv.Itoa(s.o.Plan.retryAfter()))
		refuse(w, http.StatusTooManyRequests, "requests", "rate_limit_exceeded", "", "Rate limit reached for "+ModelName+".")
	case FaultServerError:
		refuse(w, http.StatusInternalServerError, "server_error", "", "", "The server had an error while processing your request. Sorry about that!")
	case FaultHang:
		s.pause(r, c, s.o.Plan.hangFor(), 0)
		panic(http.ErrAbortHandler)
	default:
		return false
	}
	return true
}

// whole answers without streaming. A cut answer announces all its bytes and
// sends half of them.
func (s *Server) whole(w http.ResponseWriter, c Call, body []byte) {
	if c.Fault == FaultMalformed {
		body = append(body[:len(body)/2:len(body)/2], `"oops`...)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if c.Fault != FaultCut {
		_, _ = w.Write(body)
		return
	}
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// stream answers with server-sent events, a word a chunk. A cut stream ends
// after half of the words, without its end mark.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, d dialect, a *Asked, c Call, said Said) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	control := http.NewResponseController(w)
	if c.Fault == FaultMalformed {
		_, _ = w.Write([]byte("data: {\"choices\": [{\n\n"))
		return
	}
	pieces, out := len(strings.SplitAfter(said.Text, " "))+2*len(said.Calls), 0
	i := 0
	d.stream(w, a, c, said, func(tokens int) {
		_ = control.Flush()
		s.pause(r, c, s.o.Plan.piecePause(c.Fault), out)
		if c.Fault == FaultCut && i >= pieces/2 {
			s.broke(c, out)
			panic(http.ErrAbortHandler)
		}
		i++
		out += tokens
	})
}

func event(w io.Writer, data []byte) {
	_, _ = w.Write(append(append([]byte("data: "), data...), "\n\n"...))
}

func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err) // structs of strings and numbers always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func idOf(prefix string, c Call) string {
	d := digest(c.Receipt, c.Turn, c.Prompt)
	return prefix + hex.EncodeToString(d[:10])
}

// refuse writes an error in the provider's envelope.
func refuse(w http.ResponseWriter, status int, typ, code, param, message string) {
	optional := func(v string) *string {
		if v == "" {
			return nil
		}
		return &v
	}
	type body struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	out := encode(struct {
		Error body `json:"error"`
	}{body{message, typ, optional(param), optional(code)}})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(out)
}

// models serves GET /models.
func (s *Server) models(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write([]byte(`{"object":"list","data":[{"id":"` + ModelName + `","object":"model","created":0,"owned_by":"chumi"}]}`))
}
