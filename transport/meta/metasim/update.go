package metasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// UpdateKind tells what one update is.
type UpdateKind string

// The update kinds. What customers do is WhatsApp's and Instagram's unless said
// otherwise; the words in brackets are what Instagram makes of it.
const (
	UpdateText         UpdateKind = "text"
	UpdateImage        UpdateKind = "image" // with Text as the caption on WhatsApp
	UpdateVideo        UpdateKind = "video" // likewise
	UpdateAudio        UpdateKind = "audio"
	UpdateVoice        UpdateKind = "voice"           // WhatsApp only
	UpdateDocument     UpdateKind = "document"        // with Text as the caption on WhatsApp (file)
	UpdateSticker      UpdateKind = "sticker"         // (like_heart)
	UpdateLocation     UpdateKind = "location"        // WhatsApp only; Text is the place's name
	UpdateContacts     UpdateKind = "contacts"        // WhatsApp only; Text is a name
	UpdateButton       UpdateKind = "button"          // a template's button (a postback)
	UpdateButtonReply  UpdateKind = "button_reply"    // (a quick reply)
	UpdateListReply    UpdateKind = "list_reply"      // WhatsApp only
	UpdateFormReply    UpdateKind = "form_reply"      // WhatsApp only: a flow was filled in
	UpdateOrder        UpdateKind = "order"           // WhatsApp only
	UpdateReaction     UpdateKind = "reaction"        // Text is the emoji, About the message
	UpdateUnreaction   UpdateKind = "unreaction"      // a reaction taken back
	UpdateSystem       UpdateKind = "system"          // WhatsApp only: the customer's identity changed
	UpdateWelcome      UpdateKind = "request_welcome" // WhatsApp only: the chat was opened for the first time
	UpdateEdit         UpdateKind = "edit"            // Text is the new text of About
	UpdateRevoke       UpdateKind = "revoke"          // About was withdrawn
	UpdateUnsupported  UpdateKind = "unsupported"
	UpdateShare        UpdateKind = "share"         // Instagram only: a post
	UpdateReel         UpdateKind = "reel"          // Instagram only
	UpdateStoryMention UpdateKind = "story_mention" // Instagram only
	UpdateStoryReply   UpdateKind = "story_reply"   // Instagram only
	UpdateReferral     UpdateKind = "referral"      // Instagram only: a link led into the chat
	UpdateComment      UpdateKind = "comment"       // Instagram only: below a post; see Server.Comment
	UpdateLiveComment  UpdateKind = "live_comment"  // Instagram only: on a broadcast
	UpdateUnknown      UpdateKind = "unknown"       // a type no client knows yet

	UpdateStatus UpdateKind = "status" // WhatsApp only
	UpdateEcho   UpdateKind = "echo"   // the business wrote: from another app, or Instagram's echo of a send
	UpdateRead   UpdateKind = "read"   // Instagram only
)

// Update is one thing Meta tells the business. The zero value of a field means
// that the payload does not carry it.
type Update struct {
	Kind     UpdateKind
	Account  Account
	Customer Customer
	// RemoteID is the wamid or mid of the message, or of the message a status
	// or read is about.
	RemoteID string
	// Number counts the customer messages of a conversation; only the ledger
	// carries it.
	Number int64
	Text   string
	// About is the message that is answered, reacted to, edited or withdrawn.
	About string
	// Attachment is the type of what an Instagram echo shows instead of a text.
	Attachment string
	// Status is sent, delivered, read, played or failed, of an UpdateStatus.
	Status string
	// Code is the error code of a failed status.
	Code int
	// Callback is echoed in a status as biz_opaque_callback_data.
	Callback string
	// At is when it happened.
	At time.Time
	// files is the base URL of the server that has its files; empty for none.
	files string
}

// Body encodes updates as one webhook body, in Meta's escaping. Consecutive
// updates of an account share an entry, and consecutive WhatsApp updates of one
// sort share a change value, as Meta batches them. All updates must be of
// accounts of one Kind.
func Body(updates ...Update) ([]byte, error) {
	if len(updates) == 0 {
		return nil, fmt.Errorf("metasim: a body needs an update")
	}
	kind := updates[0].Account.Kind
	n := notification{Object: "whatsapp_business_account"}
	if kind == Instagram {
		n.Object = "instagram"
	}
	for i, u := range updates {
		if u.Account.Kind != kind {
			return nil, fmt.Errorf("metasim: %s and %s updates in one body", kind, u.Account.Kind)
		}
		if i == 0 || updates[i-1].Account.ID != u.Account.ID {
			n.Entry = append(n.Entry, entry{})
		}
		e := &n.Entry[len(n.Entry)-1]
		var err error
		if kind == Instagram {
			err = e.addInstagram(u)
		} else {
			err = e.addWhatsApp(u)
		}
		if err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(n); err != nil {
		return nil, fmt.Errorf("metasim: encoding a body: %w", err)
	}
	return Escape(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

type notification struct {
	Object string  `json:"object"`
	Entry  []entry `json:"entry"`
}

type entry struct {
	ID        string            `json:"id"`
	Time      int64             `json:"time,omitempty"`
	Changes   []change          `json:"changes,omitempty"`
	Messaging []json.RawMessage `json:"messaging,omitempty"`
}

// object is a JSON object with few keys; encoding/json writes them sorted, so
// bodies are the same in every run.
type object map[string]any

func raw(o object) (json.RawMessage, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(o); err != nil {
		return nil, fmt.Errorf("metasim: encoding an update: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
