package openaisim

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"time"
)

// Fault is what goes wrong with one request.
type Fault string

// The faults.
const (
	FaultNone        Fault = ""
	FaultThrottled   Fault = "throttled"    // 429 with Retry-After
	FaultServerError Fault = "server_error" // 500 with an error body
	FaultHang        Fault = "hang"         // no answer; the connection is cut after HangFor
	FaultCut         Fault = "cut"          // the connection is cut in the middle of the answer
	FaultEmpty       Fault = "empty"        // a well-formed answer without text
	FaultSlow        Fault = "slow"         // SlowPause before each piece of the answer
	FaultMalformed   Fault = "malformed"    // an answer that is not the API's format
	FaultRefusal     Fault = "refusal"      // the model declines
	FaultFiltered    Fault = "filtered"     // the provider's filter stops the answer
	FaultTruncated   Fault = "truncated"    // half of the answer, at the token limit
	FaultLanguage    Fault = "language"     // an answer in a language nobody asked for
	FaultForm        Fault = "form"         // a structured answer that the schema does not allow
	FaultCall        Fault = "call"         // calls that no schema allows, of tools that are offered
)

// Plan scripts faults and delays. The zero Plan answers at once and without
// faults. Rates are probabilities; if they add up to more than 1, those named
// later in the struct are cut.
type Plan struct {
	// Seed chooses which requests meet which fault and delay.
	Seed uint64
	// Latency passes between receiving a request and the first byte of its
	// answer.
	Latency Latency
	// TokenPause passes between two chunks of a stream.
	TokenPause time.Duration

	Throttled, ServerError, Hang, Cut, Empty                            float64
	Slow, Malformed, Refusal, Filtered, Truncated, Language, Form, Call float64

	// RetryAfter is what a throttled client is told; DefaultRetryAfter when
	// zero. Whole seconds, at least one, go over the wire.
	RetryAfter time.Duration
	// HangFor is how long a hanging request is held. DefaultHangFor when zero.
	HangFor time.Duration
	// SlowPause is what a slow answer takes for each piece. DefaultSlowPause when zero.
	SlowPause time.Duration
	// FaultAttempts limits random faults to the first requests of a turn, so
	// that every turn can end well at last. 0 means no limit.
	FaultAttempts int
	// Script, if not nil, decides the fault instead of the rates. It gets the
	// ledger entry as far as it is known and must be safe for concurrent use.
	Script func(Call) Fault

	// Answer, if not nil, answers instead of the rules, for instance with tool calls. It
	// must be safe for concurrent use.
	Answer func(*Asked) Said
	// Use, if not nil, chooses tools that are called before the rules answer; none lets
	// them answer. It must be safe for concurrent use.
	Use func(*Asked) []ToolCall
	// Hijacked has an attacker answer, who knows Targets: ids and words of others to
	// reach for.
	Hijacked bool
	Targets  []string
	// RefusesForms are forms of answers that requests are refused for, as by a server
	// that does not know them: strict, json_schema, json_object.
	RefusesForms []string
	// NoUsage leaves out what an answer used; ReasoningTokens are in each that says it.
	NoUsage         bool
	ReasoningTokens int
}

// The defaults of a Plan.
const (
	DefaultRetryAfter = time.Second
	DefaultHangFor    = 2 * time.Minute
	DefaultSlowPause  = time.Second
)

// Latency is a lognormal delay. The zero Latency is no delay.
type Latency struct {
	// Median of the delay.
	Median time.Duration
	// Sigma is the standard deviation of the delay's logarithm: 0 is constant.
	Sigma float64
	// Max cuts the tail. 0 means no limit.
	Max time.Duration
}

func (l Latency) draw(r *rand.Rand) time.Duration {
	if l.Median <= 0 {
		return 0
	}
	d := time.Duration(float64(l.Median) * math.Exp(l.Sigma*r.NormFloat64()))
	if l.Max > 0 && d > l.Max {
		return l.Max
	}
	return d
}

func (p *Plan) fault(c Call, r *rand.Rand) Fault {
	if p.Script != nil {
		return p.Script(c)
	}
	x := r.Float64()
	if p.FaultAttempts > 0 && c.Attempt > p.FaultAttempts {
		return FaultNone
	}
	for _, f := range [...]struct {
		rate  float64
		fault Fault
	}{
		{p.Throttled, FaultThrottled}, {p.ServerError, FaultServerError}, {p.Hang, FaultHang},
		{p.Cut, FaultCut}, {p.Empty, FaultEmpty}, {p.Slow, FaultSlow}, {p.Malformed, FaultMalformed},
		{p.Refusal, FaultRefusal}, {p.Filtered, FaultFiltered}, {p.Truncated, FaultTruncated},
		{p.Language, FaultLanguage}, {p.Form, FaultForm}, {p.Call, FaultCall},
	} {
		if x < f.rate {
			return f.fault
		}
		x -= f.rate
	}
	return FaultNone
}

// retryAfter is in whole seconds, rounded up, at least one.
func (p *Plan) retryAfter() int {
	d := p.RetryAfter
	if d <= 0 {
		d = DefaultRetryAfter
	}
	return max(1, int((d+time.Second-1)/time.Second))
}

func (p *Plan) hangFor() time.Duration {
	if p.HangFor > 0 {
		return p.HangFor
	}
	return DefaultHangFor
}

// piecePause passes before each piece of an answer.
func (p *Plan) piecePause(f Fault) time.Duration {
	if f != FaultSlow {
		return p.TokenPause
	}
	if p.SlowPause > 0 {
		return p.SlowPause
	}
	return DefaultSlowPause
}

// digest hashes a seed and length-prefixed parts.
func digest(seed uint64, parts ...string) [sha256.Size]byte {
	b := binary.LittleEndian.AppendUint64(nil, seed)
	for _, p := range parts {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(p)))
		b = append(b, p...)
	}
	return sha256.Sum256(b)
}

// source is a random source that depends on the seed and the parts only.
func source(seed uint64, parts ...string) *rand.Rand {
	d := digest(seed, parts...)
	return rand.New(rand.NewPCG(binary.LittleEndian.Uint64(d[:8]), binary.LittleEndian.Uint64(d[8:16])))
}
