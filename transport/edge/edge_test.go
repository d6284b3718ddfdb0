package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/valyala/fasthttp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// fasthttp refreshes its Date header for the life of the process.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// A stopped worker pool's cleaner sleeps out its last ten seconds.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// small limits make the refusals cheap to provoke.
var small = edge.Limits{
	BodyMax: 64 << 10, HeaderMax: 8 << 10,
	ReadTimeout: 300 * time.Millisecond, WriteTimeout: 5 * time.Second, IdleTimeout: 5 * time.Second,
	RequestsPerConnMax: 1000, ConnsPerIPMax: 64, ConnMax: 64,
}

func start(t *testing.T, o edge.Options) (*edge.Server, string) {
	t.Helper()
	if o.Name == "" {
		o.Name = "hooks"
	}
	o.Metrics = &metrics.New(nil).Edge
	o.Log = slog.New(slog.DiscardHandler)
	s, err := edge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Start(ln)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := s.Drain(ctx); err != nil {
			t.Error(err)
		}
	})
	return s, ln.Addr().String()
}

func echo(calls *atomic.Int64) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		calls.Add(1)
		ctx.SetBodyString(fmt.Sprint(len(ctx.PostBody())))
	}
}

// exchange writes raw bytes and reads answers until the server closes or
// answers were seen.
func exchange(t *testing.T, addr, raw string, answers int) (codes []int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatalf("write: %v", err)
	}
	r := bufio.NewReader(c)
	for len(codes) < answers {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Logf("read: %v", err)
			return codes
		}
		if resp.Header.Get("Server") != "" {
			t.Errorf("the answer names the server: %q", resp.Header.Get("Server"))
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		codes = append(codes, resp.StatusCode)
	}
	return codes
}

func post(header, body string) string {
	return "POST /hooks/main HTTP/1.1\r\nHost: x\r\n" + header + "\r\n" + body
}

func sized(n int) string {
	return post(fmt.Sprintf("Content-Length: %d\r\n", n), strings.Repeat("a", n))
}

func TestServer_BadInput(t *testing.T) {
	for _, tc := range []struct {
		name    string
		raw     string
		want    []int
		handled int64
	}{
		{"plain", sized(10), []int{200}, 1},
		{"largest", sized(64 << 10), []int{200}, 1},
		{"oversize", sized(64<<10 + 1), []int{413}, 0},
		{"far oversize", sized(2 << 20), []int{413}, 0},
		{"oversize chunked", post("Transfer-Encoding: chunked\r\n", strings.Repeat("1000\r\n"+strings.Repeat("a", 4096)+"\r\n", 20)+"0\r\n\r\n"), []int{413}, 0},
		{"oversize expecting", post("Content-Length: 9000000\r\nExpect: 100-continue\r\n", ""), []int{413}, 0},
		{"gzip", post("Content-Encoding: gzip\r\nContent-Length: 3\r\n", "\x1f\x8b\x08"), []int{415}, 0},
		{"gzip expecting", post("Content-Encoding: gzip\r\nContent-Length: 3\r\nExpect: 100-continue\r\n", ""), []int{415}, 0},
		{"identity", post("Content-Encoding: identity\r\nContent-Length: 2\r\n", "{}"), []int{200}, 1},
		{"large header", post("X: "+strings.Repeat("a", 9<<10)+"\r\nContent-Length: 2\r\n", "{}"), []int{431}, 0},
		{"large path", "GET /hooks/" + strings.Repeat("a", 9<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", []int{431}, 0},
		{"not http", "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", []int{400}, 0},
		{"bad chunk size", post("Transfer-Encoding: chunked\r\n", "zz\r\nabc\r\n0\r\n\r\n"), []int{400}, 0},
		{"bad chunk end", post("Transfer-Encoding: chunked\r\n", "3\r\nabcdef\r\n0\r\n\r\n"), []int{400}, 0},
		{"two lengths", post("Content-Length: 2\r\nContent-Length: 3\r\n", "{}a"), []int{400}, 0},
		{"length and chunks", post("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), []int{400}, 0},
		{"negative length", post("Content-Length: -1\r\n", ""), []int{400}, 0},
		{"length is no number", post("Content-Length: 0x10\r\n", strings.Repeat("a", 16)), []int{400}, 0},
		{"unknown encoding", post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), []int{400}, 0},
		{"slow header", "POST /hooks/main HTTP/1.1\r\nHo", []int{408}, 0},
		{"slow body", post("Content-Length: 100\r\n", "{"), []int{408}, 0},
		{"chunked", post("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n\r\n"), []int{200}, 1},
		{"pipelined", sized(5) + sized(6) + sized(7), []int{200, 200, 200}, 3},
		{"pipelined, then broken", sized(5) + "garbage\r\n\r\n", []int{200, 400}, 1},
		{"multipart", post("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 3\r\n", "--b"), []int{200}, 1},
		{"unknown path", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0},
		{"dot path", "GET /hooks/../secret HTTP/1.1\r\nHost: x\r\n\r\n", []int{404}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var calls atomic.Int64
			_, addr := start(t, edge.Options{Limits: small, Routes: []edge.Route{{Prefix: "/hooks/", Handler: echo(&calls)}}})
			if got := exchange(t, addr, tc.raw, len(tc.want)); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("answered %v, want %v", got, tc.want)
			}
			if calls.Load() != tc.handled {
				t.Errorf("handler ran %d times, want %d", calls.Load(), tc.handled)
			}
			if got := exchange(t, addr, sized(3), 1); fmt.Sprint(got) != "[200]" {
				t.Errorf("the next client got %v", got)
			}
		})
	}
}

// A client that stops in the middle of a request must not hold its connection.
func TestServer_DropsHalfSentRequests(t *testing.T) {
	var calls atomic.Int64
	_, addr := start(t, edge.Options{Limits: small, Routes: []edge.Route{{Prefix: "/hooks/", Handler: echo(&calls)}}})
	var conns []net.Conn
	for range 50 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "POST /hooks/main HTTP/1.1\r\nContent-Length: 5\r\n"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	for _, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Fatalf("a half-sent request was still open after %v: %v", small.ReadTimeout, err)
		}
	}
	if calls.Load() != 0 {
		t.Error("a half-sent request was handled")
	}
}

