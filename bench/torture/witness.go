package torture

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/bench/linear"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// witnesses write to some conversations and read them all the while through any
// node, and keep the history of each: when every POST began and was
// acknowledged, and when every read began and what it showed.
type witnesses struct {
	c *cluster

	mu     sync.Mutex
	trials []*trial
	// byRemote finds the trial a stored message belongs to, to learn the id of
	// its conversation.
	byRemote map[remoteKey]*trial
}

// trial is one conversation under observation.
type trial struct {
	who     correspondent
	tenant  string
	history *linear.History
	// found is closed when conversation is known.
	found        chan struct{}
	conversation string
	once         sync.Once
}

const (
	// witnessCount conversations are observed at a time, each by so many
	// readers, until it holds trialMessages: Porcupine's search and its
	// explanation both want short histories.
	witnessCount  = 3
	readersEach   = 2
	trialMessages = 40
	// judgeIn bounds the search for one history's order.
	judgeIn = 20 * time.Second
)

// observe runs until ctx ends. forced also gives up what is not acknowledged
// then.
func (w *witnesses) observe(ctx, forced context.Context, seed uint64) {
	accounts := bench.Accounts(w.c.world)
	var all sync.WaitGroup
	for i := range witnessCount {
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 0x7769746e+uint64(i)))
			for n := i; ctx.Err() == nil; n += witnessCount {
				at := 2 * (n % len(w.c.world.Tenants))
				w.try(ctx, forced, r, person(accounts[at], firstWitnessed+n), w.c.world.Channels[at].Tenant)
			}
		})
	}
	all.Wait()
}

// try writes and reads one conversation.
func (w *witnesses) try(ctx, forced context.Context, r *rand.Rand, who correspondent, tenant string) {
	t := &trial{who: who, tenant: tenant, history: linear.New(), found: make(chan struct{})}
	w.mu.Lock()
	w.trials = append(w.trials, t)
	w.mu.Unlock()
	reading, stop := context.WithCancel(ctx)
	var readers sync.WaitGroup
	for range readersEach {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		readers.Go(func() { w.read(reading, t, own) })
	}
	voice := &writer{stage: w.c.stage, r: r}
	for n := 0; n < trialMessages && ctx.Err() == nil; n++ {
		u := voice.text(who)
		d, err := w.c.graph.NewDelivery(u)
		if err != nil {
			panic(err) // one update always encodes
		}
		w.mu.Lock()
		w.byRemote[remoteKey{tenant, u.RemoteID}] = t
		w.mu.Unlock()
		t.history.Appending(u.Number)
		if !voice.deliver(forced, d) {
			break
		}
		t.history.Appended(u.Number)
		pause(ctx, time.Duration(r.IntN(400))*time.Millisecond)
	}
	stop()
	readers.Wait()
	voice.copies.Wait()
}

// notice learns from a feed which conversation a trial is in.
func (w *witnesses) notice(e *child.Event) {
	if e.Kind != child.KindReceived || e.Message == nil {
		return
	}
	w.mu.Lock()
	t := w.byRemote[remoteKey{e.Tenant, e.Message.Remote}]
	w.mu.Unlock()
	if t != nil {
		t.once.Do(func() {
			t.conversation = e.Conversation
			close(t.found)
		})
	}
}

// read reads a trial's conversation through any node until ctx ends.
func (w *witnesses) read(ctx context.Context, t *trial, r *rand.Rand) {
	select {
	case <-t.found:
	case <-ctx.Done():
		return
	}
	reader := &child.Reader{Client: &http.Client{Timeout: clusterCallTimeout}, Key: w.c.desk.secrets[t.tenant]}
	for ctx.Err() == nil {
		if api := w.c.anyAPI(); api != "" {
			var values []int64
			done := t.history.Reading()
			err := reader.Conversation(ctx, api, t.conversation, func(e *child.Event) {
				if e.Kind == child.KindReceived && e.Message != nil {
					values = append(values, numberIn(e.Message.Text))
				}
			})
			if err == nil {
				done(values)
			}
		}
		pause(ctx, time.Duration(50+r.IntN(250))*time.Millisecond)
	}
}

// numberIn is the number of a customer's message; -1 when its text has none,
// which no history explains.
func numberIn(text string) int64 {
	if all := tokens(text); len(all) > 0 {
		return all[0]
	}
	return -1
}

// judge checks every history; one that fails is written into the stage's
// directory.
func (w *witnesses) judge(t *Tally) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for n, trial := range w.trials {
		t.Chances[ChanceHistories]++
		t.Chances[ChanceOperations] += int64(trial.history.Len())
		verdict := trial.history.Check(judgeIn)
		switch verdict {
		case linear.Linear:
			continue
		case linear.NotLinear:
			t.breach(NotLinear, "%s", trial.name())
		case linear.Undecided:
			t.breach(Undecided, "%s", trial.name())
		}
		text := fmt.Sprintf("%s: %s\n%s", trial.name(), verdict, trial.history.Text())
		errs = append(errs, os.WriteFile(filepath.Join(w.c.dir, fmt.Sprintf("history-%d.txt", n)), []byte(text), 0o600))
	}
	return errors.Join(errs...)
}

func (t *trial) name() string {
	return fmt.Sprintf("%s/%s, written by %s", t.tenant, t.conversation, metasim.ConversationKey(t.who.account, t.who.customer))
}
