package peer_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

// echo answers with who called, what and how.
func echo(from chat.NodeID, ctx *fasthttp.RequestCtx) {
	ctx.SetContentType("text/plain")
	ctx.Response.Header.Set("X-From", peer.Address(from))
	ctx.SetBodyString(string(ctx.Method()) + " " + string(ctx.RequestURI()) + " " + string(ctx.PostBody()))
}

// request is what a call sends.
func request(method, uri, body string) *fasthttp.Request {
	req := &fasthttp.Request{}
	req.Header.SetMethod(method)
	req.SetRequestURI(uri)
	req.SetBodyString(body)
	return req
}

// calls makes a call that is answered.
func calls(t *testing.T, from *node, to chat.NodeID, req *fasthttp.Request) *fasthttp.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp := &fasthttp.Response{}
	if err := from.Call(ctx, to, req, resp); err != nil {
		t.Fatalf("%v\n%s", err, from.log)
	}
	return resp
}

// fails makes a call that is not answered.
func fails(t *testing.T, from *node, to chat.NodeID, kind chat.ErrorKind, notSent bool) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := from.Call(ctx, to, request("POST", "/x", "y"), &fasthttp.Response{})
	if chat.KindOf(err) != kind || peer.NotSent(err) != notSent {
		t.Errorf("the call fails with %v, NotSent %v", err, peer.NotSent(err))
	}
	return err
}

func TestCall_IsAnsweredNextToStreams(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{Calls: echo})
	meet(one, two)
	reaches(t, one, two)
	for range 3 {
		resp := calls(t, one, 2, request("POST", "/a/b?c=d", "hello"))
		if resp.StatusCode() != 200 || string(resp.Body()) != "POST /a/b?c=d hello" || string(resp.Header.Peek("X-From")) != "node-1" {
			t.Errorf("the answer is\n%s", resp)
		}
	}
	relayed := request("PUT", "/v1/x", "z")
	relayed.Header.SetHost("api.example")
	if resp := calls(t, one, 2, relayed); string(resp.Body()) != "PUT /v1/x z" || string(relayed.Header.Host()) != "api.example" {
		t.Errorf("the answer is\n%s", resp)
	}
	if resp := calls(t, one, 2, request("HEAD", "/", "")); resp.StatusCode() != 200 || len(resp.Body()) != 0 {
		t.Errorf("the answer is\n%s", resp)
	}
	if n := count(one.metrics.Connects.WithLabelValues("call", "ok")); n != 1 {
		t.Errorf("%d connections were made, want one", n)
	}
	if out, in := count(one.metrics.Calls.WithLabelValues("out", "ok")), count(two.metrics.Calls.WithLabelValues("in", "ok")); out != 5 || in != 5 {
		t.Errorf("%d calls out, %d in", out, in)
	}
	reaches(t, two, one)
	if lines := two.log.with("refused"); len(lines) != 0 {
		t.Errorf("the log says\n%s", two.log)
	}
}

func TestCall_StreamedAnswerArrivesPieceByPiece(t *testing.T) {
	ca := authority(t, "shop")
	next := make(chan string)
	one := start(t, ca, 1, peer.Options{})
	two := start(t, ca, 2, peer.Options{Calls: func(_ chat.NodeID, ctx *fasthttp.RequestCtx) {
		ctx.SetContentType("text/event-stream")
		ctx.SetBodyStreamWriter(func(w *bufio.Writer) {
			for s := range next {
				_, _ = w.WriteString(s)
				_ = w.Flush()
			}
		})
	}})
	meet(one, two)
	resp := &fasthttp.Response{StreamBody: true}
	feed := func(s string) {
		t.Helper()
		select {
		case next <- s:
		case <-time.After(patience):
			t.Fatal("the handler does not write")
		}
	}
	first := make(chan struct{})
	go func() { defer close(first); next <- "data: 0\n" }()
	if err := one.Call(t.Context(), 2, request("GET", "/events", ""), resp); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(resp.BodyStream())
	for _, s := range []string{"data: 0\n", "data: 1\n", "data: 2\n"} {
		if s != "data: 0\n" {
			feed(s)
		} else {
			within(t, first)
		}
		if got, err := lines.ReadString('\n'); got != s || err != nil {
			t.Fatalf("%q came with %v, want %q", got, err, s)
		}
	}
	close(next)
	if rest, err := io.ReadAll(lines); len(rest) != 0 || err != nil {
		t.Errorf("%q and %v come after the end", rest, err)
	}
	if err := resp.CloseBodyStream(); err != nil {
		t.Error(err)
	}
	// What was read to its end leaves the connection for the next.
	next = make(chan string)
	close(next)
	calls(t, one, 2, request("GET", "/events", ""))
	if n := count(one.metrics.Connects.WithLabelValues("call", "ok")); n != 1 {
		t.Errorf("%d connections were made, want one", n)
	}
}

