package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net"
	"os"
	"sync"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

// put makes a message durable under its id; it returns when it is.
type put func(ctx context.Context, id string, body []byte) error

// serveFast serves webhooks by fasthttp until the process ends.
func serveFast(s site, store put) (string, error) {
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		return "", err
	}
	v := newVerifier(s.secret)
	server := &fasthttp.Server{NoDefaultServerHeader: true, NoDefaultDate: true, Handler: func(ctx *fasthttp.RequestCtx) {
		body := ctx.PostBody()
		if !v.signed(ctx.Request.Header.Peek("X-Hub-Signature-256"), body) {
			ctx.SetStatusCode(fasthttp.StatusUnauthorized)
			return
		}
		id, err := fastID(body)
		switch {
		case err != nil:
			ctx.SetStatusCode(fasthttp.StatusBadRequest)
		case store(ctx, id, body) != nil:
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		}
	}}
	go func() { fatal(server.Serve(l)) }()
	return l.Addr().String(), nil
}

// fatal ends a process whose listener is gone.
func fatal(err error) {
	fmt.Fprintln(os.Stderr, "peers:", err)
	os.Exit(1)
}

// verifier checks signatures over the raw body, in constant time. Keyed hashes are
// kept: they cost more to key than to run.
type verifier struct{ hashes sync.Pool }

func newVerifier(secret string) *verifier {
	v := &verifier{}
	v.hashes.New = func() any { return hmac.New(sha256.New, []byte(secret)) }
	return v
}

func (v *verifier) signed(header, body []byte) bool {
	const prefix = "sha256="
	if len(header) != len(prefix)+2*sha256.Size || string(header[:len(prefix)]) != prefix {
		return false
	}
	var sent, sum [sha256.Size]byte
	if _, err := hex.Decode(sent[:], header[len(prefix):]); err != nil {
		return false
	}
	h := v.hashes.Get().(hash.Hash)
	h.Reset()
	h.Write(body)
	h.Sum(sum[:0])
	v.hashes.Put(h)
	return hmac.Equal(sum[:], sent[:])
}

// parsers are shared by handlers.
var parsers fastjson.ParserPool

// fastID is the id Meta gave the first message of a webhook.
func fastID(body []byte) (string, error) {
	p := parsers.Get()
	defer parsers.Put(p)
	v, err := p.ParseBytes(body)
	if err != nil {
		return "", err
	}
	id := v.GetStringBytes("entry", "0", "changes", "0", "value", "messages", "0", "id")
	if id == nil {
		id = v.GetStringBytes("entry", "0", "messaging", "0", "message", "mid")
	}
	if len(id) == 0 {
		return "", fmt.Errorf("a webhook without a message")
	}
	return string(id), nil
}
