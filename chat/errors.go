package chat

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrorKind sorts errors by what the caller can do. It crosses the wire, so it
// is append-only.
type ErrorKind uint8

// The error kinds.
const (
	KindOther       ErrorKind = 0
	KindInvalid     ErrorKind = 1 // the request is wrong; do not repeat it
	KindNotFound    ErrorKind = 2
	KindConflict    ErrorKind = 3 // an idempotency key reused, a rule of state
	KindBusy        ErrorKind = 4 // too much at once; repeat later
	KindUnavailable ErrorKind = 5 // cannot be made durable now; repeat later
	KindUnknown     ErrorKind = 6 // may or may not have happened; repeat with the same key
	KindFenced      ErrorKind = 7 // the activation is not the owner any more
	KindCorrupt     ErrorKind = 8 // stored bytes are not what was written
)

// String returns a word for logs and API codes.
func (k ErrorKind) String() string {
	switch k {
	case KindInvalid:
		return "invalid"
	case KindNotFound:
		return "not_found"
	case KindConflict:
		return "conflict"
	case KindBusy:
		return "busy"
	case KindUnavailable:
		return "unavailable"
	case KindUnknown:
		return "unknown"
	case KindFenced:
		return "fenced"
	case KindCorrupt:
		return "corrupt"
	}
	return "error"
}

// Error is the engine's one error type. Its text never holds personal data or
// secrets.
type Error struct {
	// Op is the failing operation, such as "journal.Append".
	Op   string
	Kind ErrorKind
	// Reason says what is wrong and what to do.
	Reason string
	Err    error
}

// Error joins the parts that are set.
func (e *Error) Error() string {
	parts := make([]string, 0, 4)
	if e.Op != "" {
		parts = append(parts, e.Op)
	}
	if e.Kind != KindOther {
		parts = append(parts, e.Kind.String())
	}
	if e.Reason != "" {
		parts = append(parts, e.Reason)
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// E builds an *Error.
func E(op string, kind ErrorKind, reason string, err error) error {
	return &Error{Op: op, Kind: kind, Reason: reason, Err: err}
}

// KindOf is the kind of the outermost *Error in err's chain.
func KindOf(err error) ErrorKind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindOther
}

// ModelError is a model call that ended without a usable answer.
type ModelError struct {
	// Reason is a word without personal data: "timeout", "throttled", ...
	Reason string
	// Permanent is true when calling again cannot help.
	Permanent bool
	// RetryAfter is the provider's wish; zero means none.
	RetryAfter time.Duration
}

// Error names the reason.
func (e *ModelError) Error() string { return "model call failed: " + e.Reason }

// GraphError is a management call that Meta answered with an error, or did not
// answer. It is the cause inside an *Error.
type GraphError struct {
	// Code and Subcode are Graph's; both zero when nothing was answered.
	Code, Subcode int
	// Result tells what it means, as for a send: refused for good, throttled,
	// blocked with the whole channel, or ambiguous.
	Result SendResult
	// Reason is a word without personal data: "token_invalid", "call_limit", ...
	Reason string
	// RetryAfter is when another try is worth it; zero when none is, or nobody said.
	RetryAfter time.Duration
	// Trace is Meta's fbtrace_id, for asking Meta.
	Trace string
}

// Error names the reason, the code and the trace.
func (e *GraphError) Error() string {
	text := "graph: " + e.Reason
	if e.Code != 0 || e.Subcode != 0 {
		text += " (code " + strconv.Itoa(e.Code)
		if e.Subcode != 0 {
			text += "/" + strconv.Itoa(e.Subcode)
		}
		text += ")"
	}
	if e.Trace != "" {
		text += " trace " + e.Trace
	}
	return text
}

// GraphErrorOf is the *GraphError in err's chain, nil for none.
func GraphErrorOf(err error) *GraphError {
	var e *GraphError
	if errors.As(err, &e) {
		return e
	}
	return nil
}
