package torture

import (
	"testing"

	"github.com/chumiai/chumi/bench/child"
)

func TestCopies_MayBeBehindAndNothingElse(t *testing.T) {
	shown := []child.Event{
		{Pos: 1, Seq: 1, Kind: child.KindReceived, Conversation: "a", Message: &child.Message{ID: "m1", Text: "#1"}},
		{Pos: 2, Seq: 2, Kind: child.KindQueued, Conversation: "a", Message: &child.Message{ID: "m2", Text: "(#1)"}},
		{Pos: 3, Seq: 3, Kind: child.KindStatus, Conversation: "a", Status: &child.Status{MessageID: "m2", Status: "sent"}},
	}
	beyond := append(append([]child.Event(nil), shown...), child.Event{Pos: 4, Seq: 4, Kind: child.KindHandoff, Conversation: "a"})
	changed := append([]child.Event(nil), shown...)
	changed[1].Message = &child.Message{ID: "m2", Text: "(#2)"}
	other := append(append([]child.Event(nil), shown...), child.Event{Pos: 4, Seq: 4, Kind: child.KindTaken, Conversation: "a"})
	cases := []struct {
		name  string
		nodes [][]child.Event
		want  Rule
	}{
		{"the same", [][]child.Event{shown, shown, shown}, ""},
		{"one behind", [][]child.Event{shown, shown[:1], shown}, ""},
		{"two know more than was read", [][]child.Event{shown, beyond, beyond}, ""},
		{"another text", [][]child.Event{shown, changed, shown}, Diverged},
		{"one is missing in the middle", [][]child.Event{shown, {shown[0], shown[2]}, shown}, Diverged},
		{"they differ beyond what was read", [][]child.Event{beyond, other, shown}, Diverged},
		{"all are behind", [][]child.Event{shown[:2], shown[:1], nil}, Forgotten},
		{"the only one that is not behind differs", [][]child.Event{shown[:2], changed, nil}, Forgotten},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			tally := newTally()
			same := newCopies("t000", shown)
			for n, events := range c.nodes {
				take := same.node(n+1, tally)
				for i := range events {
					if err := take(&events[i]); err != nil {
						t.Fatal(err)
					}
				}
			}
			same.close(tally)
			if c.want == "" && tally.Red() || c.want != "" && tally.Breaches[c.want] == 0 {
				t.Errorf("found %q, want %q", tally.Names(), c.want)
			}
		})
	}
}
