package api

import (
	"errors"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// docURL is followed by an error's code.
const docURL = "https://github.com/chumiai/chumi/blob/main/docs/errors.md#"

// failure is an answer that is an error. Code is stable, for programs; message
// is for people and may change.
type failure struct {
	status  int
	kind    string
	code    string
	message string
	// param names the query parameter or body member that is wrong.
	param string
	// header is one more header of the answer.
	header [2]string
}

// The kinds of errors.
const (
	kindAuthentication = "authentication_error"
	kindPermission     = "permission_error"
	kindInvalid        = "invalid_request_error"
	kindNotFound       = "not_found_error"
	kindConflict       = "conflict_error"
	kindRateLimit      = "rate_limit_error"
	kindUnavailable    = "unavailable_error"
	kindInternal       = "api_error"
)

// The failures that take nothing from the request.
var (
	errNoRoute = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "route_not_found",
		message: "There is nothing at this path. See /openapi.json."}
	errMethod = failure{status: fasthttp.StatusMethodNotAllowed, kind: kindInvalid, code: "method_not_allowed",
		message: "This path does not take this method; see the Allow header."}
	errNoKey = failure{status: fasthttp.StatusUnauthorized, kind: kindAuthentication, code: "key_missing",
		message: "Send an API key: Authorization: Bearer KEY.", header: [2]string{"WWW-Authenticate", `Bearer realm="chumi"`}}
	errBadKey = failure{status: fasthttp.StatusUnauthorized, kind: kindAuthentication, code: "key_invalid",
		message: "This API key is not valid.", header: [2]string{"WWW-Authenticate", `Bearer realm="chumi", error="invalid_token"`}}
	errScope = failure{status: fasthttp.StatusForbidden, kind: kindPermission, code: "scope_missing",
		message: "This API key lacks the scope this request needs."}
	errRate = failure{status: fasthttp.StatusTooManyRequests, kind: kindRateLimit, code: "rate_limited",
		message: "Too many requests with this key; wait for Retry-After seconds."}
	errStreams = failure{status: fasthttp.StatusTooManyRequests, kind: kindRateLimit, code: "too_many_streams",
		message: "Too many event streams are open; close one first.", header: [2]string{"Retry-After", "5"}}
	errDraining = failure{status: fasthttp.StatusServiceUnavailable, kind: kindUnavailable, code: "draining",
		message: "This node is stopping; connect again.", header: [2]string{"Retry-After", "1"}}
	errVersion = failure{status: fasthttp.StatusBadRequest, kind: kindInvalid, code: "version_unknown", param: "Chumi-Version",
		message: "This version of the API does not exist here; the only one is " + Version + "."}
	errKeyReused = failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "idempotency_key_reused", param: "Idempotency-Key",
		message: "This Idempotency-Key was used for another request; use a new one."}
	errNotFound = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "conversation_not_found",
		message: "There is no such conversation."}
)

// invalid is a 400 about one parameter.
func invalid(code, param, message string) *failure {
	return &failure{status: fasthttp.StatusBadRequest, kind: kindInvalid, code: code, param: param, message: message}
}

// refusals explains the reasons a rule of the engine refuses a request with.
var refusals = map[string]string{
	"no_draft":            "The assistant has no draft; write one, or name the version to publish.",
	"never_published":     "The version is the draft, which never answered; publish it.",
	"too_many_assistants": "The tenant has as many assistants as a tenant may have.",
	"too_many_versions":   "The assistant has as many versions as an assistant may have; begin another assistant.",
	"default_assistant":   "The assistant main answers wherever no other is placed; place another.",

	"same_contact":   "A contact cannot be linked with itself.",
	"not_linked":     "The two contacts are not linked; a split takes out a direct link.",
	"too_many_links": "One of the contacts has as many links as a contact may have.",
	"window_closed":  "The customer service window is closed: 24 hours have passed since the customer wrote. On WhatsApp only a template may be sent, on Instagram only what a person wrote (human_agent), within seven days.",
	"text_too_long":  "The text is longer than the channel allows.",

	"template_unknown":      "The engine knows no template of this name and language for this channel; see GET /v1/templates.",
	"template_not_approved": "The template's status is not APPROVED; see GET /v1/templates.",
	"opted_out":             "The customer does not want marketing messages.",
	"groups_only":           "Messages are pinned in groups only.",
	"too_many_sources":      "There are as many sources of knowledge as a tenant may have; remove one first.",
	"comment_unknown":       "No such comment came in this conversation.",
	"comment_answered":      "This comment has had its private reply; there is one for each.",
	"outbox_full":           "Too many messages of this conversation wait to be sent; try again when some have gone.",
}

// refused is the answer to a request that a rule forbids.
func refused(reason string) *failure {
	switch reason {
	case "no_conversation":
		return &errNotFound
	case "idempotency_key_reused":
		return &errKeyReused
	case errNoMedia.code:
		return &errNoMedia
	}
	message := refusals[reason]
	if message == "" {
		message = "A rule of the engine forbids this now: " + reason + "."
	}
	return &failure{status: fasthttp.StatusConflict, kind: kindConflict, code: reason, message: message}
}

// failed turns an error of a port into an answer. What it says about the inside
// is logged, never answered.
func (r *call) failed(err error) *failure {
	reason := ""
	var e *chat.Error
	if errors.As(err, &e) {
		reason = e.Reason
	}
	later := [2]string{"Retry-After", "1"}
	switch chat.KindOf(err) {
	case chat.KindNotFound:
		return &errNotFound
	case chat.KindConflict:
		if reason == "idempotency_key_reused" {
			return &errKeyReused
		}
		return &failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "conflict",
			message: "The conversation's state does not allow this."}
	case chat.KindInvalid:
		return invalid("invalid", "", "The request cannot be carried out as it is.")
	case chat.KindBusy:
		return &failure{status: fasthttp.StatusServiceUnavailable, kind: kindUnavailable, code: "busy", header: later,
			message: "Too much at once; try again."}
	case chat.KindUnavailable, chat.KindFenced:
		return &failure{status: fasthttp.StatusServiceUnavailable, kind: kindUnavailable, code: "unavailable", header: later,
			message: "It cannot be made durable now; try again."}
	case chat.KindUnknown:
		return &failure{status: fasthttp.StatusServiceUnavailable, kind: kindUnavailable, code: "outcome_unknown", header: later,
			message: "It may or may not have been done. Repeat it with the same Idempotency-Key."}
	case chat.KindOther, chat.KindCorrupt:
	}
	r.log.Error("an API request failed", "request_id", r.id, "err", err)
	return &failure{status: fasthttp.StatusInternalServerError, kind: kindInternal, code: "internal",
		message: "Something is wrong here. The log has the details under this request id."}
}

// fail writes f as the answer.
func (r *call) fail(f *failure) {
	r.ctx.SetStatusCode(f.status)
	if f.header[0] != "" {
		r.ctx.Response.Header.Set(f.header[0], f.header[1])
	}
	b := append(make([]byte, 0, 256), `{"error":{"type":`...)
	b = appendString(b, f.kind)
	b = appendMember(b, "code", f.code)
	b = appendMember(b, "message", f.message)
	b = appendNullable(b, "param", f.param)
	b = appendMember(b, "request_id", r.id)
	b = appendMember(b, "doc_url", docURL+f.code)
	r.json(append(b, '}', '}'))
}
