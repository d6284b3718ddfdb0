package actors

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestWalker_GivesWayToDeliveries: while the node is short of processor, what falls
// due waits, the floor apart, and deliveries go on; once it is not, everybody gets
// the answer that is owed, within a minute.
func TestWalker_GivesWayToDeliveries(t *testing.T) {
	const people = 3000
	var strained atomic.Bool
	strain := func() Strain {
		if strained.Load() {
			return Strain{Usual: time.Millisecond, Long: 50 * time.Millisecond}
		}
		return Strain{}
	}
	inBubble(t, func(o *Options) { o.Strain = strain }, func(t *testing.T, s *System, store *memStore, graph *ledgerGraph) {
		store.mu.Lock()
		store.set.QuietPeriod = 10 * time.Second
		store.mu.Unlock()
		strained.Store(true)
		for i := range people {
			deliver(t, s, textFrom(fmt.Sprint(10_000+i), fmt.Sprint("wamid.", i), "hello"))
		}
		// Ten seconds until they are due, thirty for the pace to fall and for what was
		// begun before to leave: the number has a pace too.
		settle(40 * time.Second)
		before := len(graph.texts())
		settle(10 * time.Second)
		if n := float64(len(graph.texts())-before) / 10; n < throttleFloor-2 || n > throttleFloor+2 {
			t.Errorf("%.1f replies a second under strain, want the floor of %.0f", n, throttleFloor)
		}
		deliver(t, s, textFrom("20000", "wamid.live", "is anybody there?"))
		strained.Store(false)
		settle(time.Minute)
		if n := len(graph.texts()); n != people+1 {
			t.Errorf("%d replies a minute after the strain ended, want %d", n, people+1)
		}
	})
}

// TestThrottle_ClosesAndOpens: strain brings the pace down to the floor, its end
// brings it back to the highest, slowly while the node is full.
func TestThrottle_ClosesAndOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var strain, usual atomic.Int64
		var pace float64
		th := newThrottle(realClock{}, func() Strain { return Strain{time.Duration(usual.Load()), time.Duration(strain.Load())} }, func(p float64) { pace = p })
		ctx, cancel := context.WithCancel(t.Context())
		var begun atomic.Int64
		for range 50 {
			go func() {
				for th.pass(ctx, "acme", workCall) {
					begun.Add(1)
				}
			}()
		}
		// second tells how many begin in the next.
		second := func() float64 {
			before := begun.Load()
			settle(time.Second)
			return float64(begun.Load() - before)
		}
		near := func(when string, got, want float64) {
			t.Helper()
			if got < 0.98*want-1 || got > 1.02*want+1 {
				t.Errorf("%s: %v began in a second, want %v; pace %v", when, got, want, pace)
			}
		}
		near("without strain", second(), th.most)
		usual.Store(int64(usualMax + 1))
		strain.Store(int64(strainMax + 1))
		settle(10 * time.Second)
		near("after 10 s of strain", second(), throttleFloor)
		strain.Store(int64(strainMax))
		settle(10 * time.Second)
		if n := second(); n < 1.2*throttleFloor || n > 2*throttleFloor {
			t.Errorf("%v began in a second, after 10 s without strain on a node that is full; pace %v", n, pace)
		}
		usual.Store(int64(usualMax))
		settle(18 * time.Second)
		near("18 s after it is not full any more", second(), th.most)
		cancel()
		synctest.Wait()
	})
}

// TestThrottle_ShortStrainCutsNothing: a burst of something else, now and then, does not
// hold back answers for seconds. What comes more often than that does, and so does one
// that lasts, on a node that is full.
func TestThrottle_ShortStrainCutsNothing(t *testing.T) {
	for _, tc := range []struct {
		name   string
		every  int // which beats are strained
		strain time.Duration
		roomy  int // which beats have room
		cut    bool
	}{
		{"one strained beat in a second and more", throttleMemory, strainHigh, 1000, false},
		{"two in a second", throttleMemory - 1, strainMax + 1, 1000, true},
		{"a long one", 50, strainHigh + 1, 1000, true},
		{"a long one, half of the time full", 50, strainHigh + 1, 2, true},
		{"long ones where there is room", 3, 10 * strainHigh, 1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				beats, cut := 0, false
				th := newThrottle(realClock{}, func() (now Strain) {
					if beats++; beats%tc.every == 0 {
						now.Long = tc.strain
					}
					now.Usual = usualMax
					if beats%tc.roomy != 0 {
						now.Usual++
					}
					return now
				}, func(pace float64) { cut = cut || pace < throttlePerProcessor })
				for range 1000 {
					if !th.pass(t.Context(), "acme", workCall) {
						t.Fatal("not let pass")
					}
					time.Sleep(10 * time.Millisecond)
				}
				if beats < 50 || cut != tc.cut {
					t.Errorf("after %d beats, one of %d strained for %v, the pace was cut: %t, want %t", beats, tc.every, tc.strain, cut, tc.cut)
				}
			})
		})
	}
}

// TestThrottle_WhoGaveUpCostsNothing: of a crowd that waits and leaves, nothing is
// paid for when others come.
func TestThrottle_WhoGaveUpCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(realClock{}, func() Strain { return Strain{time.Second, time.Second} }, func(float64) {})
		ctx, cancel := context.WithCancel(t.Context())
		for th.pace > throttleFloor {
			th.pass(ctx, "acme", workCall)
		}
		for range 1000 {
			go th.pass(ctx, "acme", workCall)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		began := time.Now()
		if !th.pass(t.Context(), "acme", workCall) || time.Since(began) > time.Second {
			t.Errorf("waited %v behind people who had left", time.Since(began))
		}
	})
}

// TestThrottle_TenantsTakeTurns: who has little to do does not wait behind who has much,
// and ticks not behind calls.
func TestThrottle_TenantsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := newThrottle(realClock{}, func() Strain { return Strain{time.Second, time.Second} }, func(float64) {})
		ctx, cancel := context.WithCancel(t.Context())
		for th.pace > throttleFloor {
			th.pass(ctx, "busy", workCall)
		}
		for range 1000 {
			go th.pass(ctx, "busy", workCall)
		}
		synctest.Wait()
		began := time.Now()
		for range 10 {
			th.pass(ctx, "quiet", workCall)
		}
		// One of the busy tenant's between two, and one that was under way.
		if took, most := time.Since(began), 22*time.Second/throttleFloor; took > most {
			t.Errorf("ten calls took %v beside a tenant with a thousand, want at most %v", took, most)
		}
		began = time.Now()
		th.pass(ctx, "busy", workTick)
		if took, most := time.Since(began), 3*time.Second/throttleFloor; took > most {
			t.Errorf("a tick waited %v behind calls, want at most %v", took, most)
		}
		cancel()
		synctest.Wait()
		th.pass(t.Context(), "quiet", workCall)
		th.mu.Lock()
		defer th.mu.Unlock()
		if len(th.queues) != 0 || len(th.turns) != 0 {
			t.Errorf("%d queues and %d turns are left of people who have gone", len(th.queues), len(th.turns))
		}
	})
}
