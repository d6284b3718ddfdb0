package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How many rates a search may try: the first has to find the region, the others
// begin where the last one ended.
const (
	firstTries = 5
	laterTries = 3
)

// openStart is the share of what a contender did in the closed loop that its first
// search begins at.
const openStart = 0.7

// pass is one contender's round.
type pass struct {
	*contest
	n      int
	x      *Contender
	server *server
	sims   *simulators
	// next is the first body not yet posted, acked what was acknowledged so far.
	next  int
	acked *Bitset

	rounds   []Round
	searches []Search
	// fastest is the best throughput of the closed loop and found the rate of the
	// latest search: where a first search begins.
	fastest, found float64
}

// errBodies ends a pass for which too few bodies were signed.
var errBodies = errors.New("bench: ran out of signed bodies: raise --requests")

// load posts what comes next; rate 0 is a closed loop.
func (p *pass) load(ctx context.Context, conns int, rate float64) (*Round, error) {
	l := Load{First: p.next, Conns: conns, Rate: rate, Poisson: p.o.Poisson, Seed: p.o.Seed + uint64(p.n), Warm: p.o.PeerWarm, Measure: p.o.PeerMeasure}
	if !p.x.stores() {
		l.First, l.Wrap = 0, rate == 0
	}
	if len(p.rounds) == 0 {
		l.Warm *= firstWarm
	}
	if need := int(1.2 * rate * (l.Warm + l.Measure).Seconds()); p.requests.Len()-l.First < max(need, l.Conns) {
		return nil, errBodies
	}
	round, sample, err := p.measure(ctx, p.server, l, p.sims)
	if err != nil {
		return nil, err
	}
	p.next = sample.Next
	p.acked.merge(sample.Acked)
	round.Number, round.Target, round.Row = p.n, p.x.Name, RowClosed
	if rate > 0 {
		// The search judges it: a late generator can make a rate look worse, not better.
		round.Row, round.Met, round.Invalid = RowOpen, meetsBar(round), ""
	}
	p.rounds = append(p.rounds, *round)
	p.logf("peers %d/%d %5.0fs %-16s %3d conns %-6s %s", p.n, p.o.PeerRounds, time.Since(p.began).Seconds(), p.x.Name, conns, round.Row,
		round.peerLine(p.report.Failed()))
	return round, nil
}

func (p *pass) closed(ctx context.Context, conns int) error {
	round, err := p.load(ctx, conns, 0)
	if errors.Is(err, errBodies) {
		p.logf("peers: %s, %d connections: %v", p.x.Name, conns, err)
		return nil
	}
	if err == nil {
		p.fastest = max(p.fastest, round.Throughput)
	}
	return err
}

// search finds the highest rate in the open loop that meets Meta's bar.
func (p *pass) search(ctx context.Context, conns int) error {
	key := fmt.Sprintf("%s %d", p.x.Name, conns)
	begin, tries := p.last[key], laterTries
	if begin == 0 {
		begin = p.found
	}
	if begin == 0 {
		begin, tries = openStart*p.fastest, firstTries
	}
	found := Search{Number: p.n, Target: p.x.Name, Conns: conns}
	l := newLadder(rungAt(begin), tries)
	var best *Round
	for rate, more := l.next(); more; rate, more = l.next() {
		round, err := p.load(ctx, conns, rate)
		if errors.Is(err, errBodies) {
			found.Limit = "too few bodies were signed"
			break
		}
		if err != nil {
			return err
		}
		found.judge(round, p.o.OtherMax)
		if round.Met && (best == nil || rate > best.Rate) {
			best = round
		}
		l.tell(round.Met)
	}
	var exact bool
	if found.Rate, exact = l.found(); !exact && found.Limit == "" {
		found.Limit = "no tries were left"
	}
	if best == nil {
		found.Invalid = "no rate that was tried met the bar"
	} else {
		found.CPU, found.P50, found.P99 = best.ServerCPU, best.Ack.P50, best.Ack.P99
		p.last[key], p.found = found.Rate, found.Rate
	}
	p.searches = append(p.searches, found)
	return nil
}
