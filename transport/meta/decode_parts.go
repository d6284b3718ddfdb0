package meta

import (
	"math"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// whatsappMedia reads the file of a message. A voice note is an audio with a flag;
// the type voice is of the on-premises API.
func whatsappMedia(kind string, v *fastjson.Value) chat.Media {
	if kind == "audio" && truthy(v.Get("voice")) {
		kind = "voice"
	}
	return chat.Media{
		Kind:     kind,
		ID:       idOf(v.Get("id")),
		URL:      urlOf(v.Get("url")),
		MIME:     clip(bytesOf(v.Get("mime_type")), wordMax),
		SHA256:   clip(bytesOf(v.Get("sha256")), wordMax),
		Filename: clip(bytesOf(v.Get("filename")), nameMax),
		Animated: truthy(v.Get("animated")),
	}
}

// locationOf reads a place; nil without a point on the globe.
func locationOf(v *fastjson.Value) *chat.Location {
	latitude, ok := degrees(v.Get("latitude"), 90)
	longitude, also := degrees(v.Get("longitude"), 180)
	if !ok || !also {
		return nil
	}
	return &chat.Location{
		Latitude:  latitude,
		Longitude: longitude,
		Name:      clip(bytesOf(v.Get("name")), nameMax),
		Address:   clip(bytesOf(v.Get("address")), nameMax),
		URL:       urlOf(v.Get("url")),
	}
}

func degrees(v *fastjson.Value, limit float64) (float64, bool) {
	f, err := strconv.ParseFloat(string(bytesOf(v)), 64)
	// NaN is neither.
	return f, err == nil && math.Abs(f) <= limit
}

// cardsOf reads shared contacts.
func cardsOf(v *fastjson.Value) []chat.Card {
	var lone, lonePhone, loneEmail [1]*fastjson.Value
	list := firstOf(listOf(v, lone[:]))
	if len(list) == 0 {
		return nil
	}
	cards := make([]chat.Card, 0, len(list))
	for _, c := range list {
		card := chat.Card{
			Name:   clip(bytesOf(c.Get("name", "formatted_name")), nameMax),
			Org:    clip(bytesOf(c.Get("org", "company")), nameMax),
			Origin: word(c.Get("origin")),
		}
		for _, p := range firstOf(listOf(c.Get("phones"), lonePhone[:])) {
			card.Phones = append(card.Phones, chat.CardPhone{Number: clip(bytesOf(p.Get("phone")), wordMax),
				WaID: idOf(p.Get("wa_id")), Type: word(p.Get("type"))})
		}
		for _, e := range firstOf(listOf(c.Get("emails"), loneEmail[:])) {
			if email := clip(bytesOf(e.Get("email")), nameMax); email != "" {
				card.Emails = append(card.Emails, email)
			}
		}
		cards = append(cards, card)
	}
	return cards
}

// interactiveParts reads the answer to an interactive message.
func interactiveParts(p *parts, v *fastjson.Value) {
	for _, kind := range [...]string{"button_reply", "list_reply"} {
		if reply := v.Get(kind); reply.GetObject() != nil {
			p.add().Choice = &chat.Choice{
				ID:          clip(bytesOf(reply.Get("id")), nameMax),
				Title:       clip(bytesOf(reply.Get("title")), nameMax),
				Description: clip(bytesOf(reply.Get("description")), nameMax),
				Kind:        kind,
			}
			return
		}
	}
	if reply := v.Get("call_permission_reply"); reply.GetObject() != nil {
		p.add().Choice = &chat.Choice{ID: word(reply.Get("response")), Kind: "call_permission_reply",
			Until: timeOf(reply.Get("expiration_timestamp")), Permanent: truthy(reply.Get("is_permanent"))}
		return
	}
	if reply := v.Get("nfm_reply"); reply.GetObject() != nil {
		p.add().Form = formOf(reply)
	}
}

// formOf reads a filled form. Its response is JSON within a string; the token that
// tells which form it is stands inside, if the business gave one.
func formOf(v *fastjson.Value) *chat.Form {
	form := &chat.Form{Name: clip(bytesOf(v.Get("name")), nameMax)}
	response := v.Get("response_json")
	if response == nil || response.Type() == fastjson.TypeNull {
		return form
	}
	text := bytesOf(response)
	if text == nil {
		text = response.MarshalTo(nil)
	}
	form.Response = clip(text, textMax)
	var parser fastjson.Parser // the pooled one holds the body
	if inner, err := parser.ParseBytes(text); err == nil {
		form.Token = clip(bytesOf(inner.Get("flow_token")), nameMax)
	}
	return form
}

// orderOf reads a cart. Numbers keep their digits: a price through a float would
// be another one.
func orderOf(v *fastjson.Value) *chat.Order {
	if v.GetObject() == nil {
		return nil
	}
	order := &chat.Order{Catalog: idOf(v.Get("catalog_id"))}
	var lone [1]*fastjson.Value
	for _, i := range firstOf(listOf(v.Get("product_items"), lone[:])) {
		order.Items = append(order.Items, chat.OrderItem{
			Product:  idOf(i.Get("product_retailer_id")),
			Quantity: clip(bytesOf(i.Get("quantity")), wordMax),
			Price:    clip(bytesOf(i.Get("item_price")), wordMax),
			Currency: word(i.Get("currency")),
		})
	}
	return order
}

// whatsappReferral reads the advertisement or post that led to a message.
func whatsappReferral(v *fastjson.Value) *chat.Referral {
	return &chat.Referral{
		Source:   word(v.Get("source_type")),
		ID:       idOf(v.Get("source_id")),
		URL:      urlOf(v.Get("source_url")),
		Headline: clip(bytesOf(v.Get("headline")), nameMax),
		Body:     clip(bytesOf(v.Get("body")), textMax),
		Ref:      clip(bytesOf(v.Get("ref")), nameMax),
		Click:    clip(bytesOf(v.Get("ctwa_clid")), nameMax),
	}
}
