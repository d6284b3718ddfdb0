package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// TestBudget_KillsLeakNothing has fifty customers write to an engine with money for
// forty calls, and kills its process four times: with all calls under way, twice while
// answers come in, the first time after one was recorded, and while it resumes. Every
// request at the model was counted before it was made, the bound was never passed, and
// what is counted in the end is what the model reckons for the answers that were recorded
// and the estimate for each call that was lost.
func TestBudget_KillsLeakNothing(t *testing.T) {
	const customers, first, budgeted = 50, 10, 40
	const estimate = chat.DefaultPromptTokens * 1000
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	declared, err := ReadBootstrap(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	var gate atomic.Pointer[chan struct{}]
	quick := metasim.Latency{Median: time.Millisecond}
	sims, err := startSimulators("127.0.0.1:0", "127.0.0.1:0", metasim.Options{Accounts: simulatedAccounts(declared),
		Plan: metasim.Plan{Reports: metasim.Reports{Sent: quick, Delivered: quick, Read: quick}}},
		openaisim.Options{Price: openaisim.Price{Prompt: 1000, Output: 2000}, OnCall: func(m openaisim.Moment, _ openaisim.Call) {
			if m == openaisim.CallReceived {
				<-*gate.Load()
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sims.Close() })
	o := child.Options{DataDir: filepath.Join(t.TempDir(), "data"), Bootstrap: bootstrap, Env: []string{"CHUMI_TEST_ENGINE=1"}, ReadyIn: patience,
		Config: write(t, "chumi.yaml", fmt.Sprintf("meta:\n  graph_url: %[1]s\n  instagram_url: %[1]s\nsends:\n  reconcile_after: 1s\nassistant:\n"+
			"  base_url: %[2]s\n  model: %[3]s\n  quiet_period: 20ms\n  pricing_file: %[4]s\n  budget_per_month: %[5]q\n",
			sims.graphURL, sims.modelURL, simulatedModel, write(t, "prices.yaml", simulatedPrices), chat.Money(budgeted*callMost)))}
	var e *child.Engine
	closed := func() chan struct{} {
		c := make(chan struct{})
		gate.Store(&c)
		return c
	}
	start := func() {
		t.Helper()
		if e, err = child.Start(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Kill)
		sims.meta.SetHooks("http://" + e.Edge)
	}
	account, _ := sims.meta.Account("acme-wa")
	say := func(from, to int) {
		t.Helper()
		var all sync.WaitGroup
		for i := from; i < to; i++ {
			all.Go(func() {
				if err := sims.meta.Deliver(t.Context(), sims.meta.Text(account, metasim.Customer{ID: phone(i), Name: "Ada"}, "hello")); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	kill := func() {
		t.Helper()
		if e.Kill(); !e.Killed() {
			t.Fatal("the engine ended in another way")
		}
	}

	under := closed()
	start()
	say(0, first)
	eventually(t, "a call for each is under way", func() bool { return len(sims.model.Calls()) == first })
	kill()
	close(under)
	for wave := range 2 {
		under = closed()
		calls := len(sims.model.Calls())
		start()
		say(first+10*wave, first+10*(wave+1))
		eventually(t, "calls are under way again", func() bool { return len(sims.model.Calls()) > calls })
		close(under)
		if wave == 0 {
			// Without it all might be lost, and no money be left for anybody.
			eventually(t, "an answer is recorded", func() bool {
				return (&engine{t: t, ops: e.Ops}).metric(`chumi_turns_total{outcome="answered"}`) != "0"
			})
		}
		kill()
	}
	under = closed()
	start()
	kill()
	close(under)
	start()
	say(first+20, customers)
	eventually(t, "everybody got a message", func() bool {
		reached := map[string]bool{}
		for _, m := range sims.meta.Sends() {
			reached[m.To] = reached[m.To] || m.Accepted
		}
		return len(reached) == customers
	})
	sum, counted := (&engine{t: t, api: e.API}).usageOf(t, "key-of-acme")
	if err := e.Terminate(); err != nil {
		t.Error(err)
	}
	checked(t, o.DataDir)

	// An answer counts when it was recorded: the same turn has it at the model.
	reckoned := map[string]bool{}
	for _, c := range sims.model.Calls() {
		if c.Answer == openaisim.AnswerGiven {
			reckoned[fmt.Sprint(c.Turn, c.Cost)] = true
		}
	}
	var answers, lost, answered, spent int64
	for _, ev := range exported(t, o.DataDir, "acme") {
		var line turnLine
		if err := json.Unmarshal([]byte(ev.line), &line); err != nil {
			t.Fatal(err)
		}
		spent += line.Turn.Cost
		switch {
		case ev.Turn == nil:
		case ev.Kind == "turn_answered":
			answers, answered = answers+1, answered+line.Turn.Cost
			if line.Turn.Cost == 0 || !reckoned[fmt.Sprint(ev.Turn.ID, line.Turn.Cost)] {
				t.Errorf("the model reckons another cost: %s", ev.line)
			}
		case line.Turn.Cost > 0:
			lost++
		}
	}
	calls := int64(len(sims.model.Calls()))
	want := answered + lost*estimate
	if int64(counted) != want || spent != want || sum.Cost != chat.Money(want).String() {
		t.Errorf("counted %d, in the usage %s, in the journal %d; want %d for the %d answers and %d for each of %d lost calls",
			counted, sum.Cost, spent, answered, answers, int64(estimate), lost)
	}
	if most := answers + budgeted*callMost/estimate; calls > most || calls > sum.Calls || sum.Calls != answers+lost || int64(counted) > budgeted*callMost {
		t.Errorf("%d requests at the model, the money is for %d; %d calls were counted before, %d of them answered and %d lost; counted %d",
			calls, most, sum.Calls, answers, lost, counted)
	}
	if lost < first || answers == 0 {
		t.Errorf("%d calls were lost and %d answered: nothing was put to the test", lost, answers)
	}
	t.Logf("%d requests at the model, %d calls: %d answered, %d lost; counted %d", calls, sum.Calls, answers, lost, counted)
}
