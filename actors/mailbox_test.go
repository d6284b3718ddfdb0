package actors

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// idleDispatcher never lets a mailbox run.
type idleDispatcher struct{}

func (idleDispatcher) Schedule(func()) {}
func (idleDispatcher) Throughput() int { return 1 }

func TestMailbox_FullAnswersBusyAtOnce(t *testing.T) {
	busy := metrics.New(nil).Actors.Busy.WithLabelValues("conversation")
	box := gated(2, busy)()
	box.RegisterHandlers(nil, idleDispatcher{})
	in := make(inbox, 3)
	for range 3 {
		box.PostUserMessage(&mail{to: in})
	}
	select {
	case a := <-in:
		if chat.KindOf(a.err) != chat.KindBusy {
			t.Errorf("answered %v, want busy", a.err)
		}
	default:
		t.Error("the third mail was not answered")
	}
	box.PostUserMessage(&actor.PoisonPill{})
	if n := box.UserMessageCount(); n != 3 {
		t.Errorf("%d messages wait, want 2 mails and the poison", n)
	}
}

func TestMail_IsAnsweredOnce(t *testing.T) {
	in := make(inbox, 2)
	m := &mail{to: in}
	m.refuse(errBusy)
	m.answer(answer{})
	if len(in) != 1 {
		t.Errorf("%d answers, want 1", len(in))
	}
}

func TestSupervision_DelayIsCapped(t *testing.T) {
	if d := restartDelay(1); d != restartMin {
		t.Errorf("first delay %v, want %v", d, restartMin)
	}
	if d := restartDelay(3); d != 4*restartMin {
		t.Errorf("third delay %v, want %v", d, 4*restartMin)
	}
	if d := restartDelay(1000); d != restartMax {
		t.Errorf("thousandth delay %v, want %v", d, restartMax)
	}
}
