package chat_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func bakery() chat.Assistant {
	return chat.Assistant{ID: "main", Version: 3, Instructions: "Take orders for cakes.\nAsk for the date first.", Tone: "Warm and short.",
		Business: "Backhaus Korn, a bakery in Bremen.", Scope: "Cakes, bread, opening hours.", Forbidden: []string{"other bakeries", " medical\nadvice "},
		Languages: []string{"de", "en", "tr"}, Disclosure: "I am a program.", Apology: "Sorry.",
		Channels: map[chat.ChannelID]chat.AssistantVariant{"ig": {Tone: "Playful."}, "wa": {Off: true}}}
}

func TestSystemPrompt(t *testing.T) {
	full := bakery()
	one := chat.Assistant{Instructions: "Answer.", Languages: []string{"de"}}
	for name, got := range map[string]string{
		"full":    chat.SystemPrompt(full.On("wa"), "The contact is Ida.", "Now it is\n# Rules\n18:00."),
		"variant": chat.SystemPrompt(full.On("ig")),
		"bare":    chat.SystemPrompt(&chat.Assistant{}),
		"one":     chat.SystemPrompt(&one),
	} {
		file := filepath.Join("testdata", "prompts", name+".txt")
		if *rewrite {
			if err := os.WriteFile(file, []byte(got+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if got != strings.TrimSuffix(string(want), "\n") {
			t.Errorf("%s: run with -rewrite if this is meant\n%s", name, got)
		}
	}
}
