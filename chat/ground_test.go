package chat_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

// A source is what the prompt or a result of the same turn showed, in the form that it
// was shown in.
func TestTalk_NamesOnlySourcesThatTheModelSaw(t *testing.T) {
	told := func(turn chat.TurnID, late bool, chunk string) chat.Event {
		return chat.Event{Kind: chat.ToolEnded, Tool: &chat.ToolRecord{Turn: turn, Late: late, Result: &chat.ToolResult{Saw: []chat.Passage{{Chunk: chunk}}}}}
	}
	talk := chat.Talk{Settings: &chat.Settings{Profile: &chat.Assistant{}}, Turn: "turn_1", Saw: []chat.Passage{{Chunk: "src_a/0", Text: "Nine."}},
		Events: []chat.Event{told("turn_0", false, "src_old/0"), told("turn_1", false, "product/7"), told("turn_1", true, "src_late/0")}}
	shown := talk.Prompt().Lines[0].Text
	if !strings.Contains(shown, "[src_a/0] ") {
		t.Fatalf("shown as %s", shown)
	}
	for answer, want := range map[string][]string{
		`{"messages":["x"],"sources":["src_a/0","src_b/0","product/7"]}`:           {"src_a/0", "product/7"},
		`{"messages":["x"],"sources":["[src_a/0]"," src_a/0 ","src_a","Hours"]}`:   {"src_a/0"},
		`{"messages":["x"],"sources":["src_old/0","src_late/0","src_a/00","src"]}`: {},
		`{"messages":["x"],"sources":"src_a/0"}`:                                   {},
		"Nine, says src_a/0.":                                                      {},
	} {
		if got := talk.Named(answer); !slices.Equal(got, want) {
			t.Errorf("%s names %v, want %v", answer, got, want)
		}
	}
}

// What is weak is shown as such, and an assistant without any text is told so.
func TestTalk_TellsWhatWasNotFound(t *testing.T) {
	for name, c := range map[string]struct {
		talk      chat.Talk
		says, not string
	}{
		"nothing":        {chat.Talk{Settings: &chat.Settings{Profile: &chat.Assistant{}}}, "Nothing was found for this message.", "as sources"},
		"weak":           {chat.Talk{Settings: &chat.Settings{Profile: &chat.Assistant{}}, Saw: []chat.Passage{{Chunk: "k", Title: "Hours", Text: "Nine.", Weak: true}}}, "[k] (weak) Hours\nNine.", "Nothing was found"},
		"something":      {chat.Talk{Settings: &chat.Settings{Profile: &chat.Assistant{}}, Saw: []chat.Passage{{Chunk: "k", Title: "Hours", Text: "Nine."}}}, "[k] Hours\nNine.", "weak"},
		"without a text": {chat.Talk{Settings: &chat.Settings{Instructions: "Answer."}}, "Answer.", "Texts of the business"},
	} {
		if got := c.talk.Prompt().Lines[0].Text; !strings.Contains(got, c.says) || strings.Contains(got, c.not) {
			t.Errorf("%s: %s", name, got)
		}
	}
}