func TestServer_LimitsConnectionsPerAddress(t *testing.T) {
	limits := small
	limits.ConnsPerIPMax = 2
	limits.ReadTimeout = 5 * time.Second
	var calls atomic.Int64
	_, addr := start(t, edge.Options{Limits: limits, Routes: []edge.Route{{Prefix: "/hooks/", Handler: echo(&calls)}}})
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, sized(1)); err != nil {
			t.Fatal(err)
		}
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the third connection got %d, want 429", resp.StatusCode)
	}
}

func TestServer_PanicIsAnswered500(t *testing.T) {
	boom := func(*fasthttp.RequestCtx) { panic("boom") }
	var calls atomic.Int64
	_, addr := start(t, edge.Options{Limits: small, Routes: []edge.Route{
		{Prefix: "/boom", Handler: boom}, {Prefix: "/hooks/", Handler: echo(&calls)}}})
	if got := exchange(t, addr, "GET /boom HTTP/1.1\r\nHost: x\r\n\r\n", 1); fmt.Sprint(got) != "[500]" {
		t.Errorf("got %v, want 500", got)
	}
	if got := exchange(t, addr, sized(3), 1); fmt.Sprint(got) != "[200]" {
		t.Errorf("the next client got %v", got)
	}
}

func TestServer_DrainEndsStreamsAndWaitsForRequests(t *testing.T) {
	ended := make(chan struct{})
	begun, release := make(chan struct{}), make(chan struct{})
	stream := func(ctx *fasthttp.RequestCtx) {
		ctx.Response.ImmediateHeaderFlush = true
		ctx.Response.SetBodyStream(fasthttp.NewBoundedStreamReader(func(w *bufio.Writer) {
			_, _ = w.WriteString("hello\n")
			_ = w.Flush()
			<-ended
		}), -1)
	}
	slow := func(ctx *fasthttp.RequestCtx) {
		close(begun)
		<-release
		ctx.SetBodyString("done")
	}
	s, addr := start(t, edge.Options{Name: "api", Limits: small, OnDrain: func() { close(ended) },
		Routes: []edge.Route{{Prefix: "/stream", Handler: stream}, {Prefix: "/slow", Handler: slow}}})

	resp, err := http.Get("http://" + addr + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || line != "hello\n" {
		t.Fatalf("stream began with %q, %v", line, err)
	}
	type answer struct {
		body string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		r, err := http.Get("http://" + addr + "/slow")
		if err != nil {
			answered <- answer{err: err}
			return
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		answered <- answer{string(b), err}
	}()
	<-begun
	drained := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		drained <- s.Drain(ctx)
	}()
	<-ended
	select {
	case err := <-drained:
		t.Fatalf("drain ended with a request being served: %v", err)
	default:
	}
	close(release)
	if a := <-answered; a.err != nil || a.body != "done" {
		t.Errorf("the request in flight got %q, %v", a.body, a.err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if err := <-s.Failed(); err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if !s.Draining() {
		t.Error("not draining after Drain")
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestServer_DrainCutsAtItsDeadline(t *testing.T) {
	stop := make(chan struct{})
	begun := make(chan struct{})
	s, addr := start(t, edge.Options{Name: "api", Limits: small, Routes: []edge.Route{{Prefix: "/", Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.Response.SetBodyStream(fasthttp.NewBoundedStreamReader(func(w *bufio.Writer) {
			_, _ = w.WriteString("x")
			_ = w.Flush()
			close(begun)
			<-stop
		}), -1)
	}}}})
	resp, err := http.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	<-begun
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); err == nil {
		t.Error("a drain past its deadline reported success")
	}
	if _, err := io.ReadAll(resp.Body); err == nil {
		t.Error("the stream outlived the drain")
	}
	close(stop)
	<-s.Failed()
	http.DefaultClient.CloseIdleConnections()
}

func TestNew_RefusesMissingLimits(t *testing.T) {
	ok := edge.Options{Name: "x", Limits: small, Metrics: &metrics.New(nil).Edge, Log: slog.Default(),
		Routes: []edge.Route{{Prefix: "/", Handler: func(*fasthttp.RequestCtx) {}}}}
	if _, err := edge.New(ok); err != nil {
		t.Fatal(err)
	}
	for name, breakIt := range map[string]func(*edge.Options){
		"BodyMax":            func(o *edge.Options) { o.Limits.BodyMax = 0 },
		"HeaderMax":          func(o *edge.Options) { o.Limits.HeaderMax = 0 },
		"ReadTimeout":        func(o *edge.Options) { o.Limits.ReadTimeout = 0 },
		"WriteTimeout":       func(o *edge.Options) { o.Limits.WriteTimeout = 0 },
		"IdleTimeout":        func(o *edge.Options) { o.Limits.IdleTimeout = 0 },
		"RequestsPerConnMax": func(o *edge.Options) { o.Limits.RequestsPerConnMax = -1 },
		"ConnsPerIPMax":      func(o *edge.Options) { o.Limits.ConnsPerIPMax = 0 },
		"ConnMax":            func(o *edge.Options) { o.Limits.ConnMax = 0 },
		"Routes":             func(o *edge.Options) { o.Routes = nil },
		"Log":                func(o *edge.Options) { o.Log = nil },
		"stands twice":       func(o *edge.Options) { o.Routes = append(o.Routes[:1:1], o.Routes[0]) },
	} {
		o := ok
		breakIt(&o)
		if _, err := edge.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestOps_ReportsChecksByName(t *testing.T) {
	reg := metrics.NewRegistry("v0.0.0-test")
	set := metrics.New(reg)
	reason := ""
	s, err := edge.NewOps(edge.Limits{}, edge.Ops{Gatherer: reg, Checks: []edge.Check{
		{Name: "store", Ready: func() string { return "" }},
		{Name: "disk", Ready: func() string { return reason }},
	}}, &set.Edge, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Start(ln)
	get := func(path string) (int, string) {
		resp, err := http.Get("http://" + ln.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(resp.Body); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, b.String()
	}
	if code, body := get("/readyz"); code != 200 || !strings.Contains(body, `"ready":true`) {
		t.Errorf("readyz: %d %s", code, body)
	}
	reason = "12 MB left, the reserve is 1 GB"
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, `{"name":"disk","ready":false,"reason":"12 MB left`) {
		t.Errorf("readyz: %d %s", code, body)
	}
	if code, _ := get("/livez"); code != 200 {
		t.Errorf("livez: %d", code)
	}
	if code, body := get("/metrics"); code != 200 || !strings.Contains(body, `chumi_build_info{version="v0.0.0-test"} 1`) {
		t.Errorf("metrics: %d %.200s", code, body)
	}
	if code, _ := get("/debug/pprof/goroutine?debug=1"); code != 200 {
		t.Errorf("pprof: %d", code)
	}
	http.DefaultClient.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := s.Drain(ctx); err != nil {
		t.Error(err)
	}
}
