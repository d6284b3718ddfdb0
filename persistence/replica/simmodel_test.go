package replica

import (
	"time"

	"github.com/chumiai/chumi/chat"
)

// modelCall is a model call under way.
type modelCall struct {
	group     chat.Group
	epoch     chat.Epoch
	number    int
	cancelled bool
}

// call asks the model, which answers late, fails or never comes back.
func (e *engine) call(t chat.TenantID, id chat.ConversationID, turn chat.StartTurn, epoch chat.Epoch) {
	if c := e.calls[turn.Turn]; c != nil {
		if c.number >= turn.Call {
			return
		}
		c.cancelled = true
	}
	c := &modelCall{group: e.node.store.Group(t), epoch: epoch, number: turn.Call}
	e.calls[turn.Turn] = c
	if e.town.turns != nil {
		e.askModel(t, id, c, turn)
		return
	}
	s := e.town.sim
	d := s.between(20*time.Millisecond, 1500*time.Millisecond)
	var fact chat.Fact = chat.ModelAnswered{Turn: turn.Turn, Call: turn.Call,
		Answer: chat.Answer{Text: "re " + string(turn.Turn), Model: "sim"}}
	switch {
	case s.chance(8):
		fact = chat.ModelFailed{Turn: turn.Turn, Call: turn.Call, Reason: "failed", Permanent: s.chance(10)}
	case s.chance(4):
		d, fact = turn.Timeout, chat.ModelFailed{Turn: turn.Turn, Call: turn.Call, Reason: "timeout"}
	}
	e.after(d, func() {
		if c.cancelled {
			return
		}
		if e.calls[turn.Turn] == c {
			delete(e.calls, turn.Turn)
		}
		e.insist(t, id, fact)
	})
}
