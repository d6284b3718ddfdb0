package actors

import (
	"fmt"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// sentAt drives a core until the end and returns when each message was asked for.
// Every attempt ends at once.
func sentAt(t *testing.T, c *SenderCore, from, end time.Time) (at []time.Time) {
	t.Helper()
	for now := from; now.Before(end); {
		asks, next := c.Poll(now)
		for _, a := range asks {
			c.Started(now, a.Conversation, a.Message)
			c.Release(now, a.Conversation, chat.ReleaseSend{Message: a.Message})
			at = append(at, now)
		}
		if len(asks) > 0 {
			continue
		}
		if next.IsZero() {
			return at
		}
		if !next.After(now) {
			t.Fatalf("nothing to ask for and polled again at once: %v", next.Sub(now))
		}
		now = next
	}
	return at
}

// most is how many of the times lie in one span, wherever it begins.
func most(at []time.Time, span time.Duration) (n int) {
	first := 0
	for i := range at {
		for at[i].Sub(at[first]) >= span {
			first++
		}
		n = max(n, i-first+1)
	}
	return n
}

// crowd wakes n messages of as many persons.
func crowd(c *SenderCore, now time.Time, n int, lane chat.Lane) {
	for i := range n {
		id, m := sendOf(fmt.Sprint("p", i), 1)
		c.Wake(now, id, chat.WakeSender{Message: m, NotBefore: now, Lane: lane})
	}
}

// TestPace_LimitsOfAChannel: never more than the limit in any second or hour,
// and at least nine tenths of it in the long run.
func TestPace_LimitsOfAChannel(t *testing.T) {
	for _, tc := range channelLimits {
		t.Run(tc.name, func(t *testing.T) {
			c := NewSenderCore(noon, noon, tc.kind, 1<<20)
			c.Rate(noon, tc.perSecond)
			spans := 30
			if tc.span == time.Hour {
				spans = 3
			}
			crowd(c, noon, (spans+1)*tc.limit, tc.lane)
			at := sentAt(t, c, noon, noon.Add(time.Duration(spans)*tc.span))
			if n := most(at, tc.span); n > tc.limit {
				t.Errorf("%d in one %v, the limit is %d", n, tc.span, tc.limit)
			}
			if want := spans * tc.limit * 9 / 10; len(at) < want {
				t.Errorf("%d in %d × %v, want at least %d", len(at), spans, tc.span, want)
			}
		})
	}
}

// A pair's burst and steady rate stay below Meta's bucket of 45.
func TestPace_LimitOfAPair(t *testing.T) {
	c := NewSenderCore(noon.Add(-time.Hour), noon.Add(-time.Hour), chat.WhatsApp, 64)
	c.Rate(noon.Add(-time.Hour), 1000)
	for seq := range 200 {
		id, m := sendOf("a", seq+1)
		c.Wake(noon, id, chat.WakeSender{Message: m, NotBefore: noon})
	}
	at := sentAt(t, c, noon, noon.Add(10*time.Minute))
	if n := most(at, pairEvery); n > pairBurstMeta {
		t.Errorf("%d in %v, Meta's burst is %d", n, pairEvery, pairBurstMeta)
	}
	// Meta's bucket gives 45 and one more in 6 s, 145 in all.
	if len(at) > 145 || len(at) < 145*9/10 {
		t.Errorf("%d in 10 minutes, Meta allows 145", len(at))
	}
}

// A sender that begins where another ended a moment ago does not add to what that
// one sent, on any node.
func TestPace_FailoverDoesNotDoubleTheLimits(t *testing.T) {
	fill := func(now time.Time) *SenderCore {
		c := NewSenderCore(now, now, chat.WhatsApp, 1<<20)
		crowd(c, now, 1000, chat.LanePlain)
		return c
	}
	at := sentAt(t, fill(noon), noon, noon.Add(10*time.Second))
	last := at[len(at)-1]
	at = append(at, sentAt(t, fill(last), last, last.Add(10*time.Second))...)
	if n := most(at, time.Second); n > numberPerSecond {
		t.Errorf("%d in a second around the failover, the limit is %d", n, numberPerSecond)
	}

	pair := func(born, now time.Time) *SenderCore {
		c := NewSenderCore(born, born, chat.WhatsApp, 64)
		c.Rate(born, 1000)
		for seq := range 100 {
			id, m := sendOf("a", seq+1)
			c.Wake(now, id, chat.WakeSender{Message: m, NotBefore: now})
		}
		return c
	}
	at = sentAt(t, pair(noon.Add(-time.Hour), noon), noon, noon.Add(2*time.Second))
	last = at[len(at)-1]
	at = append(at, sentAt(t, pair(last, last), last, last.Add(2*time.Second))...)
	if len(at) > pairBurstMeta {
		t.Errorf("%d to one person around the failover, Meta's burst is %d", len(at), pairBurstMeta)
	}
	if len(at) <= pairBurst {
		t.Errorf("the successor sent nothing at first: %d in all", len(at))
	}
}

// With who began to write when this node already sent, nobody else has talked: such
// a person has the whole burst at once, also under a sender that began a moment ago.
func TestPace_WhoCameLaterHasAWholeBurst(t *testing.T) {
	for begun, want := range map[time.Duration]int{-time.Second: freshPair, 0: pairBurst, time.Second: pairBurst} {
		c := NewSenderCore(noon.Add(2*time.Second), noon, chat.WhatsApp, 64)
		c.Rate(noon, 1000)
		now := noon.Add(2 * time.Second)
		for seq := range 100 {
			id, m := sendOf("a", seq+1)
			c.Wake(now, id, chat.WakeSender{Message: m, NotBefore: now, Begun: noon.Add(begun)})
		}
		if at := sentAt(t, c, now, now.Add(3*time.Second)); len(at) != want {
			t.Errorf("begun after %s: %d at once, want %d", begun, len(at), want)
		}
	}
}

// What customers wrote is counted when they wrote it: a sender that has nothing to send
// asks late, and what they wrote a second ago holds back nothing.
func TestPace_HeardLongAgoHoldsNothingBack(t *testing.T) {
	var e ear
	h := e.listen("wa")
	for i := range 2 * hearingsMax {
		e.note("wa", noon.Add(time.Duration(i)*20*time.Millisecond))
	}
	e.note("other", noon)
	now, n := noon.Add(2*time.Second), 0
	c := NewSenderCore(noon, noon, chat.WhatsApp, 10)
	for _, h := range h.take(nil) {
		n += h.n
		c.Heard(h.at, h.n)
	}
	crowd(c, now, 1, chat.LanePlain)
	if asks, _ := c.Poll(now); n != 2*hearingsMax || len(asks) != 1 {
		t.Errorf("of %d messages %d were heard; asked for %d sends, want 1", 2*hearingsMax, n, len(asks))
	}
	if left := h.take(nil); len(left) != 0 {
		t.Errorf("heard again: %v", left)
	}
}

// What customers write counts against the throughput of their number, and never
// takes all of it.
func TestPace_BothDirectionsCount(t *testing.T) {
	for _, tc := range []struct{ heard, least, most int }{{0, 72, 80}, {40, 32, 40}, {80, 7, 16}, {1000, 7, 16}} {
		c := NewSenderCore(noon, noon, chat.WhatsApp, 1<<20)
		crowd(c, noon, 2000, chat.LanePlain)
		sent := 0
		for i := range 1000 {
			now := noon.Add(time.Duration(i) * 10 * time.Millisecond)
			c.Heard(now, tc.heard*(i+1)/100-tc.heard*i/100)
			asks, _ := c.Poll(now)
			for _, a := range asks {
				c.Started(now, a.Conversation, a.Message)
				c.Release(now, a.Conversation, chat.ReleaseSend{Message: a.Message})
			}
			if i >= 500 { // until then it pays for the first burst of customers
				sent += len(asks)
			}
		}
		if perSecond := sent / 5; perSecond < tc.least || perSecond > tc.most {
			t.Errorf("%d a second while customers write %d, want %d to %d", perSecond, tc.heard, tc.least, tc.most)
		}
	}
}

// A refusal holds what it names and nothing else.
func TestSender_HoldsWhatMetaNames(t *testing.T) {
	for _, tc := range []struct {
		hold chat.Hold
		want int // of the three other conversations that go on at once
	}{{chat.HoldSend, 3}, {chat.HoldPair, 3}, {chat.HoldChannel, 0}, {chat.HoldAccount, 0}, {chat.HoldApp, 0}} {
		l := newLine(t, chat.WhatsApp, 1)
		l.wake("a", 1, 2)
		first := l.poll()[0]
		for _, who := range []string{"b", "c", "d"} {
			l.wake(who, 1)
		}
		l.c.Release(l.now, first.Conversation, chat.ReleaseSend{Message: first.Message, RetryAfter: time.Second, Hold: tc.hold})
		l.c.Wake(l.now, first.Conversation, chat.WakeSender{Message: first.Message, NotBefore: l.now.Add(time.Second)})
		got := 0
		for asks := l.poll(); len(asks) > 0; asks = l.poll() {
			if asks[0].Conversation == first.Conversation {
				t.Errorf("hold %d: %v went on at once", tc.hold, asks[0])
			}
			got++
			l.release(asks[0])
		}
		if got != tc.want {
			t.Errorf("hold %d: %d others went on, want %d", tc.hold, got, tc.want)
		}
		l.now = l.now.Add(2 * time.Second)
		var order []chat.MessageID
		for asks := l.poll(); len(asks) > 0; asks = l.poll() {
			if asks[0].Conversation == first.Conversation {
				order = append(order, asks[0].Message)
			}
			l.release(asks[0])
		}
		if len(order) != 2 || order[0] != first.Message {
			t.Errorf("hold %d: the conversation went on with %v", tc.hold, order)
		}
	}
}

// A sender with a person at the end of a burst is not idle: its successor would
// not know.
func TestSender_RemembersABurst(t *testing.T) {
	c := NewSenderCore(noon.Add(-time.Hour), noon.Add(-time.Hour), chat.WhatsApp, 64)
	c.Rate(noon.Add(-time.Hour), 1000)
	for seq := range 40 {
		id, m := sendOf("a", seq+1)
		c.Wake(noon, id, chat.WakeSender{Message: m, NotBefore: noon})
	}
	at := sentAt(t, c, noon, noon.Add(time.Minute))
	last := at[len(at)-1]
	if c.Idle(last) {
		t.Error("idle right after a burst")
	}
	if !c.Idle(last.Add(pairBurst * pairEvery)) {
		t.Error("not idle when a fresh sender would grant no more")
	}
}
