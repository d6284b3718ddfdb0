package openaisim

import (
	"encoding/json"
	"strings"
)

// What the rules read of texts of the business. They judge nothing: they quote the
// first that is not marked weak, name it, and know nothing else.

// passage is a text of the business that the model was shown.
type passage struct {
	// Source is its id.
	Source, Text string
	Weak         bool
}

// found is what to say of what was looked up, and where it stands: in results of
// tools, or in the system message when the customer asks something. looked is false
// when nobody looked; an empty text means that nothing was found.
func (a *Asked) found(results []result, about topic, asked string) (text, source string, looked bool) {
	for _, r := range results {
		if r.name == toolHandoff {
			continue
		}
		looked = true
		switch list := passagesOf(r.text); {
		case len(list) > 0:
			if p := first(list); p != nil {
				text, source = readable(p.Text), p.Source
			}
		case r.text != nothing:
			text, source = readable(r.text), ""
		}
	}
	if text != "" || about == topicHuman || !strings.Contains(asked, "?") {
		return text, source, looked
	}
	list, told := a.told()
	if p := first(list); p != nil && !(about == topicOrder && digitForm.MatchString(asked)) {
		return readable(p.Text), p.Source, true
	}
	return "", "", looked || told && (about == topicOther || about == topicHours || about == topicPrice)
}

// nothing is what a search without a result says.
const nothing = "Nothing was found."

// first is the first that is not weak; nil for none.
func first(list []passage) *passage {
	for i := range list {
		if !list[i].Weak {
			return &list[i]
		}
	}
	return nil
}

// passagesOf are those of a result, a line of JSON each.
func passagesOf(found string) (list []passage) {
	for line := range strings.Lines(found) {
		var p passage
		if json.Unmarshal([]byte(line), &p) == nil && p.Text != "" && p.Source != "" {
			list = append(list, p)
		}
	}
	return list
}

// told are those of the system message; ok is false when it says nothing of any.
func (a *Asked) told() (list []passage, ok bool) {
	for _, m := range a.Messages {
		_, part, has := strings.Cut(m.Text, "\n# Texts of the business\n")
		if m.Role != "system" || !has {
			continue
		}
		ok = true
		for _, piece := range strings.Split(part, "\n\n[")[1:] {
			id, rest, _ := strings.Cut(piece, "] ")
			title, text, _ := strings.Cut(rest, "\n")
			list = append(list, passage{Source: id, Text: text, Weak: strings.HasPrefix(title, "(weak) ")})
		}
	}
	return list, ok
}
