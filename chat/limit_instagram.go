package chat

// Limits of Instagram messages: characters, or items where they count something.
// Meta, Instagram Platform: messaging API, quick replies, generic and button templates.
const (
	QuickReplyMax      = 13
	QuickTitleMax      = 20 // Meta cuts longer ones
	QuickPayloadMax    = 1000
	ElementMax         = 10
	ElementTextMax     = 80
	ElementButtonMax   = 3
	ButtonTextMax      = 640
	InstagramImageMax  = 10
	InstagramButtonMax = 20 // characters of a button's title
	postIDMax          = 64
	commentIDMax       = 128 // the engine's own: Meta's have some 30 characters
)

func (c *checker) instagram(m *Message) {
	o := offer(m)
	c.absent("preview_url", o.PreviewURL, "Instagram shows previews as it likes")
	c.absent("reply_to", m.ReplyTo != "", "the Instagram API cannot quote a message")
	c.absent("quick_replies", len(o.QuickReplies) > 0 && m.Type != TypeText, "they stand under a text")
	c.absent("human_agent", o.Human && m.Type == TypeReaction, "only messages carry the tag")
	if o.Comment != "" {
		c.atMost("private_reply.comment_id", o.Comment, commentIDMax)
		c.absent("private_reply", m.Type != TypeText || len(o.QuickReplies) > 0, "a private reply is a text")
		c.absent("human_agent", o.Human, "a private reply has a window of its own")
	}
	switch m.Type {
	case TypeText:
		c.text(Instagram, m.Text)
		c.quickReplies(o.QuickReplies)
	case TypeImage, TypeVideo, TypeAudio, TypeFile:
		c.instagramMedia(m)
	case TypeReaction:
		c.instagramReaction(content(m).Reaction)
	case TypeLikeHeart:
	case TypeMediaShare:
		c.needed("media_share.id", o.Share, postIDMax)
	case TypeGenericTemplate:
		c.generic(o.Generic)
	case TypeButtonTemplate:
		c.buttonTemplate(o.Buttons)
	default:
		c.fail("type", "type_not_supported", "type must be one Instagram has: text, image, video, audio, file, reaction, like_heart, media_share, generic_template or button_template.")
	}
}

func (c *checker) instagramMedia(m *Message) {
	media := content(m).Media
	c.absent(m.Type+".caption", m.Text != "", "Instagram sends words as a message of their own")
	max, list := 1, m.Type
	if m.Type == TypeImage {
		max = InstagramImageMax
	}
	if len(media) > 1 {
		list = "images"
	}
	c.count(list, len(media), 1, max)
	for i := range media {
		at := list
		if len(media) > 1 {
			at = item(list, i)
		}
		f := &media[i]
		c.source(at, f.ID, f.URL, f.Blob)
		c.absent(at+".filename", f.Filename != "", "Instagram has no names of files")
		c.absent(at+".voice", f.Kind == MediaVoice, "Instagram has no voice notes of the business")
	}
}

// InstagramHeart is the one reaction that a business can give on Instagram.
const InstagramHeart = "❤️"

// instagramReaction checks a reaction: a heart, or none to take it back.
func (c *checker) instagramReaction(r *Reaction) {
	if r == nil {
		c.missing("reaction")
		return
	}
	c.remote("reaction.message_id", r.Target)
	switch r.Emoji {
	case "", "love", InstagramHeart, "❤":
	default:
		c.invalid("reaction.emoji", "must be %s, the one reaction a business has on Instagram, or empty to take it back.", InstagramHeart)
	}
}

func (c *checker) quickReplies(list []QuickReply) {
	c.count("quick_replies", len(list), 0, QuickReplyMax)
	for i := range list {
		q, at := &list[i], item("quick_replies", i)
		c.oneOf(at+".content_type", q.Type, "text", "user_phone_number", "user_email")
		if q.Type != "text" {
			c.absent(at+".title", q.Title != "", "the phone has the words")
			c.absent(at+".payload", q.Payload != "", "the answer is what the customer gives")
			c.absent(at+".image_url", q.Image != "", "it has no picture")
			continue
		}
		c.needed(at+".title", q.Title, QuickTitleMax)
		c.needed(at+".payload", q.Payload, QuickPayloadMax)
		if q.Image != "" {
			c.link(at+".image_url", q.Image)
		}
	}
}

func (c *checker) generic(g *GenericTemplate) {
	if g == nil {
		c.missing("generic_template")
		return
	}
	const list = "generic_template.elements"
	c.count(list, len(g.Elements), 1, ElementMax)
	for i := range g.Elements {
		e, at := &g.Elements[i], item(list, i)
		c.needed(at+".title", e.Title, ElementTextMax)
		c.atMost(at+".subtitle", e.Subtitle, ElementTextMax)
		if e.Subtitle == "" && e.Image == "" && e.Default == nil && len(e.Buttons) == 0 {
			c.invalid(at, "needs something besides its title.")
		}
		if e.Image != "" {
			c.link(at+".image_url", e.Image)
		}
		if e.Default != nil {
			c.oneOf(at+".default_action.type", e.Default.Type, "web_url")
			c.link(at+".default_action.url", e.Default.URL)
		}
		c.taps(at+".buttons", e.Buttons, 0)
	}
}

func (c *checker) buttonTemplate(b *ButtonTemplate) {
	if b == nil {
		c.missing("button_template")
		return
	}
	c.needed("button_template.text", b.Text, ButtonTextMax)
	c.taps("button_template.buttons", b.Buttons, 1)
}

func (c *checker) taps(list string, buttons []TapButton, min int) {
	c.count(list, len(buttons), min, ElementButtonMax)
	for i := range buttons {
		b, at := &buttons[i], item(list, i)
		c.oneOf(at+".type", b.Type, "web_url", "postback")
		c.needed(at+".title", b.Title, InstagramButtonMax)
		switch b.Type {
		case "web_url":
			c.link(at+".url", b.URL)
			c.absent(at+".payload", b.Payload != "", "a web_url button has a url")
		case "postback":
			c.needed(at+".payload", b.Payload, QuickPayloadMax)
			c.absent(at+".url", b.URL != "", "a postback button has a payload")
		}
	}
}
