package bench

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/chumiai/chumi/bench/child"
	"github.com/cockroachdb/pebble/v2"
	"github.com/valyala/fasthttp"
)

// The bounds: what the simplest handlers reach that do a part of the engine's
// work. Each runs in a process of its own.
const (
	// BoundNull answers.
	BoundNull = "null"
	// BoundHMAC verifies the signature and answers.
	BoundHMAC = "hmac"
	// BoundPebble verifies, writes the raw body and a 16-byte dedupe key in one
	// batch, blindly, waits for pebble.Sync, and answers. Pebble's defaults.
	BoundPebble = "pebble"
	// BoundPebbleTuned is the same with the options that the engine gives Pebble.
	BoundPebbleTuned = "pebble-tuned"
	// BoundWAL verifies, appends the raw body to one file that is flushed once for
	// all that wait, and answers.
	BoundWAL = "wal"
)

// ServeBound serves a bound on addr, with data in dir, until SIGTERM or SIGINT.
// tune gives Pebble the engine's options, for BoundPebbleTuned. It prints
// "ready edge=<address>" on stderr when it accepts.
func ServeBound(kind, addr, dir string, tune func(*pebble.Options)) error {
	handler, stop, err := newBound(kind, dir, tune)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	server := &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true, NoDefaultDate: true}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(os.Stderr, "ready edge=%s\n", listener.Addr())
	select {
	case err = <-served:
	case <-signals:
		// Close the store only when no handler can write any more.
		if err = server.Shutdown(); err == nil {
			err = <-served
		}
	}
	if stopErr := stop(); err == nil {
		err = stopErr
	}
	return err
}

// boundPath is where a bound keeps its store below dir.
func boundPath(dir string) string { return filepath.Join(dir, "bound") }

// newBound builds a bound's handler and the function that closes its store.
func newBound(kind, dir string, tune func(*pebble.Options)) (fasthttp.RequestHandler, func() error, error) {
	verify := newVerifier(child.NewWorld(1).Apps[0].Secret)
	options := &pebble.Options{Logger: quietLogger{}}
	switch kind {
	case BoundNull:
		return func(*fasthttp.RequestCtx) {}, func() error { return nil }, nil
	case BoundHMAC:
		return func(ctx *fasthttp.RequestCtx) { verify(ctx) }, func() error { return nil }, nil
	case BoundWAL:
		log, err := openWAL(boundPath(dir))
		if err != nil {
			return nil, nil, err
		}
		return func(ctx *fasthttp.RequestCtx) {
			if _, ok := verify(ctx); ok && log.append(ctx.PostBody()) != nil {
				ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
			}
		}, log.close, nil
	case BoundPebble:
	case BoundPebbleTuned:
		tune(options)
	default:
		return nil, nil, fmt.Errorf("bench: unknown bound %q; known: %v", kind,
			[]string{BoundNull, BoundHMAC, BoundWAL, BoundPebble, BoundPebbleTuned})
	}
	db, err := pebble.Open(boundPath(dir), options)
	if err != nil {
		return nil, nil, fmt.Errorf("bench: open bound: %w", err)
	}
	var seq atomic.Uint64
	handler := func(ctx *fasthttp.RequestCtx) {
		sum, ok := verify(ctx)
		if !ok {
			return
		}
		var key [9]byte
		key[0] = 'm'
		binary.BigEndian.PutUint64(key[1:], seq.Add(1))
		var dedupe [17]byte
		dedupe[0] = 'd'
		copy(dedupe[1:], sum[:16])
		batch := db.NewBatch()
		_ = batch.Set(key[:], ctx.PostBody(), nil)
		_ = batch.Set(dedupe[:], nil, nil)
		if err := batch.Commit(pebble.Sync); err != nil {
			ctx.SetStatusCode(fasthttp.StatusServiceUnavailable)
		}
		_ = batch.Close()
	}
	return handler, db.Close, nil
}

// newVerifier checks the signature as an edge must: over the raw body, in
// constant time. It answers 401 itself.
func newVerifier(secret string) func(*fasthttp.RequestCtx) (sum [sha256.Size]byte, ok bool) {
	macs := newMACPool(secret)
	return func(ctx *fasthttp.RequestCtx) (sum [sha256.Size]byte, ok bool) {
		const prefix = "sha256="
		header := ctx.Request.Header.Peek("X-Hub-Signature-256")
		var sent [sha256.Size]byte
		if len(header) == len(prefix)+2*sha256.Size && string(header[:len(prefix)]) == prefix {
			_, err := hex.Decode(sent[:], header[len(prefix):])
			ok = err == nil
		}
		sum = macs.sum(ctx.PostBody())
		if ok = ok && hmac.Equal(sum[:], sent[:]); !ok {
			ctx.SetStatusCode(fasthttp.StatusUnauthorized)
		}
		return sum, ok
	}
}

// quietLogger keeps Pebble's chatter off the ready pipe.
type quietLogger struct{}

func (quietLogger) Infof(string, ...any)  {}
func (quietLogger) Errorf(string, ...any) {}
func (quietLogger) Fatalf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}
