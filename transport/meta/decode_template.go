package meta

import (
	"strings"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// templateOf reads news about a template; nil when the value names none. What it
// is shows in the value and not in the field: Meta's own sample of a quality update
// carries the field of status updates.
func templateOf(v *fastjson.Value) *chat.TemplateChange {
	change := &chat.TemplateChange{
		ID:   idOf(v.Get("message_template_id")), // a number above 2^50: its digits are kept
		Name: clip(bytesOf(v.Get("message_template_name")), nameMax),
		// Meta's samples write en-US, its lists en_US.
		Language: strings.ReplaceAll(word(v.Get("message_template_language")), "-", "_"),
		Status:   word(v.Get("event")),
		Quality:  word(v.Get("new_quality_score")),
		Stale:    v.Exists("message_template_element"),
	}
	if change.ID == "" && change.Name == "" {
		return nil
	}
	// new_category is the one in force; correct_category only announces another.
	if change.Category = word(v.Get("new_category")); change.Category == "" {
		change.Category = word(v.Get("message_template_category"))
	}
	for _, path := range [...][]string{{"reason"}, {"rejection_info", "reason"}, {"other_info", "title"}} {
		if change.Reason = unlessNone(v.Get(path...)); change.Reason != "" {
			break
		}
	}
	return change
}
