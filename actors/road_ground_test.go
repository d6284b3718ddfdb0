package actors_test

import (
	"context"
	"slices"
	"testing"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// liar names sources that nobody showed it, beside the one it was shown.
type liar struct{}

// Complete implements actors.Model.
func (liar) Complete(context.Context, chat.Prompt) (chat.Answer, error) {
	return chat.Answer{Model: "m", Text: `{"messages":["We open at nine."],"intent":"hours","sentiment":"neutral","language":"en","confidence":1,"handoff":"","note":"","sources":["src_made_up/0","k1","[k1]","faq"]}`}, nil
}

func TestTurn_RecordsNoSourceThatTheModelNeverSaw(t *testing.T) {
	r := newTunedRoad(t, func(o *actors.Options) { o.Model, o.Knowledge = liar{}, listed{} })
	r.publish(chat.Assistant{Instructions: "Answer."})
	r.deliver(said("15550001", "wamid.1", "When do you open?"))
	r.graph.await(t, 1)
	r.rest("15550001")
	for _, e := range r.events("15550001") {
		if e.Kind == chat.TurnAnswered {
			if e.Turn.Response == nil || !slices.Equal(e.Turn.Response.Sources, []string{"k1"}) || len(e.Turn.Saw) != 1 {
				t.Errorf("recorded %+v of %+v", e.Turn.Response, e.Turn.Saw)
			}
			return
		}
	}
	t.Error("nothing was answered")
}