func TestCall_EndsWithItsContext(t *testing.T) {
	ca := authority(t, "shop")
	entered, release := make(chan struct{}, 2), make(chan struct{})
	one := start(t, ca, 1, peer.Options{})
	two := start(t, ca, 2, peer.Options{Calls: func(_ chat.NodeID, ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/stream" {
			ctx.Response.ImmediateHeaderFlush = true
			ctx.SetBodyStream(silent{release}, -1)
			return
		}
		entered <- struct{}{}
		<-release
	}})
	t.Cleanup(func() { close(release) })
	meet(one, two)

	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the client went")
	go func() { <-entered; cancel(why) }()
	err := one.Call(ctx, 2, request("GET", "/", ""), &fasthttp.Response{})
	if !errors.Is(err, why) || chat.KindOf(err) != chat.KindUnknown || peer.NotSent(err) {
		t.Errorf("the call ends with %v", err)
	}
	if err := one.Call(ctx, 2, request("GET", "/", ""), &fasthttp.Response{}); !errors.Is(err, why) || !peer.NotSent(err) {
		t.Errorf("a call with a context that is over ends with %v", err)
	}

	late, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := one.Call(late, 2, request("GET", "/", ""), &fasthttp.Response{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the call ends with %v", err)
	}

	ctx, cancel = context.WithCancelCause(t.Context())
	resp := &fasthttp.Response{StreamBody: true}
	if err := one.Call(ctx, 2, request("GET", "/stream", ""), resp); err != nil {
		t.Fatal(err)
	}
	go cancel(why)
	if _, err := io.ReadAll(resp.BodyStream()); !errors.Is(err, why) {
		t.Errorf("the body ends with %v", err)
	}
	_ = resp.CloseBodyStream()

	// Closing ends a read that is under way.
	if err := one.Call(t.Context(), 2, request("GET", "/stream", ""), resp); err != nil {
		t.Fatal(err)
	}
	body, read := resp.BodyStream(), make(chan error, 1)
	go func() { _, err := io.ReadAll(body); read <- err }()
	_ = resp.CloseBodyStream()
	if err := within(t, read); err == nil {
		t.Error("a body that was closed ends well")
	}
}

// silent is a body that does not come until it is closed, or till a channel is.
type silent struct{ end chan struct{} }

func (s silent) Read([]byte) (int, error) { <-s.end; return 0, io.EOF }

func TestCall_SaysWhenNothingWasSent(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{})
	gone := start(t, ca, 3, peer.Options{Calls: echo})
	other := start(t, authority(t, "other"), 4, peer.Options{Calls: echo})
	six := start(t, ca, 6, peer.Options{Calls: echo})
	meet(one, two, gone)
	gone.Close()
	one.SetPeers(map[chat.NodeID]string{2: two.addr, 3: gone.addr, 4: other.addr, 5: six.addr})
	for node, want := range map[chat.NodeID]string{2: "none of the port's protocols", 3: "node 3 at " + gone.addr, 4: "another authority", 5: "node 6 answers", 9: "not a peer", 1: "not a peer"} {
		if err := fails(t, one, node, chat.KindUnavailable, true); !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	isRefused(t, two, peer.ReasonHandshake)
	one.Close()
	fails(t, one, 2, chat.KindUnavailable, true)
}

func TestCallAddr_AnyNodeButThisOne(t *testing.T) {
	ca := authority(t, "shop")
	one, two := start(t, ca, 1, peer.Options{Calls: echo}), start(t, ca, 2, peer.Options{Calls: echo})
	other := start(t, authority(t, "shop"), 3, peer.Options{Calls: echo})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, stream := range []bool{false, true} {
		resp := &fasthttp.Response{StreamBody: stream}
		node, err := one.CallAddr(ctx, two.addr, request("POST", "/peer/join", "1"), resp)
		if node != 2 || err != nil {
			t.Fatalf("node %d, %v", node, err)
		}
		if stream {
			text, err := io.ReadAll(resp.BodyStream())
			if string(text) != "POST /peer/join 1" || err != nil {
				t.Errorf("%q %v", text, err)
			}
			_ = resp.CloseBodyStream()
		} else if string(resp.Body()) != "POST /peer/join 1" {
			t.Errorf("the answer is\n%s", resp)
		}
	}
	for addr, reason := range map[string]peer.Reason{one.addr: peer.ReasonWrongNode, other.addr: peer.ReasonForeignCA} {
		node, err := one.CallAddr(ctx, addr, request("GET", "/", ""), &fasthttp.Response{})
		if node != 0 || !peer.NotSent(err) || peer.ReasonOf(err) != reason {
			t.Errorf("node %d, %v", node, err)
		}
	}
}

