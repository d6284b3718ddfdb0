package torture

import (
	"testing"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

func TestAudit_HoldsToolsAgainstTheJournal(t *testing.T) {
	began := time.Date(2026, 11, 1, 9, 0, 0, 0, time.UTC)
	call := func(id, name string) child.ToolCall {
		return child.ToolCall{ID: id, Name: name, Args: []byte(`{"id":"x` + id + `"}`)}
	}
	// Turn 1 asks for look, book and pay; all are begun and have results.
	journal := func() []child.Event {
		list := []child.Event{{Seq: 1, Kind: child.KindCalled, Turn: &child.Turn{ID: "t", Calls: []child.ToolCall{call("1", toolLook), call("2", toolBook), call("3", toolPay)}}}}
		for _, kind := range []string{child.KindToolStart, child.KindToolEnd} {
			for _, id := range []string{"1", "2", "3"} {
				list = append(list, child.Event{Seq: uint64(len(list) + 1), Kind: kind, Time: began.Add(time.Second), Tool: &child.Tool{Turn: "t", Call: id}})
			}
		}
		for i := range list {
			list[i].Conversation = "c"
		}
		return list
	}
	use := func(tool, id string, after time.Duration) Use { return Use{Tool: tool, ID: id, Time: began.Add(after)} }
	fine := []Use{use(toolLook, "x1", 0), use(toolBook, "x2", 0), use(toolBook, "x2", time.Second/2), use(toolPay, "x3", 0)}
	for name, c := range map[string]struct {
		want  Rule
		wreck func(events []child.Event, uses []Use) ([]child.Event, []Use)
	}{
		"sound": {"", func(e []child.Event, u []Use) ([]child.Event, []Use) { return e, u }},
		"twice": {ToolTwice, func(e []child.Event, u []Use) ([]child.Event, []Use) { return e, append(u, use(toolPay, "x3", 1)) }},
		"again": {ToolAgain, func(e []child.Event, u []Use) ([]child.Event, []Use) {
			return e, append(u, use(toolLook, "x1", 2*time.Second))
		}},
		"unasked": {ToolUnasked, func(e []child.Event, u []Use) ([]child.Event, []Use) { return e, append(u, use(toolLook, "x9", 0)) }},
		"begun by nobody": {ToolUnasked, func(e []child.Event, u []Use) ([]child.Event, []Use) {
			e[1].Tool.Call = "9"
			return e, u
		}},
		"open": {ToolOpen, func(e []child.Event, u []Use) ([]child.Event, []Use) { return e[:len(e)-1], u }},
		"given up while it was under way": {"", func(e []child.Event, u []Use) ([]child.Event, []Use) {
			e[4].Tool.Result.Error = dropped
			return e, append(u, use(toolLook, "x1", 2*time.Second))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			events, uses := c.wreck(journal(), append([]Use(nil), fine...))
			b := &Book{World: child.NewWorld(1), Uses: uses, Exported: map[string][]child.Event{"t000": events}}
			a := &audit{b: b, x: b.index(), t: newTally()}
			a.tools()
			if got := a.t.Breaches[c.want]; c.want != "" && got == 0 || c.want == "" && a.t.Red() {
				t.Errorf("breaches %v, want %q", a.t.Breaches, c.want)
			}
			if c.want == "" && a.t.Repeated == 0 {
				t.Error("a call that was made again is not counted")
			}
		})
	}
}
