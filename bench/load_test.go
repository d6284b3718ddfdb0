package bench

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/bench/child"
)

// serve runs a handler on a socket of its own until the test ends.
func serve(t *testing.T, h fasthttp.RequestHandler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fasthttp.Server{Handler: h, MaxRequestsPerConn: 50}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

func testRequests(n int) *Requests {
	return BuildRequests(child.NewWorld(3), smallWorkload(), n, time.Now())
}

func TestLoad_ClosedLoopCountsWhatWasAcknowledged(t *testing.T) {
	var served atomic.Int64
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		if served.Add(1)%10 == 0 {
			ctx.SetStatusCode(http.StatusServiceUnavailable)
		}
	})
	l := Load{Addrs: []string{addr}, Requests: testRequests(1000), Conns: 4, Measure: time.Minute, Limit: 1000}
	s, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Acks != 900 || s.Refused[503] != 100 || s.Broken != 0 {
		t.Errorf("acks %d, refused %v, broken %d; want 900, 100 of 503, 0", s.Acks, s.Refused, s.Broken)
	}
	acked := 0
	for i := range 1000 {
		if s.Acked.Has(i) {
			acked++
		}
	}
	if acked != 900 {
		t.Errorf("%d requests are marked acknowledged", acked)
	}
}

// A server that stalls once delays every request that was due meanwhile, and
// all of them must show it: the schedule does not wait for the server.
func TestLoad_OpenLoopCountsFromTheDueTime(t *testing.T) {
	const stall = 300 * time.Millisecond
	var served atomic.Int64
	addr := serve(t, func(*fasthttp.RequestCtx) {
		if served.Add(1) == 10 {
			time.Sleep(stall)
		}
	})
	l := Load{Addrs: []string{addr}, Requests: testRequests(200), Conns: 1, Rate: 200, Measure: time.Minute, Limit: 200}
	s, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Acks != 200 {
		t.Fatalf("acks %d, want 200", s.Acks)
	}
	late := int64(0)
	for _, bar := range s.Ack.Distribution() {
		if bar.From > (stall / 3).Microseconds() {
			late += bar.Count
		}
	}
	if late < 20 {
		t.Errorf("only %d requests show the stall; a generator that waits for the server hides it", late)
	}
	if s.Queued.TotalCount() < 20 {
		t.Errorf("only %d requests are known to have waited for the connection", s.Queued.TotalCount())
	}
}

func TestLoad_WrapsOnlyWhenAllowed(t *testing.T) {
	addr := serve(t, func(*fasthttp.RequestCtx) {})
	for _, wrap := range []bool{false, true} {
		l := Load{Addrs: []string{addr}, Requests: testRequests(10), Conns: 2, Measure: 50 * time.Millisecond, Wrap: wrap}
		s, err := l.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if s.Exhausted == wrap {
			t.Errorf("wrap %v: exhausted %v", wrap, s.Exhausted)
		}
	}
}

func TestLoad_OpensConnectionsAnew(t *testing.T) {
	var mu sync.Mutex
	from := map[string]int{}
	addr := serve(t, func(ctx *fasthttp.RequestCtx) {
		mu.Lock()
		defer mu.Unlock()
		from[ctx.RemoteAddr().String()]++
	})
	var answers atomic.Int64
	began := 0
	l := Load{Addrs: []string{addr}, Requests: testRequests(100), Conns: 1, PerConn: 4, Measure: time.Minute, Limit: 100,
		OnBegin: func() { began++ },
		OnAnswer: func(_, status int) {
			if status == http.StatusOK {
				answers.Add(1)
			}
		}}
	if _, err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(from) != 25 || answers.Load() != 100 || began != 1 {
		t.Errorf("%d connections, %d answers told of, begun %d times; want 25, 100, 1", len(from), answers.Load(), began)
	}
}

func TestLoad_ReportsAServerThatIsGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	load := Load{Addrs: []string{addr}, Requests: testRequests(5), Conns: 1, Measure: time.Minute, Limit: 5}
	s, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Broken != 5 || s.Acks != 0 || s.LastError == nil {
		t.Errorf("broken %d, acks %d, error %v", s.Broken, s.Acks, s.LastError)
	}
}
