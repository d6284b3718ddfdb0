package chat

import (
	"slices"
	"strings"
)

// texts is the part of the system line about what was found for the message. An
// assistant that has found nothing is told so: silence is an invitation to invent.
func (t *Talk) texts() string {
	if len(t.Saw) == 0 && t.Settings.Profile == nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n\n# Texts of the business\n")
	if len(t.Saw) == 0 {
		b.WriteString("Nothing was found for this message. What neither this prompt nor a tool tells of the business, you do not know: say so.")
		return b.String()
	}
	b.WriteString("Name the ids of those that your answer rests on as sources.")
	if slices.ContainsFunc(t.Saw, func(p Passage) bool { return p.Weak }) {
		b.WriteString(" Those marked weak may be about something else: where no text answers, say that you do not know.")
	}
	for i := range t.Saw {
		k := &t.Saw[i]
		b.WriteString("\n\n[" + k.Chunk + "] ")
		if k.Weak {
			b.WriteString("(weak) ")
		}
		b.WriteString(oneLine(k.Title) + "\n" + strings.TrimSpace(k.Text))
	}
	return b.String()
}

// Named are the sources that an answer names and that the prompt or a result of the
// turn showed, each once: a model can write any id, and one that it never saw is no
// source. They are taken out rather than sent back with the answer: the customer sees
// none of them, and another call would cost time and money for a label.
func (t *Talk) Named(answer string) []string {
	named := []string{}
	r, bad := ReadResponse(answer)
	if bad != "" {
		return named
	}
	shown := map[string]bool{}
	show := func(saw []Passage) {
		for i := range saw {
			shown[saw[i].Chunk] = true
		}
	}
	show(t.Saw)
	for i := range t.Events {
		if e := &t.Events[i]; e.Kind == ToolEnded && e.Tool.Turn == t.Turn && !e.Tool.Late && e.Tool.Result != nil {
			show(e.Tool.Result.Saw)
		}
	}
	for _, s := range r.Sources {
		s = strings.Trim(strings.TrimSpace(s), "[]")
		if shown[s] && !slices.Contains(named, s) {
			named = append(named, s)
		}
	}
	return named
}
