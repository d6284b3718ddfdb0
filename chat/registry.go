package chat

import (
	"encoding/json"
	"reflect"
)

// templateNews changes one template, and asks for a fetch where the news does not
// say all of it.
func (p *step) templateNews(n *TemplateChange, waba string) {
	stale := n.Stale || n.Name == ""
	for _, doc := range p.in.Known.Docs {
		if doc.Noun != DocTemplate {
			continue
		}
		before, known := TemplateFrom(doc)
		if !known {
			before = Template{WABA: waba, Name: n.Name, Language: n.Language}
			stale = true
		}
		after := before
		set(&after.ID, n.ID)
		set(&after.Status, n.Status)
		set(&after.Quality, n.Quality)
		set(&after.Category, n.Category)
		if n.Status != "" {
			after.Reason = n.Reason
		}
		after.Stale = after.Stale || stale
		p.changeTemplate(doc, before, after, known)
	}
	if !stale {
		return
	}
	for _, doc := range p.in.Known.Docs {
		if doc.Noun == DocChannel {
			p.changeChannel(doc, func(s *ChannelState) { s.TemplatesStale = true })
		}
	}
}

// TemplateFrom reads a document of DocTemplate; known is false when there is none.
func TemplateFrom(doc Doc) (t Template, known bool) {
	known = len(doc.Value) > 0 && json.Unmarshal(doc.Value, &t) == nil
	return t, known
}

// changeTemplate stores a template that differs from before.
func (p *step) changeTemplate(doc Doc, before, after Template, known bool) {
	gone := after.Status == "DELETED"
	quiet := after
	quiet.Fetched = before.Fetched
	if known && !gone && reflect.DeepEqual(before, after) {
		return
	}
	if (known || !gone) && !(known && reflect.DeepEqual(before, quiet)) {
		told := after
		p.emit(Event{Kind: TemplateChanged, Template: &told})
	}
	doc = Doc{Noun: DocTemplate, ID: doc.ID}
	if gone {
		p.d.Docs = append(p.d.Docs, doc)
		return
	}
	p.putDoc(doc, &after)
}

// templatesFetched replaces what is stored by what Meta has.
func (p *step) templatesFetched(f TemplatesFetched) {
	stored := make(map[string]Doc, len(p.in.Known.Docs))
	for _, doc := range p.in.Known.Docs {
		if doc.Noun == DocTemplate {
			stored[doc.ID] = doc
		}
	}
	for _, t := range f.Templates {
		id := TemplateKey(t.WABA, t.Name, t.Language)
		before, known := TemplateFrom(stored[id])
		if t.Fetched.Before(before.Fetched) {
			continue
		}
		p.changeTemplate(Doc{ID: id}, before, t, known)
	}
	for _, id := range f.Gone {
		if before, known := TemplateFrom(stored[id]); known {
			after := before
			after.Status, after.Stale = "DELETED", false
			p.changeTemplate(Doc{ID: id}, before, after, true)
		}
	}
	if f.Last {
		p.changeChannel(p.channelDoc(f.Channel), func(s *ChannelState) {
			s.TemplatesSynced, s.TemplatesStale = p.now, false
		})
	}
}
