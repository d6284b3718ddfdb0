package meta

import (
	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// parts collects what an item says beyond its text. Most say nothing, so the
// Content is made with the first part.
type parts struct{ content *chat.Content }

func (p *parts) add() *chat.Content {
	if p.content == nil {
		p.content = new(chat.Content)
	}
	return p.content
}

// whatsappParts reads the content of a message that is more than plain text. errs
// are the errors beside the message, the only thing left of one that Meta could
// not read.
func whatsappParts(m, errs *fastjson.Value, kind string) *chat.Content {
	var p parts
	object := m.Get(kind)
	switch kind {
	case "image", "video", "audio", "voice", "document", "sticker":
		if object.GetObject() != nil {
			p.add().Media = []chat.Media{whatsappMedia(kind, object)}
		}
	case "location":
		if l := locationOf(object); l != nil {
			p.add().Location = l
		}
	case "contacts":
		if cards := cardsOf(object); cards != nil {
			p.add().Cards = cards
		}
	case "button":
		if object.GetObject() != nil {
			p.add().Choice = &chat.Choice{ID: clip(bytesOf(object.Get("payload")), nameMax),
				Title: clip(bytesOf(object.Get("text")), nameMax), Kind: "button"}
		}
	case "interactive":
		interactiveParts(&p, object)
	case "order":
		if o := orderOf(object); o != nil {
			p.add().Order = o
		}
	case "reaction":
		if target := idOf(object.Get("message_id")); target != "" {
			// A reaction taken off has no emoji, or an empty one.
			p.add().Reaction = &chat.Reaction{Target: chat.RemoteID(target), Emoji: clip(bytesOf(object.Get("emoji")), wordMax)}
		}
	case "system":
		if change := identityOf(m, object); change != nil {
			p.add().Identity = change
		}
	case "edit":
		if target := idOf(object.Get("original_message_id")); target != "" {
			edited := object.Get("message")
			p.add().Edit = &chat.Edit{Target: chat.RemoteID(target), Type: word(edited.Get("type")),
				Text: clip(whatsappText(m, kind), textMax)}
		}
	case "revoke":
		if target := idOf(object.Get("original_message_id")); target != "" {
			p.add().Revoke = &chat.Revoke{Target: chat.RemoteID(target)}
		}
	}
	contextParts(&p, m.Get("context"))
	if r := m.Get("referral"); r.GetObject() != nil {
		p.add().Referral = whatsappReferral(r)
	}
	switch own := m.Get("errors"); {
	case !empty(own):
		problem := problemOf(own)
		problem.Type = word(m.Get("unsupported", "type"))
		p.add().Problem = problem
	case kind == "unsupported":
		p.add().Problem = &chat.Problem{Type: word(m.Get("unsupported", "type"))}
	case p.content == nil && empty(object) && !empty(errs):
		p.add().Problem = problemOf(errs)
	}
	return p.content
}

// contextParts reads what a message refers to, and how it came along.
func contextParts(p *parts, context *fastjson.Value) {
	if product := context.Get("referred_product"); product.GetObject() != nil {
		p.add().Product = &chat.Product{Catalog: idOf(product.Get("catalog_id")), Retailer: idOf(product.Get("product_retailer_id"))}
	}
	switch {
	case truthy(context.Get("frequently_forwarded")):
		p.add().Forwarded = "frequently_forwarded"
	case truthy(context.Get("forwarded")):
		p.add().Forwarded = "forwarded"
	}
}

// problemOf is the first of a list of Meta's errors.
func problemOf(errs *fastjson.Value) *chat.Problem {
	problem := new(chat.Problem)
	var lone [1]*fastjson.Value
	for _, e := range listOf(errs, lone[:]) {
		problem.Code, problem.Detail = firstError(e)
		problem.Title = clip(bytesOf(e.Get("title")), nameMax)
		break
	}
	return problem
}

// urlOf is an address to fetch something from. One that is too long is none: cut
// off it would lead elsewhere.
func urlOf(v *fastjson.Value) string {
	b := bytesOf(v)
	if len(b) > urlMax {
		return ""
	}
	return textOf(b)
}

// firstOf shortens a list to what a Content holds.
func firstOf(list []*fastjson.Value) []*fastjson.Value { return list[:min(len(list), listMax)] }
