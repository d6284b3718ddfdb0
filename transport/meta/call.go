package meta

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The limits of management calls.
const (
	// callTimeout bounds one call with its repetitions, where the caller's
	// context does not end earlier.
	callTimeout = 30 * time.Second
	// callTryMax bounds the requests of one GET; others are made once.
	callTryMax = 3
	// callPause is the first pause between the requests of one GET.
	callPause = 200 * time.Millisecond
	// answerMax is how much of an answer is read: a page of a hundred templates
	// has some hundred KB.
	answerMax = 8 << 20
	// pagesMax bounds a list that never ends.
	pagesMax = 1000
)

// call is one management call: everything but sending a message. It is one
// request, and never redirected; only a GET is repeated.
type call struct {
	// op names the operation in errors and metrics: a constant.
	op     string
	method string
	// kind chooses host and error table, app the secret of the proof.
	kind chat.ChannelKind
	app  chat.AppID
	// base is another host than the kind's; empty for the kind's.
	base string
	// path is below the version; use join for parts that come from outside.
	path string
	// bare leaves the version out of the path.
	bare  bool
	query url.Values
	// At most one of form, json and body is set. contentType is of body.
	form        url.Values
	json        any
	body        []byte
	contentType string
	header      http.Header
	// token authorises the call; empty when the parameters do.
	token chat.Secret
	// scheme is the word before the token; empty for Bearer.
	scheme string
	// single forbids a repetition also of a GET.
	single bool
}

// join is a path of escaped parts: an id from outside cannot leave its place.
func join(parts ...string) string {
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return strings.Join(parts, "/")
}

// call makes a call and decodes the answer into answer, which can be nil. An
// error is an *chat.Error with a *chat.GraphError in it:
//
//	KindInvalid      Meta refused the request for good
//	KindNotFound     the object does not exist, or not for this token
//	KindConflict     the token, the account or its permissions do not allow it
//	KindBusy         too many calls; RetryAfter says when
//	KindUnavailable  nothing was done: repeat later
//	KindUnknown      no usable answer to a change: it may have been made
//
// No error holds a token, a URL, a number or a text of Meta's.
func (c *Client) call(ctx context.Context, q call, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pause := callPause
	for try := 1; ; try++ {
		fault := c.request(ctx, &q, answer)
		result := "ok"
		if fault != nil {
			result = fault.Result.String()
		}
		c.options.Metrics.Calls.WithLabelValues(q.op, result).Inc()
		if fault == nil {
			return nil
		}
		if try >= callTryMax || !q.repeatable(fault) || !wait(ctx, pause) {
			return chat.E("meta."+q.op, q.kindOf(fault), fault.Reason, fault)
		}
		pause *= 4
	}
}

// repeatable tells whether the same request may be made again at once.
func (q *call) repeatable(f *chat.GraphError) bool {
	if q.method != http.MethodGet || q.single {
		return false
	}
	return f.Result == chat.SendAmbiguous || f.Reason == unavailable.Reason || f.Reason == "unreachable"
}

