package openai_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
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

// Two thousand calls are on the wire at once, over a few connections; no more are even
// begun.
func TestClient_HTTP2CarriesManyCallsOnFewConnections(t *testing.T) {
	const calls = 2000
	var received, connections atomic.Int64
	full := make(chan struct{})
	// Nobody is answered before all requests are there.
	sim := openaisim.New(openaisim.Options{OnCall: func(m openaisim.Moment, _ openaisim.Call) {
		if m != openaisim.CallReceived {
			return
		}
		if received.Add(1) == calls {
			close(full)
		}
		<-full
	}})
	srv := httptest.NewUnstartedServer(sim)
	srv.Config.Protocols = &http.Protocols{}
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	c := open(t, openai.Options{BaseURL: srv.URL, HTTP2: true})
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range calls {
		wg.Go(func() {
			p := asks(says(fmt.Sprintf("hello #%d", i)))
			p.Turn = chat.TurnID(fmt.Sprint("turn_", i))
			if _, err := c.Complete(t.Context(), p); err != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls failed", failed.Load(), calls)
	}
	if n := connections.Load(); n > 50 {
		t.Errorf("%d connections for %d calls", n, calls)
	}
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
