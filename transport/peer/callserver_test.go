package peer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

func TestCall_FromWhoIsNotOfTheCluster(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{Calls: echo})
	two := start(t, ca, 2, peer.Options{})
	for reason, pair := range map[peer.Reason]peer.Pair{
		peer.ReasonForeignCA:    issue(t, authority(t, "shop"), peer.NodeOptions{Node: 2}),
		peer.ReasonWrongCluster: forged(t, ca, "chumi://other/node/2"),
		peer.ReasonWrongNode:    issue(t, ca, peer.NodeOptions{Node: 1}),
	} {
		cert := keypair(t, pair)
		knock(t, one.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"},
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }})
		isRefused(t, one, reason)
	}
	meet(one, two)
	calls(t, two, 1, request("GET", "/", ""))
}

func TestCall_OfWhoIsNotAdmitted(t *testing.T) {
	ca := authority(t, "shop")
	var admitted atomic.Bool
	one := start(t, ca, 1, peer.Options{})
	two := start(t, ca, 2, peer.Options{Calls: echo, OpenPaths: []string{"/peer/join"}, Admit: func(node chat.NodeID) bool { return node != 1 || admitted.Load() }})
	meet(one, two)
	resp := calls(t, one, 2, request("POST", "/v1/x", ""))
	if resp.StatusCode() != 403 || !strings.Contains(string(resp.Body()), "node 1 has a certificate but") || string(resp.Header.Peek(peer.RefusedHeader)) != "not_admitted" {
		t.Errorf("the answer is\n%s", resp)
	}
	isRefused(t, two, peer.ReasonNotAdmitted)
	if resp := calls(t, one, 2, request("POST", "/peer/join", "")); resp.StatusCode() != 200 {
		t.Errorf("the answer is\n%s", resp)
	}
	if resp := calls(t, one, 2, request("POST", "/peer/join/x", "")); resp.StatusCode() != 403 {
		t.Errorf("the answer is\n%s", resp)
	}
	admitted.Store(true)
	if resp := calls(t, one, 2, request("POST", "/v1/x", "")); resp.StatusCode() != 200 {
		t.Errorf("the answer is\n%s", resp)
	}
}

func TestCall_TooManyAtOnce(t *testing.T) {
	ca := authority(t, "shop")
	release := make(chan struct{})
	one, three := start(t, ca, 1, peer.Options{CallsMax: 1}), start(t, ca, 3, peer.Options{})
	two := start(t, ca, 2, peer.Options{CallsMax: 1, Calls: func(_ chat.NodeID, ctx *fasthttp.RequestCtx) {
		ctx.Response.ImmediateHeaderFlush = true
		ctx.SetBodyStream(silent{release}, -1)
	}})
	meet(one, two, three)
	resp := &fasthttp.Response{StreamBody: true}
	if err := one.Call(t.Context(), 2, request("GET", "/", ""), resp); err != nil {
		t.Fatal(err)
	}
	fails(t, one, 2, chat.KindBusy, true)
	fails(t, three, 2, chat.KindUnavailable, true)
	isRefused(t, two, peer.ReasonTooMany)
	reaches(t, three, two)
	close(release)
	if _, err := io.ReadAll(resp.BodyStream()); err != nil {
		t.Error(err)
	}
	_ = resp.CloseBodyStream()
	calls(t, one, 2, request("GET", "/", ""))
}

