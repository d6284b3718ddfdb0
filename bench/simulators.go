package bench

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// simulators are Graph and the model around the engine, in this process.
type simulators struct {
	world              *child.World
	graph              *metasim.Server
	model              *openaisim.Server
	graphURL, modelURL string
	accepted, asked    atomic.Int64
}

// ledgerMax bounds the simulators' memory: a bench keeps no ledger.
const ledgerMax = 1000

// simOptions is what a part wants of the simulators besides answers.
type simOptions struct {
	// watch is told what they see; nil for nobody.
	watch *replyWatch
	// latency is how long the model thinks.
	latency openaisim.Latency
	// hold, if not nil, keeps every call of the model until it is closed.
	hold <-chan struct{}
}

// newSimulators starts both, without faults, with reports of delivery a little after
// each accepted message.
func newSimulators(world *child.World, seed uint64, o simOptions) (*simulators, error) {
	s := &simulators{world: world}
	var calls sync.Map // receipt of a model call -> when it was received
	model := openaisim.Options{Plan: openaisim.Plan{Seed: seed, Latency: o.latency}, LedgerMax: ledgerMax,
		OnCall: func(m openaisim.Moment, c openaisim.Call) {
			if m == openaisim.CallReceived {
				s.asked.Add(1)
				if o.hold != nil {
					<-o.hold
				}
			}
			if o.watch == nil {
				return
			}
			switch m {
			case openaisim.CallReceived:
				calls.Store(c.Receipt, time.Now())
			case openaisim.CallAnswered:
				if began, ok := calls.LoadAndDelete(c.Receipt); ok {
					o.watch.modelAnswered(c.Text, time.Since(began.(time.Time)))
				}
			}
		}}
	s.model = openaisim.New(model)
	delay := func(d time.Duration) metasim.Latency { return metasim.Latency{Median: d, Sigma: 0.3} }
	s.graph = metasim.New(metasim.Options{
		Accounts: Accounts(world), LedgerMax: ledgerMax,
		Plan: metasim.Plan{Seed: seed, Reports: metasim.Reports{
			Sent: delay(100 * time.Millisecond), Delivered: delay(300 * time.Millisecond), Read: delay(time.Second)}},
		OnSend: func(m metasim.SendMoment, e metasim.Send) {
			if m != metasim.SendReceived {
				return
			}
			if o.watch != nil {
				o.watch.graphReceived(e.Text, time.Now())
			}
			if e.Accepted {
				s.accepted.Add(1)
			}
		}})
	graphAddr, err := s.graph.Start("127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	modelAddr, err := s.model.Start("127.0.0.1:0")
	if err != nil {
		s.close()
		return nil, fmt.Errorf("bench: %w", err)
	}
	s.graphURL, s.modelURL = "http://"+graphAddr, openaisim.Base(modelAddr)
	return s, nil
}

// acceptedSends counts messages that Graph accepted.
func (s *simulators) acceptedSends() int64 { return s.accepted.Load() }

// modelCalls counts requests that the model received.
func (s *simulators) modelCalls() int64 { return s.asked.Load() }

func (s *simulators) close() {
	_ = s.graph.Close() // what is cut off belongs to a server that is gone
	_ = s.model.Close()
}

// Accounts are the channels of a world as the Graph simulator knows them.
func Accounts(world *child.World) []metasim.Account {
	out := make([]metasim.Account, 0, len(world.Channels))
	for i := range world.Channels {
		c := &world.Channels[i]
		a := metasim.Account{Kind: metasim.WhatsApp, ID: c.Account(), Name: c.ID, WABA: c.WABA, App: c.App, AccessToken: c.Token}
		if c.Kind == child.Instagram {
			a.Kind = metasim.Instagram
		}
		if app := world.App(c.App); app != nil {
			a.AppSecret = app.Secret
		}
		out = append(out, a)
	}
	return out
}
