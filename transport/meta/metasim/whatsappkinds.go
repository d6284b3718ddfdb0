package metasim

import "encoding/json"

// whatsAppKinds are the messages of customers on WhatsApp: each sets type and
// content of o.
var whatsAppKinds = map[UpdateKind]func(u *Update, o object){
	UpdateText:  func(u *Update, o object) { o.content("text", object{"body": u.Text}) },
	UpdateImage: func(u *Update, o object) { o.content("image", u.file("image/jpeg", u.Text)) },
	UpdateVideo: func(u *Update, o object) { o.content("video", u.file("video/mp4", u.Text)) },
	UpdateAudio: func(u *Update, o object) { o.content("audio", u.file("audio/mpeg", "").with("voice", false)) },
	UpdateVoice: func(u *Update, o object) {
		o.content("audio", u.file("audio/ogg; codecs=opus", "").with("voice", true))
	},
	UpdateDocument: func(u *Update, o object) {
		o.content("document", u.file("application/pdf", u.Text).with("filename", "document.pdf"))
	},
	UpdateSticker: func(u *Update, o object) { o.content("sticker", u.file("image/webp", "").with("animated", false)) },
	UpdateLocation: func(u *Update, o object) {
		location := object{"latitude": 52.5163, "longitude": 13.3777}
		setIf(location, "name", u.Text)
		o.content("location", location)
	},
	UpdateContacts: func(u *Update, o object) {
		name := shown("contact", u.Text)
		o.content("contacts", []object{{"name": object{"formatted_name": name, "first_name": name},
			"phones": []object{{"phone": "+49 155 50100099", "wa_id": "4915550100099", "type": "CELL"}}}})
	},
	UpdateButton: func(u *Update, o object) { o.content("button", object{"payload": u.payload(), "text": u.Text}) },
	UpdateButtonReply: func(u *Update, o object) {
		o.content("interactive", object{"type": "button_reply", "button_reply": object{"id": u.payload(), "title": u.Text}})
	},
	UpdateListReply: func(u *Update, o object) {
		o.content("interactive", object{"type": "list_reply", "list_reply": object{"id": u.payload(), "title": u.Text}})
	},
	UpdateFormReply: func(u *Update, o object) {
		response, err := json.Marshal(object{"flow_token": u.payload(), "note": u.Text})
		if err != nil {
			panic(err) // strings always encode
		}
		o.content("interactive", object{"type": "nfm_reply",
			"nfm_reply": object{"name": "flow", "body": "Sent", "response_json": string(response)}})
	},
	UpdateOrder: func(u *Update, o object) {
		order := object{"catalog_id": "700000000000001", "product_items": []object{
			{"product_retailer_id": "sku-1", "quantity": 2, "item_price": 4.5, "currency": "EUR"}}}
		setIf(order, "text", u.Text)
		o.content("order", order)
	},
	UpdateReaction:   func(u *Update, o object) { o.content("reaction", object{"message_id": u.About, "emoji": u.Text}) },
	UpdateUnreaction: func(u *Update, o object) { o.content("reaction", object{"message_id": u.About}) },
	UpdateSystem: func(u *Update, o object) {
		o.content("system", object{"body": u.Text, "type": "customer_identity_changed"})
	},
	UpdateWelcome: func(_ *Update, o object) { o["type"] = "request_welcome" },
	UpdateEdit: func(u *Update, o object) {
		o.content("edit", object{"original_message_id": u.About, "message": object{"type": "text", "text": object{"body": u.Text}}})
	},
	UpdateRevoke: func(u *Update, o object) { o.content("revoke", object{"original_message_id": u.About}) },
	UpdateUnsupported: func(_ *Update, o object) {
		o["errors"] = []object{{"code": 131051, "title": "Message type unknown", "message": "Message type unknown",
			"error_data": object{"details": "Message type is currently not supported."}}}
		o["type"] = "unsupported"
	},
	UpdateUnknown: func(u *Update, o object) { o.content("hologram", object{"projection": u.Text}) },
}

// whatsAppMessage sets what the customer sent.
func (u *Update) whatsAppMessage(o object) {
	whatsAppKinds[u.Kind](u, o)
	switch u.Kind {
	case UpdateReaction, UpdateUnreaction, UpdateEdit, UpdateRevoke:
	default:
		if u.About != "" {
			o["context"] = object{"from": u.Account.display(), "id": u.About}
		}
	}
}

// file is uploaded media, as a webhook names it.
func (u *Update) file(mimeType, caption string) object {
	o := object{"id": mediaID(u.RemoteID), "mime_type": mimeType, "sha256": hashOf(FileContents(u.RemoteID, mimeType))}
	setIf(o, "caption", caption)
	return o
}

// payload is what the business put behind a button.
func (u *Update) payload() string { return "payload of " + u.Text }

// content sets type and content.
func (o object) content(kind string, v any) { o["type"], o[kind] = kind, v }

func (o object) with(key string, v any) object {
	o[key] = v
	return o
}

func setIf(o object, key, v string) {
	if v != "" {
		o[key] = v
	}
}
