package chat

import (
	"math"
	"unicode/utf8"
)

// Limits of WhatsApp in characters, and of lists in items. Meta, Cloud API: messages
// of each type, and the OpenAPI description of the messages edge.
const (
	CaptionMax    = 1024 // image, video, document messages
	filenameMax   = 240  // the engine's own: what phones and disks take
	placeNameMax  = 1000 // the engine's own: Meta names no limit of a location
	CardMax       = 257  // contacts messages
	cardTextMax   = 1000 // the engine's own
	pinDaysMax    = 30   // groups: pin and unpin
	latitudeMax   = 90
	longitudeMax  = 180
	emojiBytesMax = 64 // the longest sequence of Unicode has 35 bytes
)

func (c *checker) whatsApp(m *Message) {
	o := offer(m)
	c.absent("quick_replies", len(o.QuickReplies) > 0, "WhatsApp has interactive messages")
	c.absent("human_agent", o.Human, "only Instagram has the tag")
	c.absent("private_reply", o.Comment != "", "only Instagram has comments")
	if m.ReplyTo != "" {
		c.absent("reply_to", m.Type == TypeReaction || m.Type == TypePin, "a message of this type names its message itself")
		c.remote("reply_to", m.ReplyTo)
	}
	switch m.Type {
	case TypeText:
		c.text(WhatsApp, m.Text)
	case TypeImage, TypeVideo, TypeAudio, TypeDocument, TypeSticker:
		c.whatsAppMedia(m)
	case TypeLocation:
		c.location("location", content(m).Location)
	case TypeContacts:
		c.cards(o.Contacts)
	case TypeReaction:
		c.reaction(content(m).Reaction)
	case TypeInteractive:
		c.interactive(o.Interactive)
	case TypeTemplate:
		c.template(o.Template)
	case TypePin:
		c.pin(o.Pin)
	default:
		c.fail("type", "type_not_supported", "type must be one WhatsApp has: text, image, video, audio, document, sticker, location, contacts, reaction, interactive, template or pin.")
	}
}

// text checks a text message: characters on WhatsApp, bytes on Instagram.
func (c *checker) text(kind ChannelKind, text string) {
	c.needed("text", text, math.MaxInt)
	if !FitsText(kind, text) {
		unit, max := "characters", WhatsAppTextMax
		if kind == Instagram {
			unit, max = "bytes", InstagramTextMax
		}
		c.fail("text", "text_too_long", "text must be at most %d %s long.", max, unit)
	}
}

func (c *checker) whatsAppMedia(m *Message) {
	f := c.oneFile(m.Type, content(m).Media)
	captioned := m.Type != TypeAudio && m.Type != TypeSticker
	c.absent(m.Type+".caption", m.Text != "" && !captioned, "only images, videos and documents have captions")
	c.atMost(m.Type+".caption", m.Text, CaptionMax)
	c.absent(m.Type+".filename", f.Filename != "" && m.Type != TypeDocument, "only documents have names")
	c.atMost(m.Type+".filename", f.Filename, filenameMax)
	c.absent(m.Type+".voice", f.Kind == MediaVoice && m.Type != TypeAudio, "only audio can be a voice note")
}

func (c *checker) location(param string, l *Location) {
	if l == nil {
		c.missing(param)
		return
	}
	c.degrees(param+".latitude", l.Latitude, latitudeMax)
	c.degrees(param+".longitude", l.Longitude, longitudeMax)
	c.atMost(param+".name", l.Name, placeNameMax)
	c.atMost(param+".address", l.Address, placeNameMax)
	c.absent(param+".url", l.URL != "", "only customers share places with one")
}

func (c *checker) degrees(param string, v, max float64) {
	if math.IsNaN(v) || v < -max || v > max {
		c.invalid(param, "must be from %v to %v degrees.", -max, max)
	}
}

func (c *checker) cards(cards []ContactCard) {
	c.count("contacts", len(cards), 1, CardMax)
	for i := range cards {
		at := item("contacts", i)
		n := &cards[i].Name
		c.needed(at+".name.formatted_name", n.Formatted, cardTextMax)
		for _, part := range [...]struct{ name, value string }{
			{"first_name", n.First}, {"middle_name", n.Middle}, {"last_name", n.Last}, {"prefix", n.Prefix}, {"suffix", n.Suffix},
		} {
			c.atMost(at+".name."+part.name, part.value, cardTextMax)
		}
		if n.First+n.Middle+n.Last+n.Prefix+n.Suffix == "" {
			c.invalid(at+".name", "needs a part besides formatted_name, such as first_name.")
		}
		c.cardLists(at, &cards[i])
	}
}

// cardLists checks the ways to reach the person of a card.
func (c *checker) cardLists(at string, card *ContactCard) {
	for j := range card.Phones {
		c.needed(item(at+".phones", j)+".phone", card.Phones[j].Number, cardTextMax)
	}
	for j := range card.Emails {
		c.needed(item(at+".emails", j)+".email", card.Emails[j].Email, cardTextMax)
	}
	for j := range card.URLs {
		c.needed(item(at+".urls", j)+".url", card.URLs[j].URL, linkMax)
	}
	if b := card.Birthday; b != "" && (len(b) != len("2006-01-02") || b[4] != '-' || b[7] != '-') {
		c.invalid(at+".birthday", "must be written as YYYY-MM-DD.")
	}
}

// reaction checks a reaction; one without an emoji takes it back.
func (c *checker) reaction(r *Reaction) {
	if r == nil {
		c.missing("reaction")
		return
	}
	c.remote("reaction.message_id", r.Target)
	if r.Emoji == "" {
		return
	}
	if !utf8.ValidString(r.Emoji) || len(r.Emoji) > emojiBytesMax || characters(r.Emoji) != 1 || r.Emoji[0] < utf8.RuneSelf && !keycap(r.Emoji) {
		c.invalid("reaction.emoji", "must be one emoji, or empty to take the reaction back.")
	}
}

// keycap reports whether an emoji that begins with an ASCII character is one: a
// digit, # or * under U+20E3.
func keycap(s string) bool {
	last, _ := utf8.DecodeLastRuneInString(s)
	return last == 0x20E3
}

func (c *checker) pin(p *Pin) {
	if p == nil {
		c.missing("pin")
		return
	}
	c.oneOf("pin.type", p.Type, "pin", "unpin")
	c.remote("pin.message_id", p.Target)
	switch {
	case p.Type == "pin" && (p.Days < 1 || p.Days > pinDaysMax):
		c.invalid("pin.expiration_days", "must be from 1 to %d days.", pinDaysMax)
	case p.Type == "unpin":
		c.absent("pin.expiration_days", p.Days != 0, "unpinning has no end")
	}
}
