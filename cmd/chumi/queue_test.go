package main

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// Turns above the bound of model calls wait and are answered, over HTTP/2 too: none
// fails because there was no place, and no tenant ever holds more than its share.
func TestServe_TurnsAboveTheBoundWait(t *testing.T) {
	const customers, callsMax, share = 150, 8, 6
	var inside, most atomic.Int64
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	declared, err := ReadBootstrap(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	quick := metasim.Latency{Median: time.Millisecond}
	sims, err := startSimulators("127.0.0.1:0", "127.0.0.1:0",
		metasim.Options{Accounts: simulatedAccounts(declared), Plan: metasim.Plan{Reports: metasim.Reports{Sent: quick, Delivered: quick, Read: quick}}},
		openaisim.Options{Plan: openaisim.Plan{Latency: openaisim.Latency{Median: 20 * time.Millisecond}},
			OnCall: func(m openaisim.Moment, _ openaisim.Call) {
				switch m {
				case openaisim.CallReceived:
					n := inside.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
						continue
					}
				case openaisim.CallAnswering:
					inside.Add(-1)
				}
			}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sims.Close() })
	e := startEngine(t, t.TempDir(), bootstrap, "--set", "assistant.base_url="+sims.modelURL, "--set", "assistant.http2=true",
		"--set", fmt.Sprint("assistant.calls_max=", callsMax), "--set", "assistant.quiet_period=10ms",
		"--set", "meta.graph_url="+sims.graphURL, "--set", "meta.instagram_url="+sims.graphURL)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	for i := range customers {
		if err := sims.meta.Deliver(t.Context(), sims.meta.Text(account, metasim.Customer{ID: fmt.Sprint(4915550200000 + i)}, fmt.Sprint("hello #", 1000+i))); err != nil {
			t.Fatal(err)
		}
	}
	answered := 0
	until(t, events, func(ev apiEvent) bool {
		if ev.Kind == "turn_failed" {
			t.Errorf("a turn failed: %s", ev.line)
		}
		if ev.Kind == "turn_answered" {
			answered++
		}
		return answered == customers
	})
	if n := most.Load(); n > share || n < 2 {
		t.Errorf("%d calls of a tenant at once, want at most %d of %d", n, share, callsMax)
	}
}
