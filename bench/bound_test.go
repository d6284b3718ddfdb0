package bench

import (
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

func TestBound_StoresEveryBodyAndItsKey(t *testing.T) {
	for _, kind := range []string{BoundPebble, BoundPebbleTuned} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			handler, stop, err := newBound(kind, dir, plain)
			if err != nil {
				t.Fatal(err)
			}
			l := Load{Addrs: []string{serve(t, handler)}, Requests: testRequests(200), Conns: 4, Measure: time.Minute, Limit: 200}
			s, err := l.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if s.Acks != 200 {
				t.Fatalf("acks %d of 200: %v %v", s.Acks, s.Refused, s.LastError)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			db, err := pebble.Open(dir+"/bound", &pebble.Options{Logger: quietLogger{}})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			it, err := db.NewIter(nil)
			if err != nil {
				t.Fatal(err)
			}
			keys := 0
			for it.First(); it.Valid(); it.Next() {
				keys++
			}
			if err := it.Close(); err != nil {
				t.Fatal(err)
			}
			if keys != 400 {
				t.Errorf("%d keys for 200 requests, want a body and a dedupe key each", keys)
			}
		})
	}
}

func TestBound_RefusesAWrongSignature(t *testing.T) {
	handler, _, err := newBound(BoundHMAC, t.TempDir(), plain)
	if err != nil {
		t.Fatal(err)
	}
	requests := testRequests(1)
	request := append([]byte(nil), requests.At(0)...)
	request[len(request)-5] ^= 1
	w := wire{addr: serve(t, handler)}
	defer w.close()
	if status, err := w.post(request); err != nil || status != 401 {
		t.Errorf("a changed body got %d, %v", status, err)
	}
	if status, err := w.post(requests.At(0)); err != nil || status != 200 {
		t.Errorf("the signed body got %d, %v", status, err)
	}
}

func TestBound_UnknownKindIsRefused(t *testing.T) {
	if _, _, err := newBound("redis", t.TempDir(), plain); err == nil {
		t.Error("no error")
	}
}

// plain leaves Pebble as it is.
func plain(*pebble.Options) {}
