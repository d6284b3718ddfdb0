package peer_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

// source yields a known number of random bytes and tells how many were taken.
type source struct {
	rnd  *rand.ChaCha8
	left int
	read atomic.Int64
}

func newSource(bytes int) *source { return &source{rnd: rand.NewChaCha8([32]byte{1}), left: bytes} }

func (s *source) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(len(b), s.left)
	_, _ = s.rnd.Read(b[:n])
	s.left -= n
	s.read.Add(int64(n))
	return n, nil
}

func digest(t *testing.T, r io.Reader) [32]byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return [32]byte(h.Sum(nil))
}

func TestSnapshot_StreamsInBoundedMemory(t *testing.T) {
	ca := authority(t, "shop")
	const bytes = 50<<20 + 12345
	// What is read from the source and not yet by the handler is in memory
	// somewhere: chunks held on both ends, and the window of the connection.
	const aheadMax = 6 << 20
	body := newSource(bytes)
	var ahead, largest int64
	var sum [32]byte
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{
		Snapshot: func(_ context.Context, from chat.NodeID, header []byte, in io.Reader) error {
			if from != 1 || string(header) != "a header" {
				t.Errorf("from %d: %q", from, header)
			}
			h, buf, total := sha256.New(), make([]byte, 1<<20), int64(0)
			for {
				n, err := in.Read(buf)
				h.Write(buf[:n])
				total += int64(n)
				largest = max(largest, int64(n))
				ahead = max(ahead, body.read.Load()-total)
				if err == io.EOF {
					break
				}
				if err != nil {
					return err
				}
			}
			sum = [32]byte(h.Sum(nil))
			return nil
		}})
	meet(one, two)
	if err := one.SendSnapshot(t.Context(), 2, []byte("a header"), body); err != nil {
		t.Fatal(err)
	}
	if sum != digest(t, newSource(bytes)) {
		t.Error("other bytes came")
	}
	if largest > peer.ChunkMax || ahead > aheadMax {
		t.Errorf("the largest piece was %d, at most %d; %d bytes were on the way, at most %d", largest, peer.ChunkMax, ahead, aheadMax)
	}
	if count(one.metrics.Snapshots.WithLabelValues("out", "ok")) != 1 || count(two.metrics.Snapshots.WithLabelValues("in", "ok")) != 1 ||
		count(two.metrics.Bytes.WithLabelValues("snapshot", "in")) != bytes {
		t.Error("it is not counted")
	}
}

// A receiver that does not read stops the sender after a bounded number of bytes.
func TestSnapshot_ASlowReceiverHoldsTheSender(t *testing.T) {
	ca := authority(t, "shop")
	held := make(chan struct{})
	one, two := start(t, ca, 1, peer.Options{StallTimeout: 300 * time.Millisecond}), start(t, ca, 2, peer.Options{
		Snapshot: func(ctx context.Context, _ chat.NodeID, _ []byte, _ io.Reader) error {
			<-ctx.Done()
			close(held)
			return ctx.Err()
		}})
	meet(one, two)
	body := newSource(1 << 30)
	err := one.SendSnapshot(t.Context(), 2, nil, body)
	if chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("the sender says %v", err)
	}
	if n := body.read.Load(); n > 6<<20 {
		t.Errorf("%d bytes were taken from the source for a receiver that read none", n)
	}
	within(t, held)
	reaches(t, one, two)
}

func TestSnapshot_EndsWithTheHandlersAnswer(t *testing.T) {
	ca := authority(t, "shop")
	installing, install := make(chan struct{}), make(chan error)
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{
		Snapshot: func(_ context.Context, _ chat.NodeID, _ []byte, in io.Reader) error {
			if _, err := io.Copy(io.Discard, in); err != nil {
				return err
			}
			installing <- struct{}{}
			return <-install
		}})
	meet(one, two)
	for _, answer := range []error{nil, errors.New("the disk is full")} {
		done := make(chan error, 1)
		go func() { done <- one.SendSnapshot(context.Background(), 2, nil, newSource(1000)) }()
		within(t, installing)
		select {
		case err := <-done:
			t.Fatalf("it ended before the installation: %v", err)
		default:
		}
		install <- answer
		err := within(t, done)
		if (err == nil) != (answer == nil) || answer != nil && !contains(err, "the disk is full") {
			t.Errorf("it ended with %v, the handler said %v", err, answer)
		}
	}
	if len(two.log.with("a snapshot was not installed", "the disk is full")) != 1 {
		t.Errorf("the log says:\n%s", two.log)
	}
}

func contains(err error, part string) bool {
	for ; err != nil; err = errors.Unwrap(err) {
		if s, ok := status.FromError(err); ok && s.Message() == part {
			return true
		}
	}
	return false
}

// broken is a body that ends with an error once the handler has begun.
type broken struct {
	io.Reader
	began <-chan struct{}
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		select {
		case <-b.began:
		case <-time.After(patience):
		}
		err = errors.New("a bad sector")
	}
	return n, err
}

