package metasim

import (
	"math"
	"math/rand/v2"
	"time"
)

// Fault is what goes wrong with one send request.
type Fault string

// The faults. Accepted tells whether the message reaches the phone anyway.
const (
	FaultNone        Fault = ""
	FaultThrottled   Fault = "throttled"    // Graph error 130429 (613 on Instagram); not accepted
	FaultPairLimited Fault = "pair_limited" // Graph error 131056 (613/2534040 on Instagram); not accepted
	FaultServerError Fault = "server_error" // 500 without a body; not accepted
	FaultBadGateway  Fault = "bad_gateway"  // accepted, but a gateway answers 502 with HTML
	FaultDropped     Fault = "dropped"      // accepted, connection closed without an answer
	FaultReset       Fault = "reset"        // not accepted, connection reset
	FaultSlow        Fault = "slow"         // accepted, answered SlowBy later
)

// Plan scripts faults and delays. The zero Plan answers at once and without
// faults. Rates are probabilities; if they add up to more than 1, those named
// later in the struct are cut.
type Plan struct {
	// Seed chooses which requests meet which fault and delay.
	Seed uint64
	// Latency passes between receiving a request and answering it.
	Latency Latency

	Throttled, PairLimited, ServerError, BadGateway, Dropped, Reset, Slow float64

	// SlowBy is added to Latency for FaultSlow. DefaultSlowBy when zero.
	SlowBy time.Duration
	// FaultAttempts limits random faults to the first attempts of a message, so
	// that every message ends well at last. 0 means no limit.
	FaultAttempts int
	// Script, if not nil, decides the fault instead of the rates. It gets the
	// ledger entry as far as it is known and must be safe for concurrent use.
	Script func(Send) Fault

	// Files decides what goes wrong with requests about files; nil for nothing. It
	// must be safe for concurrent use. FileRedirect is where FileFaultRedirect leads.
	Files        func(FileRequest) FileFault
	FileRedirect string

	// Reports says what is told about accepted messages.
	Reports Reports
	// Redelivered is the rate of webhooks posted once more after their 200.
	Redelivered float64
}

// DefaultSlowBy is longer than a patient client waits.
const DefaultSlowBy = 15 * time.Second

// Reports is what the simulator tells the business about a message it
// accepted: sent, delivered and read on WhatsApp, echo and read on Instagram.
// Delays count from the report before; reports do not wait for one another to
// be acknowledged, so with small delays they arrive in any order, as Meta's do.
type Reports struct {
	// Off sends none.
	Off bool
	// Sent is also the delay of Instagram's echo.
	Sent, Delivered, Read Latency
	// SkipDelivered is the rate of messages reported read without delivered.
	SkipDelivered float64
	// Unread is the rate of messages never reported read.
	Unread float64
	// Failed is the rate of accepted WhatsApp messages reported failed (131026)
	// after sent.
	Failed float64
}

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

// fault decides about one send. It is a function of the seed and of the
// message and attempt alone.
func (p *Plan) fault(s Send, r *rand.Rand) Fault {
	if p.Script != nil {
		return p.Script(s)
	}
	x := r.Float64()
	if p.FaultAttempts > 0 && s.Attempt > p.FaultAttempts {
		return FaultNone
	}
	for _, c := range [...]struct {
		rate  float64
		fault Fault
	}{
		{p.Throttled, FaultThrottled}, {p.PairLimited, FaultPairLimited}, {p.ServerError, FaultServerError},
		{p.BadGateway, FaultBadGateway}, {p.Dropped, FaultDropped}, {p.Reset, FaultReset}, {p.Slow, FaultSlow},
	} {
		if x < c.rate {
			return c.fault
		}
		x -= c.rate
	}
	return FaultNone
}

func (p *Plan) slowBy() time.Duration {
	if p.SlowBy > 0 {
		return p.SlowBy
	}
	return DefaultSlowBy
}
