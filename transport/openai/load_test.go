package openai_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// held is a simulator that answers nobody before a number of requests are there.
func held(t *testing.T, all int64) string {
	t.Helper()
	full := make(chan struct{})
	var n atomic.Int64
	_, base := startSim(t, openaisim.Options{OnCall: func(m openaisim.Moment, _ openaisim.Call) {
		if m != openaisim.CallReceived {
			return
		}
		if n.Add(1) == all {
			close(full)
		}
		<-full
	}})
	return base
}

// Two thousand calls are on the wire at once, over a few connections.
func TestClient_HTTP2CarriesManyCallsOnFewConnections(t *testing.T) {
	const calls = 2000
	base := held(t, calls)
	before := descriptors(t)
	c := open(t, openai.Options{BaseURL: base, HTTP2: true})
	var wg sync.WaitGroup
	var failed atomic.Int64
	var most int
	for i := range calls {
		wg.Go(func() {
			p := asks(says(fmt.Sprintf("hello #%d", i)))
			p.Turn = chat.TurnID(fmt.Sprint("turn_", i))
			if _, err := c.Complete(t.Context(), p); err != nil {
				failed.Add(1)
			}
			if i == 0 {
				most = descriptors(t)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls failed", failed.Load(), calls)
	}
	// Both ends of a connection are in this process.
	if used := (most - before) / 2; used > 50 {
		t.Errorf("%d connections for %d calls", used, calls)
	} else {
		t.Logf("%d calls in flight over at most %d connections", calls, used)
	}
}

// descriptors counts those of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("descriptors cannot be counted here")
	}
	return len(open)
}

// A machine that is out of descriptors makes calls wait: each is answered when there is
// room, and the provider is not blamed.
func TestClient_WaitsForADescriptor(t *testing.T) {
	_, base := startSim(t, openaisim.Options{})
	var dials atomic.Int64
	rt := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		if dials.Add(1) <= 20 {
			return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("socket", syscall.EMFILE)}
		}
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}
	t.Cleanup(rt.CloseIdleConnections)
	c := open(t, openai.Options{BaseURL: base, Transport: rt, FailureMax: 1, Timeout: 30 * time.Second})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := c.Complete(t.Context(), asks(says("hello"))); err != nil {
				t.Errorf("a call failed for want of a descriptor: %v", err)
			}
		})
	}
	wg.Wait()
}

// Above the bound of connections calls wait for one, in the time they have.
func TestClient_BoundsConnections(t *testing.T) {
	var inside, most atomic.Int64
	c := serve(t, openai.Options{ConnectionsMax: 4}, func(w http.ResponseWriter, r *http.Request) {
		n := inside.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			continue
		}
		sse(chunk("ok", "stop"), done)(w, r)
		inside.Add(-1)
	})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if _, err := c.Complete(t.Context(), prompt); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most.Load() > 4 {
		t.Errorf("%d calls at once over at most 4 connections", most.Load())
	}
}
