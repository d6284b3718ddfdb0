package actors

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// calmStore keeps no commits and looks at its agenda once a second: an overload
// makes many.
type calmStore struct{ *memStore }

// Append implements Journal.
func (s calmStore) Append(ctx context.Context, c chat.Commit) (chat.Receipt, error) {
	r, err := s.memStore.Append(ctx, c)
	s.mu.Lock()
	s.commits = s.commits[:0]
	s.mu.Unlock()
	return r, err
}

// Earliest implements Agenda.
func (calmStore) Earliest(ctx context.Context, _ chat.Group, _ time.Time) error {
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// strictGraph is Graph with the simulator's pace: it refuses what comes too fast,
// and now and then what does not.
type strictGraph struct {
	pacer *metasim.Pacer
	// injected are the codes that came without a reason, and when the next does.
	nextNumber, nextPair time.Time
	injected             map[int]int
	// unlucky counts the refusals of that kind that each person got.
	unlucky map[string]int

	mu       sync.Mutex
	r        *rand.Rand
	accepted map[string][]acceptedSend
	refused  map[int]int
	n        int
}

type acceptedSend struct {
	at   time.Time
	text string
}

// Send implements Graph.
func (g *strictGraph) Send(_ context.Context, out chat.Outbound) chat.SendOutcome {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	code := 0
	switch g.pacer.Send(metasim.Message{Account: overloaded, To: out.To.Value, Type: out.Type}, now) {
	case metasim.LimitNumber:
		code = 130429
	case metasim.LimitPair:
		code = 131056
	case metasim.LimitNone, metasim.LimitMedia, metasim.LimitPrivate, metasim.LimitPortfolio:
	}
	switch {
	case code != 0:
	case now.After(g.nextNumber):
		code, g.nextNumber = 130429, now.Add(time.Minute)
		g.injected[code]++
	case now.After(g.nextPair):
		code, g.nextPair = 131056, now.Add(time.Duration(1+g.r.IntN(19))*time.Second)
		g.injected[code]++
		g.unlucky[out.To.Value]++
	}
	if code != 0 {
		g.refused[code]++
		p, _ := meta.Classify(chat.WhatsApp, code, 0)
		return chat.SendOutcome{Result: p.Result, Code: code, Reason: p.Reason, RetryAfter: p.RetryAfter, Hold: p.Hold}
	}
	g.n++
	g.accepted[out.To.Value] = append(g.accepted[out.To.Value], acceptedSend{now, out.Text})
	return chat.SendOutcome{Result: chat.SendAccepted, Remote: chat.RemoteID(fmt.Sprint("out-", g.n))}
}

// between counts what was accepted in a span, of one person or of all.
func (g *strictGraph) between(from, to time.Time, who ...string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(who) == 0 {
		for person := range g.accepted {
			who = append(who, person)
		}
	}
	for _, person := range who {
		for _, a := range g.accepted[person] {
			if !a.at.Before(from) && a.at.Before(to) {
				n++
			}
		}
	}
	return n
}

var overloaded = metasim.Account{Kind: metasim.WhatsApp, ID: "acme-wa"}

// TestOverload_TenMinutes drives a whole System for over ten minutes of fake time
// with more than Meta takes: first more than the number may send, then more than some
// persons may be sent. Nothing goes above a limit, at least nine tenths of each are
// used, and no conversation is reordered, although Meta refuses some for no reason.
func TestOverload_TenMinutes(t *testing.T) {
	const wide, heavy = 440, 20
	for seed := range uint64(2) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 0x6f766572))
				store := calmStore{newMemStore()}
				store.set.Assistant = false
				graph := &strictGraph{pacer: metasim.NewPacer(metasim.StrictPace), r: rand.New(rand.NewPCG(seed, 1)),
					injected: map[int]int{}, unlucky: map[string]int{}, accepted: map[string][]acceptedSend{}, refused: map[int]int{}}
				o := options(store.memStore, nil, graph)
				o.Journal, o.Histories, o.Agenda = store, store, store
				s := started(t, o)
				l := &load{t: t, s: s, graph: graph, r: r, numbers: map[string]int{}}
				for i := range wide + heavy {
					l.hears(fmt.Sprint(i))
					time.Sleep(20 * time.Millisecond)
				}
				time.Sleep(10 * time.Second)
				heavies := make([]string, heavy)
				for i := range heavy {
					heavies[i] = fmt.Sprint(wide + i)
				}

				// A number's worth and a tenth more, and customers write too.
				began := time.Now()
				for time.Since(began) < 4*time.Minute {
					for range 8 {
						l.says(fmt.Sprint(r.IntN(wide)))
					}
					if r.IntN(3) == 0 {
						l.hears(fmt.Sprint(r.IntN(wide)))
					}
					if r.IntN(10) == 0 {
						l.says(heavies[r.IntN(heavy)])
					}
					time.Sleep(100 * time.Millisecond)
				}
				steady, end := began.Add(30*time.Second), began.Add(4*time.Minute)
				both := graph.between(steady, end) + l.heardBetween(steady, end)
				limit := int(end.Sub(steady).Seconds()) * metasim.StrictPace.PerSecond
				t.Logf("number: %d messages in and out of %d that the limit allows: %.1f %%", both, limit, 100*float64(both)/float64(limit))
				if both*10 < limit*9 {
					t.Errorf("the number was used less than nine tenths")
				}

				// Then only the heavy ones, each more than a person may be sent.
				settle(time.Minute)
				began = time.Now()
				for time.Since(began) < 6*time.Minute {
					for _, who := range heavies {
						l.says(who)
					}
					time.Sleep(2 * time.Second)
				}
				end = began.Add(6 * time.Minute)
				got := graph.between(began, end, heavies...)
				pair := metasim.StrictPace.PairBurst + int(6*time.Minute/metasim.StrictPace.PairEvery)
				limit = heavy * pair
				t.Logf("pairs: %d messages of %d that the limit allows: %.1f %%", got, limit, 100*float64(got)/float64(limit))
				if got*10 < limit*9 {
					t.Errorf("the pairs were used less than nine tenths")
				}
				for _, who := range heavies {
					// A refusal without a reason holds the person for six seconds and more.
					if n, lost := graph.between(began, end, who), 2*graph.unlucky[who]; (n+lost)*10 < pair*8 {
						t.Errorf("%s got %d messages of %d that the limit allows, and lost %d to refusals", who, n, pair, lost)
					}
				}
				ended(t, s)
				if over := graph.pacer.Over(); len(over) != 0 {
					t.Errorf("above limits: %v", over)
				}
				if graph.injected[130429] < 5 || graph.injected[131056] < 20 {
					t.Errorf("few refusals were injected: %v", graph.injected)
				}
				for who, list := range graph.accepted {
					for i, a := range list {
						if want := fmt.Sprint(i + 1); a.text != want {
							t.Fatalf("%s got %s as its message %s", who, a.text, want)
						}
					}
				}
				t.Logf("accepted %d in 11 minutes, refused %v of which injected %v", graph.n, graph.refused, graph.injected)
			})
		})
	}
}

// load makes customers and members write.
type load struct {
	t       *testing.T
	s       *System
	graph   *strictGraph
	r       *rand.Rand
	numbers map[string]int // of each person's latest message
	heard   []time.Time
	n       int
}

// hears delivers a customer's message.
func (l *load) hears(who string) {
	l.n++
	l.heard = append(l.heard, time.Now())
	l.graph.mu.Lock()
	l.graph.pacer.Heard(overloaded, time.Now())
	l.graph.mu.Unlock()
	deliver(l.t, l.s, textFrom(who, fmt.Sprint("in-", l.n), "?"))
}

// says has a member write the person's next number; nothing when too much waits.
func (l *load) says(who string) {
	v, err := l.s.Ingress().Send(l.t.Context(), "acme", conversationOf(who), chat.MemberSend{Text: fmt.Sprint(l.numbers[who] + 1)})
	if err != nil {
		l.t.Fatal(err)
	}
	if v.Kind == chat.VerdictDone {
		l.numbers[who]++
	}
}

func (l *load) heardBetween(from, to time.Time) (n int) {
	for _, at := range l.heard {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}
