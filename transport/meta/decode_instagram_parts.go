package meta

import (
	"slices"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// instagramParts reads the content of a message that is more than plain text.
func instagramParts(m *fastjson.Value) *chat.Content {
	var p parts
	var lone [1]*fastjson.Value
	for _, a := range firstOf(listOf(m.Get("attachments"), lone[:])) {
		attachmentParts(&p, a)
	}
	if story := m.Get("reply_to", "story"); !empty(story) {
		p.add().Story = &chat.Story{ID: idOf(story.Get("id")), URL: urlOf(story.Get("url")), Link: urlOf(story.Get("link_sticker_url"))}
	}
	if reply := m.Get("quick_reply"); reply.GetObject() != nil {
		title := bytesOf(m.Get("text"))
		if title == nil {
			title = bytesOf(reply.Get("title"))
		}
		p.add().Choice = &chat.Choice{ID: clip(bytesOf(reply.Get("payload")), nameMax), Title: clip(title, nameMax), Kind: "quick_reply"}
	}
	if r := m.Get("referral"); r.GetObject() != nil {
		p.add().Referral = instagramReferral(r)
	}
	if truthy(m.Get("is_unsupported")) {
		p.add().Problem = &chat.Problem{Type: word(m.Get("attachments", "0", "type"))}
	}
	return p.content
}

// attachmentParts reads one attachment: an address, a title and, for what stands on
// Instagram itself, the id it has there. A file has an address only; a media id would
// be WhatsApp's.
func attachmentParts(p *parts, a *fastjson.Value) {
	kind := word(a.Get("type"))
	if kind == "" {
		return
	}
	payload := a.Get("payload")
	media := chat.Media{Kind: kind, URL: urlOf(payload.Get("url")), Title: clip(bytesOf(payload.Get("title")), nameMax)}
	switch kind {
	case "file":
		media.Kind = "document"
	case "story_mention":
		p.add().Story = &chat.Story{ID: idOf(payload.Get("id")), URL: media.URL, Mention: true}
	}
	for _, key := range [...]string{"ig_post_media_id", "reel_video_id", "story_media_id"} {
		if media.ID = idOf(payload.Get(key)); media.ID != "" {
			break
		}
	}
	if media.URL == "" {
		media.URL = urlOf(a.Get("url")) // where templates have theirs
	}
	if media.Title == "" {
		media.Title = clip(bytesOf(a.Get("title")), nameMax)
	}
	c := p.add()
	c.Media = append(c.Media, media)
}

// instagramReferral reads the advertisement or link that led to a thread.
func instagramReferral(v *fastjson.Value) *chat.Referral {
	r := &chat.Referral{
		Source:   clip(bytesOf(v.Get("source")), nameMax),
		ID:       idOf(v.Get("ad_id")),
		URL:      urlOf(v.Get("referer_uri")),
		Headline: clip(bytesOf(v.Get("ads_context_data", "ad_title")), nameMax),
		Ref:      clip(bytesOf(v.Get("ref")), nameMax),
	}
	if r.ID == "" {
		r.ID = idOf(v.Get("ads_context_data", "post_id"))
	}
	return r
}

// itemParts reads the content of an item that is no message; nil for one that says
// nothing known. What happened to a message that has no id happened to none.
func (d *decoder) itemParts(v *fastjson.Value) *chat.Content {
	if p := v.Get("postback"); p.GetObject() != nil {
		c := &chat.Content{Choice: choiceOf(p)}
		if r := p.Get("referral"); r.GetObject() != nil {
			c.Referral = instagramReferral(r)
		}
		return c
	}
	if r := reactionOf(v.Get("reaction")); r.Target != "" {
		return &chat.Content{Reaction: r}
	}
	if e := editOf(v.Get("message_edit")); e.Target != "" {
		return &chat.Content{Edit: e}
	}
	if control := controlOf(v, d.own); control != nil {
		return &chat.Content{Control: control}
	}
	if r := v.Get("referral"); r.GetObject() != nil {
		return &chat.Content{Referral: instagramReferral(r)}
	}
	if o := v.Get("optin"); o.GetObject() != nil {
		return &chat.Content{Consent: optinOf(o)}
	}
	return nil
}

// reactionOf reads a reaction put on a message or taken off it. Older versions
// have a word and no emoji.
func reactionOf(v *fastjson.Value) *chat.Reaction {
	r := &chat.Reaction{Target: chat.RemoteID(idOf(v.Get("mid")))}
	if string(bytesOf(v.Get("action"))) == "unreact" {
		return r
	}
	if r.Emoji = clip(bytesOf(v.Get("emoji")), wordMax); r.Emoji == "" {
		r.Emoji = word(v.Get("reaction"))
	}
	return r
}

// editOf reads the new text of a message. Its number is one in some documents and
// a string in others.
func editOf(v *fastjson.Value) *chat.Edit {
	n, _ := strconv.Atoi(string(bytesOf(v.Get("num_edit"))))
	return &chat.Edit{Target: chat.RemoteID(idOf(v.Get("mid"))), Text: clip(bytesOf(v.Get("text")), textMax),
		Type: chat.TypeText, Revision: max(0, n)}
}

// choiceOf reads a tap on an ice breaker, a button of a template or the menu.
func choiceOf(v *fastjson.Value) *chat.Choice {
	return &chat.Choice{ID: clip(bytesOf(v.Get("payload")), nameMax), Title: clip(bytesOf(v.Get("title")), nameMax), Kind: "postback"}
}

// threadEvents are the members that say that a thread changes hands, and the words
// for it. The item goes to the app that gains the thread, loses it or is asked for
// it: passed to us it is ours, taken from us it is not. That goes by the word, and
// counts where the item names no app, or our own id is not known.
var threadEvents = [...]struct {
	member, event string
	ours          bool
}{
	{"pass_thread_control", "pass", true},
	{"take_thread_control", "take", false},
	{"request_thread_control", "request", false},
	{"app_roles", "roles", false},
}

// controlOf reads a thread changing hands; nil for other items.
func controlOf(v *fastjson.Value, own []string) *chat.Control {
	for _, e := range threadEvents {
		c := v.Get(e.member)
		if empty(c) {
			continue
		}
		control := &chat.Control{Event: e.event, Ours: e.ours,
			Owner:    idOf(c.Get("new_owner_app_id")),
			Previous: idOf(c.Get("previous_owner_app_id")),
			Metadata: clip(bytesOf(c.Get("metadata")), nameMax),
		}
		if control.Owner == "" {
			control.Owner = idOf(c.Get("requested_owner_app_id"))
		}
		handsOver := control.Event == "pass" || control.Event == "take"
		switch {
		case !handsOver || len(own) == 0:
		case control.Owner != "":
			control.Ours = slices.Contains(own, control.Owner)
		case slices.Contains(own, control.Previous):
			control.Ours = false
		}
		return control
	}
	return nil
}

// optinOf reads a customer allowing marketing messages, or stopping them.
func optinOf(v *fastjson.Value) *chat.Consent {
	status := word(v.Get("notification_messages_status"))
	c := &chat.Consent{Category: "marketing_messages", Word: status, Given: status != "STOP_NOTIFICATIONS"}
	if status == "" {
		c.Word = "optin"
	}
	return c
}

// commentOf reads a comment or mention; nil for other fields.
func commentOf(field string, v *fastjson.Value) *chat.Comment {
	c := &chat.Comment{Live: field == "live_comments", Mention: field == "mentions"}
	if field != "comments" && !c.Live && !c.Mention {
		return nil
	}
	if c.ID = idOf(v.Get("comment_id")); c.ID == "" {
		c.ID = idOf(v.Get("id"))
	}
	c.Parent = idOf(v.Get("parent_id"))
	if c.Media = idOf(v.Get("media", "id")); c.Media == "" {
		c.Media = idOf(v.Get("media_id"))
	}
	c.Ad = idOf(v.Get("media", "ad_id"))
	c.Text = clip(bytesOf(v.Get("text")), textMax)
	return c
}
