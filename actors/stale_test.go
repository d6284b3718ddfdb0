package actors

import (
	"context"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// A call that was decided under an epoch that rules no more is not made, when nothing
// cancelled it: it was not scheduled while its group had another leader, and has it
// again. Whoever leads makes it under the new epoch.
func TestSystem_CallsOfAnEndedReignAreNotMade(t *testing.T) {
	calls, ledger := 0, &toolLedger{}
	model := scriptModel{func(context.Context, chat.Prompt) (chat.Answer, error) {
		calls++
		return chat.Answer{Text: "hello", Model: "m"}, nil
	}}
	inBubble(t, func(o *Options) { o.Model, o.Toolbox = model, ledger }, func(t *testing.T, s *System, store *memStore, _ *ledgerGraph) {
		tooled(t, store)
		deliver(t, s, textFrom("1555", "wamid.1", "hello"))
		settle(9 * time.Second)
		was := calls
		store.elect(3)
		settle(time.Second)
		id := conversationOf("1555")
		turn := chat.TurnIDAt(id, 3)
		for _, epoch := range []chat.Epoch{1, 3} {
			job := turnJob{tenant: "acme", group: s.opt.Leadership.Group("acme"), epoch: epoch, conversation: id, channel: "acme-wa", kind: chat.WhatsApp}
			job.effect = chat.StartTurn{Turn: turn, Call: int(epoch), From: 2, UpTo: 2, Timeout: time.Second}
			s.core.runner.start(job)
			job.effect, job.tool = chat.StartTurn{}, chat.StartTool{Turn: turn, Call: "1.0", Name: "look", N: int(epoch), Timeout: time.Second}
			s.core.runner.start(job)
			settle(5 * time.Second)
			if want := was + int(epoch)/3; calls != want {
				t.Errorf("epoch %d: the model was called %d times, want %d", epoch, calls-was, want-was)
			}
		}
	})
}
