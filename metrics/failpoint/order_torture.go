//go:build torture

package failpoint

import (
	"encoding/json"
	"os"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// Standing is an order that has been taken.
type Standing struct {
	Order
	since time.Time
	// syncs counts those that came since.
	syncs atomic.Int64

	mu    sync.Mutex
	noted map[string]bool
}

// orderEvery is how soon a new order is taken.
const orderEvery = 5 * time.Millisecond

var (
	ordersFile = os.Getenv("CHUMI_ORDERS")
	standing   atomic.Pointer[Standing]
)

func init() {
	if ordersFile == "" {
		return
	}
	takeOrder()
	go func() {
		for range time.Tick(orderEvery) {
			takeOrder()
		}
	}()
}

// takeOrder reads the file and takes an order that is new.
func takeOrder() {
	b, err := os.ReadFile(ordersFile)
	if err != nil {
		return // none was given yet
	}
	s := &Standing{since: time.Now(), noted: map[string]bool{}}
	if json.Unmarshal(b, &s.Order) != nil {
		return
	}
	if old := standing.Load(); old != nil && old.Number == s.Number {
		return
	}
	standing.Store(s)
	s.note(Note{What: NoteTaken})
}

// Take has an order stand that is in no file, for tests.
func Take(o Order) { standing.Store(&Standing{Order: o, since: time.Now(), noted: map[string]bool{}}) }

// Orders returns the order that stands, nil for none.
func Orders() *Standing { return standing.Load() }

// note appends a line. A note that cannot be written is missed by who reads it.
func (s *Standing) note(n Note) {
	if ordersFile == "" {
		return
	}
	n.Number, n.Time = s.Number, time.Now()
	b, err := json.Marshal(n)
	if err != nil {
		return
	}
	f, err := os.OpenFile(ordersFile+NotesSuffix, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	_, _ = f.Write(append(b, '\n'))
	_ = f.Close()
}

// SyncFails counts a sync of a file, of which so many bytes are on the disk, and
// reports whether it must fail. The first time of each file is noted before.
func (s *Standing) SyncFails(file string, log bool, synced int64) bool {
	if s.SyncError == 0 || !log && !s.AnyFile || s.syncs.Add(1) < s.SyncError {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.noted[file] {
		s.noted[file] = true
		what := NoteFailed
		if s.Lie {
			what = NoteLied
		}
		s.note(Note{What: what, File: file, Synced: synced})
	}
	return true
}

// AwaitDisk returns when the disk does not stall any more.
func (s *Standing) AwaitDisk() { time.Sleep(s.Stall - time.Since(s.since)) }

// Now is the time of day, as far off as the order says. The monotonic reading is
// right, as after a step of a real clock.
func Now() time.Time {
	t := time.Now()
	if s := standing.Load(); s != nil && s.Clock != 0 {
		return setWall(t, s.Clock)
	}
	return t
}

// setWall moves the wall clock's part of a time that has a monotonic reading by
// whole seconds, which stand above 30 bits of nanoseconds in its first word. No
// function of package time does that: all keep both parts together.
func setWall(t time.Time, by time.Duration) time.Time {
	*(*int64)(unsafe.Pointer(&t)) += int64(by/time.Second) << 30 // #nosec G103 -- a torture build only; a test holds it against package time
	return t
}
