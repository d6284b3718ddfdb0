package persistence

import (
	"context"
	"encoding/binary"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// selfChecked is a store whose clock a test moves.
func selfCheckedStore(t *testing.T) (s *Store, ahead *atomic.Int64) {
	t.Helper()
	ahead = new(atomic.Int64)
	o := testOptions(t, vfs.NewMem())
	o.Clock = func() time.Time { return epoch0.Add(time.Duration(ahead.Load())) }
	s = openTest(t, o)
	t.Cleanup(func() { _ = s.Close() })
	ensure(t, s, "acme", "bolt")
	return s, ahead
}

// acting is that no tenant is held.
func acting(chat.TenantID) bool { return false }

// found are the violations that the instruments show after a pass.
func found(s *Store) map[string]int {
	out := map[string]int{}
	for _, p := range metrics.Promises {
		if n := testutil.ToFloat64(s.opts.Metrics.SelfCheck.Violations.WithLabelValues(p)); n > 0 {
			out[p] = int(n)
		}
	}
	return out
}

// TestSelfCheck_TurnsRed breaks each promise in a store, and expects the gauge of that
// promise to show it. All are at 0 before.
func TestSelfCheck_TurnsRed(t *testing.T) {
	for name, c := range map[string]struct {
		want string
		// also is what the same damage breaks besides.
		also string
		// wreck damages rows; late moves the clock.
		wreck func(v *vandal)
		late  time.Duration
	}{
		"agenda lost": {want: "accept_outcome", wreck: func(v *vandal) {
			v.remove(appendDue(nil, v.s.Group("acme"), millis(v.k.state.Armed), "acme", v.conv))
		}},
		"event lost": {want: "accept_outcome", wreck: func(v *vandal) { v.remove(v.r.feed(nil, 1)) }},
		"work forgotten": {want: "turn_bill", also: "accept_outcome", wreck: func(v *vandal) {
			v.restate(func(c *chat.Conversation) { c.Work = nil })
		}},
		"budget leaked": {want: "turn_bill", wreck: func(v *vandal) {
			v.put(v.r.counter(nil, chat.BudgetCounter(epoch0)), binary.BigEndian.AppendUint64(nil, 62))
		}},
		"turn not counted": {want: "turn_bill", wreck: func(v *vandal) {
			v.put(v.r.counter(nil, "turns/2026-11-01/wa"), binary.BigEndian.AppendUint64(nil, 7))
		}},
		"silence": {want: "silence", late: 10 * time.Minute},
		"inbox lost": {want: "stored", wreck: func(v *vandal) {
			v.remove(v.r.view(nil, millis(v.k.state.Active), v.conv))
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s, ahead := selfCheckedStore(t)
			k := tooled(t, s)
			ahead.Store(int64(30 * time.Second))
			s.selfCheckPass(t.Context(), newPace(0), acting)
			if got := found(s); len(got) > 0 {
				t.Fatalf("a sound store shows %v", got)
			}
			if testutil.ToFloat64(s.opts.Metrics.SelfCheck.Passed) == 0 || testutil.ToFloat64(s.opts.Metrics.SelfCheck.Rows) == 0 {
				t.Error("the pass is not shown")
			}
			if got := testutil.ToFloat64(s.opts.Metrics.SelfCheck.Owed.WithLabelValues("turn")); got != 1 {
				t.Errorf("%v turns are owed, want 1", got)
			}
			if c.wreck != nil {
				tn, err := s.tenantAt("acme")
				mustPut(t, err)
				v := &vandal{T: t, s: s, k: k, b: s.db.NewBatch(), tenant: tn, r: tn.realm}
				v.conv, _ = conversationBytes(k.place.Conversation)
				v.person, _ = contactBytes(k.place.Contact)
				c.wreck(v)
				mustPut(t, v.b.Commit(pebble.Sync))
			}
			ahead.Add(int64(c.late))
			s.selfCheckPass(t.Context(), newPace(0), acting)
			got := found(s)
			if got[c.want] == 0 {
				t.Errorf("shows %v, want %s", got, c.want)
			}
			delete(got, c.want)
			delete(got, c.also)
			if len(got) > 0 {
				t.Errorf("shows %v besides", got)
			}
		})
	}
}

// TestSelfCheck_SendsHaveAnEnd leaves an attempt without one.
func TestSelfCheck_SendsHaveAnEnd(t *testing.T) {
	s, ahead := selfCheckedStore(t)
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	set := &chat.Settings{}
	set.EnsureDefaults()
	now := epoch0.Add(time.Minute)
	k.step(t, set, now, chat.MemberSend{Type: chat.TypeText, Text: "hello"})
	k.step(t, set, now, chat.AttemptDue{Message: k.state.Outbox[0].Message})
	if k.state.Outbox[0].State != chat.SendAttempting {
		t.Fatalf("the send is %v", k.state.Outbox[0].State)
	}
	ahead.Store(int64(time.Minute))
	s.selfCheckPass(t.Context(), newPace(0), acting)
	if got := found(s); len(got) > 0 {
		t.Fatalf("an attempt under way shows %v", got)
	}
	ahead.Store(int64(time.Hour))
	s.selfCheckPass(t.Context(), newPace(0), func(id chat.TenantID) bool { return id == "acme" })
	if got := found(s); len(got) > 0 {
		t.Errorf("an attempt of a tenant that must not act shows %v", got)
	}
	s.selfCheckPass(t.Context(), newPace(0), acting)
	// Nobody answered the customer meanwhile.
	if got := found(s); len(got) != 2 || got["intent_end"] != 1 || got["silence"] != 1 {
		t.Errorf("an attempt of an hour ago shows %v", got)
	}
}

// TestSelfCheck_LooksAtLedGroupsOnly follows leadership: what another node leads is its
// affair.
func TestSelfCheck_LooksAtLedGroupsOnly(t *testing.T) {
	s, ahead := selfCheckedStore(t)
	tooled(t, s)
	ahead.Store(int64(time.Hour))
	s.groupAt(s.Group("acme")).epoch.Store(0)
	s.selfCheckPass(t.Context(), newPace(0), acting)
	if got := found(s); len(got) > 0 {
		t.Errorf("a group that another node leads shows %v", got)
	}
}

// TestPace_BoundsTheWork counts rows against time.
func TestPace_BoundsTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, began := newPace(1000), time.Now()
		for range 100 {
			if err := p.wait(t.Context(), 64); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 6400*time.Millisecond {
			t.Errorf("6,400 rows took %v, want 6.4 s", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if p.wait(ctx, 1000) == nil {
			t.Error("it waits on after the end")
		}
	})
}