// kept tells when a connection that was dialled is closed, and can be dead.
type kept struct {
	net.Conn
	closed chan struct{}
	once   atomic.Bool
	dead   *atomic.Bool
}

func (c *kept) Write(b []byte) (int, error) {
	if c.dead != nil && c.dead.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return c.Conn.Write(b)
}

func (c *kept) Close() error {
	if !c.once.Swap(true) {
		c.closed <- struct{}{}
	}
	return c.Conn.Close()
}

func TestCall_DropsWhatItKept(t *testing.T) {
	ca := authority(t, "shop")
	closed := make(chan struct{}, 8)
	one := start(t, ca, 1, peer.Options{Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		return &kept{Conn: c, closed: closed}, nil
	}})
	now := &clock{now: time.Now()}
	two := start(t, ca, 2, peer.Options{Calls: echo, Now: now.Now})
	peers := map[chat.NodeID]string{2: two.addr}
	one.SetPeers(peers)
	calls(t, one, 2, request("GET", "/", ""))

	// The node is somewhere else now.
	moved := start(t, ca, 2, peer.Options{Calls: func(_ chat.NodeID, ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(202) }})
	one.SetPeers(map[chat.NodeID]string{2: moved.addr})
	within(t, closed)
	if resp := calls(t, one, 2, request("GET", "/", "")); resp.StatusCode() != 202 {
		t.Errorf("the answer is\n%s", resp)
	}

	// It stops: nothing is sent into a connection that has ended.
	moved.Close()
	within(t, closed)
	fails(t, one, 2, chat.KindUnavailable, true)

	// It is not a peer any more.
	one.SetPeers(peers)
	calls(t, one, 2, request("GET", "/", ""))
	one.SetPeers(nil)
	within(t, closed)
	fails(t, one, 2, chat.KindUnavailable, true)

	// A connection is not kept for ever: its certificate may have ended.
	one.SetPeers(peers)
	calls(t, one, 2, request("GET", "/", ""))
	now.Add(peer.DefaultConnAgeMax + time.Second)
	calls(t, one, 2, request("GET", "/", ""))
	within(t, closed)
}

func TestCall_IsRepeatedOnlyWhenNothingHadLeft(t *testing.T) {
	ca := authority(t, "shop")
	var dead []*atomic.Bool
	one := start(t, ca, 1, peer.Options{Dial: func(ctx context.Context, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return nil, err
		}
		dead = append(dead, &atomic.Bool{})
		return &kept{Conn: c, closed: make(chan struct{}, 1), dead: dead[len(dead)-1]}, nil
	}})
	var served atomic.Int64
	entered := make(chan struct{})
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	two := start(t, ca, 2, peer.Options{Calls: func(from chat.NodeID, ctx *fasthttp.RequestCtx) {
		served.Add(1)
		if string(ctx.Path()) == "/hang" {
			entered <- struct{}{}
			<-release
		}
		echo(from, ctx)
	}})
	one.SetPeers(map[chat.NodeID]string{2: two.addr})
	calls(t, one, 2, request("POST", "/", "1"))
	dead[0].Store(true)
	if resp := calls(t, one, 2, request("POST", "/", "2")); string(resp.Body()) != "POST / 2" || len(dead) != 2 {
		t.Errorf("over %d connections came\n%s", len(dead), resp)
	}
	// A body that can be read once is not sent again, but nothing had left.
	dead[1].Store(true)
	req := request("POST", "/", "")
	req.SetBodyStream(bytes.NewReader([]byte("3")), 1)
	if err := one.Call(t.Context(), 2, req, &fasthttp.Response{}); !peer.NotSent(err) || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the call fails with %v", err)
	}
	if n := served.Load(); n != 2 {
		t.Errorf("%d calls were served", n)
	}
	// What had left may have been executed, and is not sent again.
	failed := make(chan error, 1)
	go func() { failed <- one.Call(context.Background(), 2, request("GET", "/hang", ""), &fasthttp.Response{}) }()
	within(t, entered)
	go two.Close() // waits for the handler
	if err := within(t, failed); chat.KindOf(err) != chat.KindUnknown || peer.NotSent(err) {
		t.Errorf("the call fails with %v", err)
	}
	if n := served.Load(); n != 3 {
		t.Errorf("%d calls were served", n)
	}
}
