package openai

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// The reasons; the package comment explains them.
const (
	reasonBadRequest     = "bad_request"
	reasonBreakerOpen    = "breaker_open"
	reasonCancelled      = "cancelled"
	reasonContentFilter  = "content_filter"
	reasonContextTooLong = "context_too_long"
	reasonCut            = "cut"
	reasonEmpty          = "empty"
	reasonMalformed      = "malformed"
	reasonNoProvider     = "no_provider"
	reasonModelNotFound  = "model_not_found"
	reasonProviderError  = "provider_error"
	reasonQuotaExceeded  = "quota_exceeded"
	reasonRedirected     = "redirected"
	reasonRefused        = "refused"
	reasonThrottled      = "throttled"
	reasonTimeout        = "timeout"
	reasonTooLong        = "too_long"
	reasonToolCall       = "tool_call"
	reasonTruncated      = "truncated"
	reasonUnauthorized   = "unauthorized"
	reasonUnreachable    = "unreachable"
)

// sick are the reasons that say the provider does not work, whoever asks.
var sick = map[string]bool{
	reasonCut: true, reasonMalformed: true, reasonProviderError: true,
	reasonTimeout: true, reasonUnreachable: true,
}

// elsewhere are the reasons that another model of the list may do better than. The
// others are about the answer itself, which another model is not asked to better: a
// refusal is not shopped around, and what is too long is so everywhere.
var elsewhere = map[string]bool{
	reasonBadRequest: true, reasonBreakerOpen: true, reasonContextTooLong: true, reasonCut: true, reasonEmpty: true,
	reasonMalformed: true, reasonModelNotFound: true, reasonNoProvider: true, reasonProviderError: true,
	reasonQuotaExceeded: true, reasonRedirected: true, reasonThrottled: true, reasonTimeout: true,
	reasonToolCall: true, reasonUnauthorized: true, reasonUnreachable: true,
}

// noRoom reports whether this machine had no descriptor or port left for a connection:
// nobody's fault, and over when another call ends.
func noRoom(err error) bool {
	return errIs(err, syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL)
}

// What this package itself finds wrong with an answer.
var (
	errContentFilter = errors.New("stopped by the filter")
	errCut           = errors.New("cut")
	errEmpty         = errors.New("empty")
	errMalformed     = errors.New("malformed")
	errRedirected    = errors.New("redirected")
	errRefused       = errors.New("refused")
	errTooLarge      = errors.New("response too large")
	errTooLong       = errors.New("text too long")
	errToolCall      = errors.New("tool call")
	errTruncated     = errors.New("truncated")
)

// classify turns what a call ended with into the one error type, or nil.
// ctx is the caller's: its end is told apart from our own time-out.
func classify(ctx context.Context, err error, x *exchange) *chat.ModelError {
	var api *goopenai.APIError
	var req *goopenai.RequestError
	var timeout net.Error
	var transport *url.Error
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return &chat.ModelError{Reason: reasonCancelled}
	case errors.Is(err, context.DeadlineExceeded):
		return &chat.ModelError{Reason: reasonTimeout}
	case errors.Is(err, errRedirected):
		return &chat.ModelError{Reason: reasonRedirected, Permanent: true}
	case errIs(err, errTooLarge, errTooLong):
		return &chat.ModelError{Reason: reasonTooLong}
	case errors.Is(err, errToolCall):
		return &chat.ModelError{Reason: reasonToolCall}
	case errors.Is(err, errTruncated):
		return &chat.ModelError{Reason: reasonTruncated}
	case errors.Is(err, errContentFilter):
		return &chat.ModelError{Reason: reasonContentFilter, Permanent: true}
	case errors.Is(err, errRefused):
		return &chat.ModelError{Reason: reasonRefused, Permanent: true}
	case errors.Is(err, errEmpty):
		return &chat.ModelError{Reason: reasonEmpty}
	case errors.Is(err, errMalformed):
		return &chat.ModelError{Reason: reasonMalformed}
	case errors.As(err, &api):
		return byStatus(api.HTTPStatusCode, word(api.Code), x)
	case errors.As(err, &req):
		return byStatus(req.HTTPStatusCode, "", x)
	case errors.As(err, &timeout) && timeout.Timeout():
		return &chat.ModelError{Reason: reasonTimeout}
	case errors.As(err, &transport) && x.status == 0:
		return &chat.ModelError{Reason: reasonUnreachable}
	case errors.As(err, &syntax), errors.As(err, &wrongType), errors.Is(err, goopenai.ErrTooManyEmptyStreamMessages):
		return &chat.ModelError{Reason: reasonMalformed}
	case x.status == 0:
		// go-openai found the request wrong before sending it.
		return &chat.ModelError{Reason: reasonBadRequest, Permanent: true}
	case errIs(err, errCut, io.ErrUnexpectedEOF, io.EOF):
		return &chat.ModelError{Reason: reasonCut}
	}
	return &chat.ModelError{Reason: reasonCut}
}

// byStatus classifies an answer by its HTTP status and the API's error code.
// An error inside a stream has no status of its own.
func byStatus(status int, code string, x *exchange) *chat.ModelError {
	switch code {
	case "context_length_exceeded":
		return &chat.ModelError{Reason: reasonContextTooLong, Permanent: true}
	case "content_filter", "content_policy_violation":
		return &chat.ModelError{Reason: reasonContentFilter, Permanent: true}
	case "insufficient_quota", "billing_hard_limit_reached":
		return &chat.ModelError{Reason: reasonQuotaExceeded, Permanent: true}
	case "model_not_found":
		return &chat.ModelError{Reason: reasonModelNotFound, Permanent: true}
	case "rate_limit_exceeded", "too_many_requests":
		return &chat.ModelError{Reason: reasonThrottled, RetryAfter: x.retryAfter}
	}
	switch {
	case status == http.StatusTooManyRequests:
		return &chat.ModelError{Reason: reasonThrottled, RetryAfter: x.retryAfter}
	case status == http.StatusRequestTimeout, status == http.StatusGatewayTimeout:
		return &chat.ModelError{Reason: reasonTimeout, RetryAfter: x.retryAfter}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return &chat.ModelError{Reason: reasonUnauthorized, Permanent: true}
	case status == http.StatusNotFound:
		return &chat.ModelError{Reason: reasonModelNotFound, Permanent: true}
	case status == http.StatusRequestEntityTooLarge:
		return &chat.ModelError{Reason: reasonContextTooLong, Permanent: true}
	case status == http.StatusConflict, status == http.StatusTooEarly:
		return &chat.ModelError{Reason: reasonProviderError, RetryAfter: x.retryAfter}
	case status >= 400 && status < 500:
		return &chat.ModelError{Reason: reasonBadRequest, Permanent: true}
	}
	return &chat.ModelError{Reason: reasonProviderError, RetryAfter: x.retryAfter}
}

// word is an API error code when it is a word; some servers send numbers.
func word(code any) string {
	s, _ := code.(string)
	return s
}
