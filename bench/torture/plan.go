package torture

import (
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// faultAttempts limits faults to the first attempts of a message, so that every
// message ends well at last.
const faultAttempts = 2

// graphPlan fails about one send in ten at fault 1, in every way Graph does, and
// reports fast enough that reports overtake one another.
func graphPlan(seed uint64, faults float64) metasim.Plan {
	delay := func(d time.Duration) metasim.Latency {
		return metasim.Latency{Median: d, Sigma: 1, Max: 20 * d}
	}
	return metasim.Plan{
		Seed: seed, Latency: delay(3 * time.Millisecond), Redelivered: 0.05,
		Script: func(s metasim.Send) metasim.Fault { return graphFault(seed, faults, s) },
		Reports: metasim.Reports{Sent: delay(5 * time.Millisecond), Delivered: delay(5 * time.Millisecond),
			Read: delay(10 * time.Millisecond), SkipDelivered: 0.1, Unread: 0.3},
	}
}

// graphFault draws the fault of a send from the seed and the message alone.
func graphFault(seed uint64, faults float64, s metasim.Send) metasim.Fault {
	if s.Attempt > faultAttempts {
		return metasim.FaultNone
	}
	h := fnv.New64a()
	for _, part := range []string{s.Account, s.To, s.Callback, s.Text, strconv.Itoa(s.Attempt)} {
		_, _ = h.Write([]byte(part + "\n")) // documented never to fail
	}
	x := rand.New(rand.NewPCG(seed, h.Sum64())).Float64()
	for _, f := range []struct {
		rate  float64
		fault metasim.Fault
	}{
		{0.02, metasim.FaultServerError}, {0.02, metasim.FaultBadGateway}, {0.03, metasim.FaultDropped},
		{0.02, metasim.FaultReset}, {0.01, metasim.FaultThrottled},
	} {
		if x < f.rate*faults {
			if f.fault == metasim.FaultThrottled && s.Kind == metasim.Instagram {
				return metasim.FaultNone // its code asks for a pause of a minute
			}
			return f.fault
		}
		x -= f.rate * faults
	}
	return metasim.FaultNone
}

// modelPlan fails about one call in twenty at fault 1, never often enough to use
// up a turn's tries. It takes median, at most 40 times as long.
func modelPlan(seed uint64, faults float64, median time.Duration) openaisim.Plan {
	return openaisim.Plan{
		Seed: seed, Latency: openaisim.Latency{Median: median, Sigma: 1, Max: 40 * median}, FaultAttempts: 1,
		Throttled: 0.01 * faults, ServerError: 0.02 * faults, Cut: 0.02 * faults,
	}
}
