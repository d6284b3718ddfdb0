package actors

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func sendOf(who string, seq int) (chat.ConversationID, chat.MessageID) {
	id := conversationOf(who)
	return id, chat.MessageIDAt(id, chat.Seq(seq))
}

// line drives a SenderCore at a time of its own.
type line struct {
	t   *testing.T
	c   *SenderCore
	now time.Time
}

// newLine is a sender that runs for long and whose channel's throughput is no
// limit.
func newLine(t *testing.T, kind chat.ChannelKind, window int) *line {
	l := &line{t: t, c: NewSenderCore(noon.Add(-time.Hour), noon.Add(-time.Hour), kind, window), now: noon}
	l.c.Rate(noon.Add(-time.Minute), 100_000)
	return l
}

func (l *line) wake(who string, seqs ...int) {
	for _, seq := range seqs {
		id, m := sendOf(who, seq)
		l.c.Wake(l.now, id, chat.WakeSender{Message: m, NotBefore: l.now})
	}
}

func (l *line) poll() []Ask {
	asks, _ := l.c.Poll(l.now)
	for _, a := range asks {
		l.c.Started(l.now, a.Conversation, a.Message)
	}
	return asks
}

func (l *line) release(a Ask) {
	l.c.Release(l.now, a.Conversation, chat.ReleaseSend{Message: a.Message})
}

func TestSender_OneInFlightPerConversationInOrder(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	l.wake("a", 9, 3, 5) // woken in any order
	var got []chat.MessageID
	for range 3 {
		asks := l.poll()
		if len(asks) != 1 {
			t.Fatalf("%d attempts in flight, want 1", len(asks))
		}
		if more := l.poll(); len(more) != 0 {
			t.Fatalf("second attempt %v while one is in flight", more)
		}
		got = append(got, asks[0].Message)
		l.release(asks[0])
	}
	_, three := sendOf("a", 3)
	_, five := sendOf("a", 5)
	_, nine := sendOf("a", 9)
	if want := []chat.MessageID{three, five, nine}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	if l.c.Idle(l.now) || !l.c.Idle(l.now.Add(3*pairEvery)) {
		t.Error("idle is not: nothing to send, and nothing that a successor must know")
	}
}

func TestSender_BacklogOfOneDoesNotHoldOthers(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 1)
	for seq := range 20 {
		l.wake("big", seq+1)
	}
	l.wake("small", 1)
	small, _ := sendOf("small", 1)
	for n := 1; ; n++ {
		asks := l.poll()
		if asks[0].Conversation == small {
			if n > 2 {
				t.Errorf("the small conversation waited for %d sends of the big one", n-1)
			}
			return
		}
		l.release(asks[0])
	}
}

func TestSender_WindowBoundsAttempts(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 8)
	for i := range 50 {
		l.wake(fmt.Sprint(i), 1)
	}
	if n := len(l.poll()); n != 8 {
		t.Errorf("%d attempts in flight, want 8", n)
	}
}

func TestSender_RetryKeepsItsPlaceInTheConversation(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	l.wake("a", 1, 2)
	first := l.poll()[0]
	l.c.Release(l.now, first.Conversation, chat.ReleaseSend{Message: first.Message, RetryAfter: time.Second})
	l.c.Wake(l.now, first.Conversation, chat.WakeSender{Message: first.Message, NotBefore: l.now.Add(time.Second)})
	if asks := l.poll(); len(asks) != 0 {
		t.Fatalf("%v overtook the message that waits for its retry", asks)
	}
	l.now = l.now.Add(time.Second)
	if asks := l.poll(); len(asks) != 1 || asks[0] != first {
		t.Errorf("after the pause %v, want %v again", asks, first)
	}
}

func TestSender_BlockedChannelRestsAndIsProbed(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	for i := range 10 {
		l.wake(fmt.Sprint(i), 1)
	}
	asks := l.poll()
	block := func(a Ask) {
		l.c.Release(l.now, a.Conversation, chat.ReleaseSend{Message: a.Message, Blocked: true})
		l.c.Wake(l.now, a.Conversation, chat.WakeSender{Message: a.Message, NotBefore: l.now})
	}
	for _, a := range asks {
		block(a)
	}
	if n := len(l.poll()); n != 0 {
		t.Fatalf("%d attempts on a blocked channel", n)
	}
	l.now = l.now.Add(blockPause)
	probe := l.poll()
	if len(probe) != 1 {
		t.Fatalf("%d attempts after the pause, want one probe", len(probe))
	}
	l.release(probe[0])
	if n := len(l.poll()); n != 9 {
		t.Errorf("%d attempts after the probe went well, want 9", n)
	}
}

func TestSender_NewTokenEndsTheBlock(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	l.wake("a", 1)
	a := l.poll()[0]
	l.c.Release(l.now, a.Conversation, chat.ReleaseSend{Message: a.Message, Blocked: true})
	l.c.Wake(l.now, a.Conversation, chat.WakeSender{Message: a.Message, NotBefore: l.now})
	l.c.Unblock(l.now)
	if n := len(l.poll()); n != 1 {
		t.Errorf("%d attempts after the token changed, want 1", n)
	}
}

func TestSender_LostAskIsRepeated(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	l.wake("a", 1)
	asks, next := l.c.Poll(l.now) // the mail is lost: never started
	if next.IsZero() || next.After(l.now.Add(askLost)) {
		t.Fatalf("next poll %v, want within %v", next.Sub(l.now), askLost)
	}
	l.now = next
	if again, _ := l.c.Poll(l.now); len(again) != 1 || again[0] != asks[0] {
		t.Errorf("after the loss %v, want %v", again, asks)
	}
}

func TestSender_RefusedAskIsRepeatedSoon(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 1)
	l.wake("a", 1)
	asks, _ := l.c.Poll(l.now)
	l.c.Refused(l.now, asks[0].Conversation, asks[0].Message)
	l.now = l.now.Add(askRetry)
	if again, _ := l.c.Poll(l.now); len(again) != 1 {
		t.Errorf("after the refusal %v, want the same again", again)
	}
}

func TestSender_WakeOfWhatIsUnderWayChangesNothing(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	l.wake("a", 1)
	asks := l.poll()
	l.wake("a", 1)
	l.release(asks[0])
	if more := l.poll(); len(more) != 0 {
		t.Errorf("%v was asked for twice", more)
	}
}

func TestSender_CancelledEntryIsDropped(t *testing.T) {
	l := newLine(t, chat.WhatsApp, 64)
	l.wake("a", 1, 2)
	id, first := sendOf("a", 1)
	l.c.Release(l.now, id, chat.ReleaseSend{Message: first})
	_, second := sendOf("a", 2)
	if asks := l.poll(); len(asks) != 1 || asks[0].Message != second {
		t.Errorf("asked for %v, want %v", asks, second)
	}
}