// wait pauses, with jitter, and reports whether there is time left.
func wait(ctx context.Context, pause time.Duration) bool {
	t := time.NewTimer(pause/2 + rand.N(pause))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// request makes one request.
func (c *Client) request(ctx context.Context, q *call, answer any) *chat.GraphError {
	if hold := c.usage.hold(q.app, q.token); hold > 0 {
		return &chat.GraphError{Result: chat.SendThrottled, Reason: callLimit.Reason, RetryAfter: hold}
	}
	var trace connTrace
	req, err := c.build(trace.with(ctx), q)
	if err != nil {
		return &chat.GraphError{Result: chat.SendRefused, Reason: "bad_request"}
	}
	// NB: no error of the HTTP client goes further: its text holds the URL.
	res, err := c.options.HTTPClient.Do(req)
	if err != nil {
		out := trace.failed(ctx, err)
		return &chat.GraphError{Result: out.Result, Reason: out.Reason, RetryAfter: out.RetryAfter}
	}
	defer func() { _ = res.Body.Close() }()
	c.usage.note(q.app, q.token, res.Header)
	body, err := io.ReadAll(io.LimitReader(res.Body, answerMax+1))
	if err != nil || len(body) > answerMax {
		return &chat.GraphError{Result: chat.SendAmbiguous, Reason: "response_cut"}
	}
	return q.read(res, body, answer)
}

func (c *Client) build(ctx context.Context, q *call) (*http.Request, error) {
	query := url.Values{}
	for k, v := range q.query {
		query[k] = v
	}
	base := q.base
	switch {
	case base != "":
	case q.kind == chat.Instagram:
		base = c.options.InstagramURL
	default:
		base = c.options.GraphURL
		if proof := c.proof(q); proof != "" {
			query.Set("appsecret_proof", proof)
		}
	}
	address := strings.TrimRight(base, "/") + "/"
	if !q.bare {
		address += c.options.Version + "/"
	}
	address += q.path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	body, contentType := q.body, q.contentType
	switch {
	case q.form != nil:
		body, contentType = []byte(q.form.Encode()), "application/x-www-form-urlencoded"
	case q.json != nil:
		b, err := json.Marshal(q.json)
		if err != nil {
			return nil, err
		}
		body, contentType = b, "application/json"
	}
	req, err := http.NewRequestWithContext(ctx, q.method, address, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for k, v := range q.header {
		req.Header[k] = v
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	if q.token != "" {
		scheme := q.scheme
		if scheme == "" {
			scheme = "Bearer"
		}
		req.Header.Set("Authorization", scheme+" "+q.token.Reveal())
	}
	return req, nil
}

// proof is the appsecret_proof of a call, empty for none.
func (c *Client) proof(q *call) string {
	if q.token == "" || c.options.AppSecret == nil {
		return ""
	}
	secret, found := c.options.AppSecret(q.app)
	if !found || secret == "" {
		return ""
	}
	return proofOf(secret, q.token)
}

// read judges an answer by its content, as readOutcome does: the status decides
// only whether an answer without an error says yes.
func (q *call) read(res *http.Response, body []byte, answer any) *chat.GraphError {
	var e refusal
	if err := json.Unmarshal(body, &e); err != nil && (!json.Valid(body) || body[0] != '[') {
		return &chat.GraphError{Result: chat.SendAmbiguous, Reason: "unrecognised_response"}
	}
	if fault, failed := e.fault(q.kind); failed {
		if fault.Result == chat.SendThrottled {
			fault.RetryAfter = max(fault.RetryAfter, wishOf(res.Header))
		}
		return fault
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return &chat.GraphError{Result: chat.SendAmbiguous, Reason: "error_without_code"}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return &chat.GraphError{Result: chat.SendAmbiguous, Reason: "unrecognised_response"}
	}
	return nil
}

// kindOf sorts a fault by what the caller can do.
func (q *call) kindOf(f *chat.GraphError) chat.ErrorKind {
	switch f.Result {
	case chat.SendThrottled:
		if f.Reason == unavailable.Reason || f.Reason == "unreachable" {
			return chat.KindUnavailable
		}
		return chat.KindBusy
	case chat.SendBlocked:
		return chat.KindConflict
	case chat.SendAmbiguous:
		if q.method == http.MethodGet && !q.single {
			return chat.KindUnavailable
		}
		return chat.KindUnknown
	}
	if f.Code == 100 && f.Subcode == 33 {
		return chat.KindNotFound
	}
	return chat.KindInvalid
}

// refusal is an error of Graph's, or of the Instagram login host, whose fields
// stand at the top.
type refusal struct {
	Error *struct {
		Code    *jsonInt `json:"code"`
		Subcode jsonInt  `json:"error_subcode"`
		Trace   string   `json:"fbtrace_id"`
	} `json:"error"`
	LoginType string  `json:"error_type"`
	LoginCode jsonInt `json:"code"`
}

// jsonInt is an integer that may be written as a text; 0 when it is neither.
type jsonInt int

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (n *jsonInt) UnmarshalJSON(b []byte) error {
	i, err := strconv.Atoi(strings.Trim(string(b), `"`))
	if err != nil {
		i = 0
	}
	*n = jsonInt(i)
	return nil
}

func (e *refusal) fault(kind chat.ChannelKind) (f *chat.GraphError, failed bool) {
	switch {
	case e.Error != nil && e.Error.Code == nil:
		return &chat.GraphError{Result: chat.SendAmbiguous, Reason: "error_without_code"}, true
	case e.Error != nil:
		f = &chat.GraphError{Code: int(*e.Error.Code), Subcode: int(e.Error.Subcode), Trace: traceOf(e.Error.Trace)}
	case e.LoginType != "":
		// These codes are HTTP statuses; the login host refuses codes and secrets.
		return &chat.GraphError{Code: int(e.LoginCode), Result: chat.SendRefused, Reason: "login_refused"}, true
	default:
		return nil, false
	}
	p, _ := Classify(kind, f.Code, f.Subcode)
	f.Result, f.Reason, f.RetryAfter = p.Result, p.Reason, p.RetryAfter
	return f, true
}

// traceOf lets only what looks like a trace id into logs.
func traceOf(s string) string {
	if len(s) > 64 {
		return ""
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return ""
		}
	}
	return s
}

// page is one page of a list.
type page struct {
	Data   json.RawMessage `json:"data"`
	Paging struct {
		Cursors struct {
			After string `json:"after"`
		} `json:"cursors"`
		// Next holds the access token: it is looked at, and neither followed nor
		// shown.
		Next string `json:"next"`
	} `json:"paging"`
}

// pages makes a call for each page of a list and gives its data, a JSON array,
// to each. A list ends where no next page is named: a short page says nothing.
func (c *Client) pages(ctx context.Context, q call, each func(data json.RawMessage) error) error {
	query := url.Values{}
	for k, v := range q.query {
		query[k] = v
	}
	q.query = query
	for range pagesMax {
		var p page
		if err := c.call(ctx, q, &p); err != nil {
			return err
		}
		if err := each(p.Data); err != nil {
			return err
		}
		after := p.Paging.Cursors.After
		if p.Paging.Next == "" || after == "" || after == query.Get("after") {
			return nil
		}
		query.Set("after", after)
	}
	return chat.E("meta."+q.op, chat.KindInvalid, "the list does not end", nil)
}
