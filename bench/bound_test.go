package bench

import (
	"bytes"
	"io"
	"os"
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

// A bound that was killed must still have what it acknowledged: the audit of each
// reads its store as it is, while it is open, as a kill would leave it.
func TestBound_AuditFindsEveryAcknowledgedMessage(t *testing.T) {
	dir := t.TempDir()
	handler, stop, err := newBound(BoundWAL, dir, plain)
	if err != nil {
		t.Fatal(err)
	}
	l := Load{Addrs: []string{serve(t, handler)}, Requests: testRequests(200), Conns: 4, Measure: time.Minute, Limit: 200}
	s, err := l.Run(t.Context())
	if err != nil || s.Acks != 200 {
		t.Fatalf("acks %d of 200: %v %v", s.Acks, s.LastError, err)
	}
	var ids bytes.Buffer
	if err := AuditBound(BoundWAL, dir, &ids); err != nil {
		t.Fatal(err)
	}
	if v := compareIDs(t, s.Acked, &ids); v.Checked != 200 || v.Lost != 0 || v.Twice != 0 {
		t.Errorf("of an open log: %+v", v)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(boundPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(boundPath(dir), append(text[:len(text)-3], text...), 0o600); err != nil {
		t.Fatal(err)
	}
	ids.Reset()
	if err := AuditBound(BoundWAL, dir, &ids); err != nil {
		t.Fatal(err)
	}
	if v := compareIDs(t, s.Acked, &ids); v.Lost != 1 || v.Twice != 0 {
		t.Errorf("of a log whose last record is broken: %+v, want one lost", v)
	}
}

func TestBound_AuditReadsPebble(t *testing.T) {
	dir := t.TempDir()
	handler, stop, err := newBound(BoundPebble, dir, plain)
	if err != nil {
		t.Fatal(err)
	}
	l := Load{Addrs: []string{serve(t, handler)}, Requests: testRequests(100), Conns: 4, Measure: time.Minute, Limit: 100}
	s, err := l.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	var ids bytes.Buffer
	if err := AuditBound(BoundPebble, dir, &ids); err != nil {
		t.Fatal(err)
	}
	if v := compareIDs(t, s.Acked, &ids); v.Checked != 100 || v.Lost != 0 || v.Twice != 0 {
		t.Errorf("%+v", v)
	}
}

func compareIDs(t *testing.T, acked *Bitset, ids io.Reader) Verdict {
	t.Helper()
	o := newOracle(acked.Len())
	if err := o.addIDs(ids); err != nil {
		t.Fatal(err)
	}
	return o.compare(acked, acked.Len())
}

func TestBound_UnknownKindIsRefused(t *testing.T) {
	if _, _, err := newBound("redis", t.TempDir(), plain); err == nil {
		t.Error("no error")
	}
}

// plain leaves Pebble as it is.
func plain(*pebble.Options) {}
