package openaisim

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// requestMax bounds a request body: more than any prompt a client should send.
const requestMax = 4 << 20

// complete serves POST /chat/completions.
func (s *Server) complete(w http.ResponseWriter, r *http.Request) {
	s.answering.Add(1)
	defer s.answering.Add(-1)
	if s.o.APIKey != "" && r.Header.Get("Authorization") != "Bearer "+s.o.APIKey {
		refuse(w, http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "", "Incorrect API key provided.")
		return
	}
	var req completionRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, requestMax)).Decode(&req); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "", "", "We could not parse the JSON body of your request.")
		return
	}
	if param, why := req.check(); param != "" {
		refuse(w, http.StatusBadRequest, "invalid_request_error", "invalid_value", param, why)
		return
	}
	run := req.lastUserRun()
	c := Call{Time: s.o.Now().UTC(), Prompt: req.hash(), Turn: r.Header.Get(TurnHeader), Model: req.Model,
		Stream: req.Stream, Tokens: tokensOf(run), Text: reply(run)}
	if c.Turn == "" {
		c.Turn = c.Prompt
	}
	c.Attempt = s.ledger.attempt(c.Turn)
	random := source(s.o.Plan.Seed, c.Turn, c.Prompt, strconv.Itoa(c.Attempt))
	latency := s.o.Plan.Latency.draw(random)
	c.Fault = s.o.Plan.fault(c, random)
	c.Answer = c.Fault.answer()
	switch c.Fault {
	case FaultEmpty, FaultThrottled, FaultServerError, FaultHang:
		c.Text = ""
	}
	c = s.ledger.add(c)
	s.moment(CallReceived, c)
	s.pause(r, c, latency)
	s.moment(CallAnswering, c)
	s.answer(w, r, &req, c)
	_ = http.NewResponseController(w).Flush() // a client that left learns nothing
	s.moment(CallAnswered, c)
}

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

func (s *Server) answer(w http.ResponseWriter, r *http.Request, req *completionRequest, c Call) {
	switch {
	case c.Fault == FaultThrottled:
		w.Header().Set("Retry-After", strconv.Itoa(s.o.Plan.retryAfter()))
		refuse(w, http.StatusTooManyRequests, "requests", "rate_limit_exceeded", "", "Rate limit reached for "+ModelName+".")
	case c.Fault == FaultServerError:
		refuse(w, http.StatusInternalServerError, "server_error", "", "", "The server had an error while processing your request. Sorry about that!")
	case c.Fault == FaultHang:
		s.pause(r, c, s.o.Plan.hangFor())
		panic(http.ErrAbortHandler)
	case req.Stream:
		s.stream(w, r, req, c)
	default:
		whole(w, req, c)
	}
}

type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   *usage   `json:"usage,omitempty"`
}

type choice struct {
	Index   int     `json:"index"`
	Message *said   `json:"message,omitempty"`
	Delta   *said   `json:"delta,omitempty"`
	Finish  *string `json:"finish_reason"`
}

type said struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
}

func newCompletion(object string, c Call) completion {
	d := digest(c.Receipt, c.Turn, c.Prompt)
	return completion{ID: "chatcmpl-sim-" + hex.EncodeToString(d[:10]), Object: object, Created: c.Time.Unix(), Model: ModelName, Choices: []choice{}}
}

func usageOf(req *completionRequest, c Call) *usage {
	p, t := req.promptTokens(), tokens(c.Text)
	return &usage{Prompt: p, Completion: t, Total: p + t}
}

var stop = "stop"

// whole answers without streaming. A cut answer announces all its bytes and
// sends half of them.
func whole(w http.ResponseWriter, req *completionRequest, c Call) {
	out := newCompletion("chat.completion", c)
	out.Choices = append(out.Choices, choice{Message: &said{Role: "assistant", Content: &c.Text}, Finish: &stop})
	out.Usage = usageOf(req, c)
	body := encode(out)
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
func (s *Server) stream(w http.ResponseWriter, r *http.Request, req *completionRequest, c Call) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	control := http.NewResponseController(w)
	send := func(delta *said, finish *string) {
		out := newCompletion("chat.completion.chunk", c)
		out.Choices = append(out.Choices, choice{Delta: delta, Finish: finish})
		event(w, encode(out))
		_ = control.Flush()
	}
	empty := ""
	send(&said{Role: "assistant", Content: &empty}, nil)
	words := strings.SplitAfter(c.Text, " ")
	for i, word := range words {
		s.pause(r, c, s.o.Plan.TokenPause)
		if c.Fault == FaultCut && i >= len(words)/2 {
			panic(http.ErrAbortHandler)
		}
		if word != "" {
			send(&said{Content: &word}, nil)
		}
	}
	send(&said{}, &stop)
	if req.Options != nil && req.Options.IncludeUsage {
		out := newCompletion("chat.completion.chunk", c)
		out.Usage = usageOf(req, c)
		event(w, encode(out))
	}
	event(w, []byte("[DONE]"))
}

func event(w http.ResponseWriter, data []byte) {
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