func TestCall_TooLarge(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{CallBodyMax: 1 << 10})
	two := start(t, ca, 2, peer.Options{CallBodyMax: 1 << 10, Calls: func(from chat.NodeID, ctx *fasthttp.RequestCtx) {
		if string(ctx.Path()) == "/large" {
			ctx.SetBodyString(strings.Repeat("x", 1<<10+1))
			return
		}
		echo(from, ctx)
	}})
	meet(one, two)
	for _, size := range []int{1<<10 + 1, 4 << 20} {
		resp := calls(t, one, 2, request("POST", "/", strings.Repeat("x", size)))
		if resp.StatusCode() != 413 || string(resp.Header.Peek(peer.RefusedHeader)) != "oversized" {
			t.Errorf("%d bytes are answered with\n%s", size, resp)
		}
	}
	req := request("GET", "/", "")
	req.Header.Set("X-Large", strings.Repeat("x", 20<<10))
	if resp := calls(t, one, 2, req); resp.StatusCode() != 431 {
		t.Errorf("the answer is\n%s", resp)
	}
	isRefused(t, two, peer.ReasonOversized)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := one.Call(ctx, 2, request("GET", "/large", ""), &fasthttp.Response{}); !errors.Is(err, fasthttp.ErrBodyTooLarge) || peer.NotSent(err) {
		t.Errorf("an answer that is too large gives %v", err)
	}
	if resp := calls(t, one, 2, request("POST", "/", strings.Repeat("x", 1000))); resp.StatusCode() != 200 {
		t.Errorf("the answer is\n%s", resp)
	}
}

// faulty is a body that panics.
type faulty struct{}

func (faulty) Read([]byte) (int, error) { panic("a body") }

func TestCall_PanicStaysBehindThePort(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{})
	two := start(t, ca, 2, peer.Options{CallsMax: 1, Calls: func(from chat.NodeID, ctx *fasthttp.RequestCtx) {
		switch string(ctx.Path()) {
		case "/handler":
			ctx.SetBodyString("half an answer")
			panic("a handler")
		case "/body":
			ctx.SetBodyStream(faulty{}, -1)
			return
		}
		echo(from, ctx)
	}})
	meet(one, two)
	resp := calls(t, one, 2, request("GET", "/handler", ""))
	if resp.StatusCode() != 500 || string(resp.Header.Peek(peer.RefusedHeader)) != "panic" || strings.Contains(string(resp.Body()), "half") {
		t.Errorf("the answer is\n%s", resp)
	}
	isRefused(t, two, peer.ReasonPanic)
	// One place only: each connection that ended must have given it back.
	answered := func(path string) (err error) {
		eventually(t, "the place is free", func() bool {
			err = one.Call(t.Context(), 2, request("GET", path, ""), &fasthttp.Response{})
			return !peer.NotSent(err)
		})
		return err
	}
	if err := answered("/body"); chat.KindOf(err) != chat.KindUnknown {
		t.Errorf("a body that panics gives %v", err)
	}
	if err := answered("/"); err != nil {
		t.Error(err)
	}
	if lines := two.log.with("a handler of the peer port panicked", "node=1"); len(lines) != 2 {
		t.Errorf("the log says\n%s", two.log)
	}
}

func TestClose_EndsCalls(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{})
	two := start(t, ca, 2, peer.Options{Calls: func(_ chat.NodeID, ctx *fasthttp.RequestCtx) {
		ctx.Response.ImmediateHeaderFlush = true
		end := make(chan struct{})
		ctx.SetBodyStream(&closable{silent{end}}, -1)
	}})
	meet(one, two)
	open := func() *fasthttp.Response {
		resp := &fasthttp.Response{StreamBody: true}
		if err := one.Call(t.Context(), 2, request("GET", "/", ""), resp); err != nil {
			t.Fatal(err)
		}
		return resp
	}
	ends := func(resp *fasthttp.Response) {
		if _, err := io.ReadAll(resp.BodyStream()); err == nil {
			t.Error("a stream that was cut ends well")
		}
		_ = resp.CloseBodyStream()
	}
	first := open()
	two.Close()
	ends(first)

	two = start(t, ca, 2, peer.Options{Calls: func(_ chat.NodeID, ctx *fasthttp.RequestCtx) {
		ctx.Response.ImmediateHeaderFlush = true
		ctx.SetBodyStream(&closable{silent{make(chan struct{})}}, -1)
	}})
	meet(one, two)
	first = open()
	one.Close()
	ends(first)
}

// closable is a silent body that ends when it is closed.
type closable struct{ silent }

func (c *closable) Close() error {
	select {
	case <-c.end:
	default:
		close(c.end)
	}
	return nil
}