// Damage is an error on both sides, even for a handler that does not look.
func TestSnapshot_DamageIsAnErrorOnBothSides(t *testing.T) {
	ca := authority(t, "shop")
	chunk, header := append([]byte{2}, "some bytes"...), []byte{1, 'h'}
	end := func(length uint64, of string) []byte {
		sum := sha256.Sum256([]byte(of))
		return append(binary.BigEndian.AppendUint64([]byte{3}, length), sum[:]...)
	}
	for _, c := range []struct {
		name   string
		send   [][]byte
		reason peer.Reason
		code   codes.Code
	}{
		{"checksum", [][]byte{header, chunk, end(10, "other bytes")}, "", codes.DataLoss},
		{"length", [][]byte{header, chunk, end(11, "some bytes")}, "", codes.DataLoss},
		{"cut before its end", [][]byte{header, chunk}, "", codes.DataLoss},
		{"short end", [][]byte{header, chunk, {3, 1}}, peer.ReasonMalformed, codes.InvalidArgument},
		{"two headers", [][]byte{header, header}, peer.ReasonMalformed, codes.InvalidArgument},
		{"empty packet", [][]byte{header, {}}, peer.ReasonMalformed, codes.InvalidArgument},
		{"large chunk", [][]byte{header, make2(2, peer.ChunkMax+2)}, peer.ReasonOversized, codes.InvalidArgument},
		{"panic", [][]byte{{1, 'p'}}, peer.ReasonPanic, codes.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			seen := make(chan error, 1)
			one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{
				Snapshot: func(_ context.Context, _ chat.NodeID, header []byte, in io.Reader) error {
					if string(header) == "p" {
						panic("as a bug would")
					}
					_, err := io.Copy(io.Discard, in)
					seen <- err
					return nil
				}})
			meet(one, two)
			s := rawStream(t, dialRaw(t, ca, 1, two), "/chumi.peer.Port/Snapshot")
			for _, b := range c.send {
				send(t, s, b)
			}
			_ = s.CloseSend()
			if err := ends(s); status.Code(err) != c.code {
				t.Errorf("the sender hears %v", err)
			}
			if c.reason != peer.ReasonPanic {
				if err := within(t, seen); chat.KindOf(err) != chat.KindCorrupt {
					t.Errorf("the handler read to %v", err)
				}
			}
			if c.reason != "" {
				isRefused(t, two, c.reason)
			}
			if err := one.SendSnapshot(t.Context(), 2, nil, newSource(10)); err != nil {
				t.Errorf("a good one afterwards: %v", err)
			}
		})
	}
}

func make2(kind byte, n int) []byte {
	b := make([]byte, n)
	b[0] = kind
	return b
}

func TestSnapshot_ASenderThatStopsIsAnErrorToTheHandler(t *testing.T) {
	ca := authority(t, "shop")
	began, seen := make(chan struct{}, 1), make(chan error, 1)
	take := func(_ context.Context, _ chat.NodeID, _ []byte, in io.Reader) error {
		began <- struct{}{}
		_, err := io.Copy(io.Discard, in)
		seen <- err
		return err
	}
	one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{Snapshot: take})
	three := start(t, ca, 3, peer.Options{Snapshot: take, StallTimeout: 100 * time.Millisecond})
	meet(one, two, three)
	if err := one.SendSnapshot(t.Context(), 2, nil, broken{newSource(1 << 20), began}); err == nil {
		t.Error("the sender says nothing of a source that failed")
	}
	if err := within(t, seen); chat.KindOf(err) != chat.KindCorrupt {
		t.Errorf("the source failed: the handler read to %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- one.SendSnapshot(ctx, 2, nil, r) }()
	if _, err := w.Write(make([]byte, 1<<20)); err != nil {
		t.Fatal(err)
	}
	within(t, began)
	cancel()
	if err := within(t, seen); chat.KindOf(err) != chat.KindCorrupt {
		t.Errorf("it was cancelled: the handler read to %v", err)
	}
	_ = w.Close()
	if err := within(t, done); err == nil {
		t.Error("a cancelled snapshot ended well")
	}

	// The receiver gives up on one that stands still; its sender learns why.
	r, w = io.Pipe()
	go func() { done <- one.SendSnapshot(t.Context(), 3, nil, r) }()
	within(t, began)
	if err := within(t, seen); chat.KindOf(err) != chat.KindCorrupt {
		t.Errorf("it stalled: the handler read to %v", err)
	}
	go func() { _, _ = io.Copy(w, newSource(1<<30)); _ = w.Close() }()
	if err := within(t, done); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("the sender says %v", err)
	}
	_ = r.Close()
}

func TestSnapshot_WhoIsNotThere(t *testing.T) {
	ca := authority(t, "shop")
	hold := make(chan struct{})
	began := make(chan struct{}, 2)
	one, two, three := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{}), start(t, ca, 3, peer.Options{SnapshotsMax: 1,
		Snapshot: func(_ context.Context, _ chat.NodeID, _ []byte, in io.Reader) error {
			began <- struct{}{}
			<-hold
			_, err := io.Copy(io.Discard, in)
			return err
		}})
	meet(one, two, three)
	if err := one.SendSnapshot(t.Context(), 9, nil, newSource(1)); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("an unknown node: %v", err)
	}
	if err := one.SendSnapshot(t.Context(), 2, nil, newSource(1)); err == nil {
		t.Error("a node without a handler takes snapshots")
	}
	var both sync.WaitGroup
	both.Go(func() {
		if err := one.SendSnapshot(context.Background(), 3, nil, newSource(1)); err != nil {
			t.Errorf("the first: %v", err)
		}
	})
	within(t, began)
	if err := two.SendSnapshot(t.Context(), 3, nil, newSource(1)); chat.KindOf(err) != chat.KindBusy {
		t.Errorf("one too many: %v", err)
	}
	close(hold)
	both.Wait()
	three.Close()
	if err := two.SendSnapshot(t.Context(), 3, nil, newSource(1)); chat.KindOf(err) != chat.KindUnavailable {
		t.Errorf("a closed node: %v", err)
	}
}
