package metasim

import (
	"encoding/json"
	"fmt"
	"strconv"
)

type change struct {
	// Value is a *value on WhatsApp, and what the field has on Instagram.
	Value any    `json:"value"`
	Field string `json:"field"`
}

type value struct {
	Product  string            `json:"messaging_product"`
	Metadata metadata          `json:"metadata"`
	Contacts []contact         `json:"contacts,omitempty"`
	Messages []json.RawMessage `json:"messages,omitempty"`
	Statuses []json.RawMessage `json:"statuses,omitempty"`
	Echoes   []json.RawMessage `json:"message_echoes,omitempty"`
}

type metadata struct {
	Display       string `json:"display_phone_number"`
	PhoneNumberID string `json:"phone_number_id"`
}

type contact struct {
	Profile profile `json:"profile"`
	WaID    string  `json:"wa_id,omitempty"`
	UserID  string  `json:"user_id,omitempty"`
}

type profile struct {
	Name string `json:"name,omitempty"`
}

const (
	fieldMessages = "messages"
	fieldEchoes   = "smb_message_echoes"
)

// addWhatsApp appends the update to the entry's last change if that holds the
// same sort of thing, else to a new one. A value never mixes messages and
// statuses, so that the order of the updates stays the order of the bytes.
func (e *entry) addWhatsApp(u Update) error {
	e.ID = u.Account.waba()
	node, field, err := u.whatsApp()
	if err != nil {
		return err
	}
	if n := len(e.Changes); n == 0 || !e.Changes[n-1].takes(u.Kind, field) {
		e.Changes = append(e.Changes, change{Field: field, Value: &value{
			Product:  "whatsapp",
			Metadata: metadata{Display: u.Account.display(), PhoneNumberID: u.Account.ID},
		}})
	}
	v := e.Changes[len(e.Changes)-1].Value.(*value)
	switch u.Kind {
	case UpdateStatus:
		v.Statuses = append(v.Statuses, node)
	case UpdateEcho:
		v.Echoes = append(v.Echoes, node)
	default:
		v.Messages = append(v.Messages, node)
		v.addContact(u.Customer)
	}
	return nil
}

func (c *change) takes(k UpdateKind, field string) bool {
	v := c.Value.(*value)
	return c.Field == field && (k == UpdateStatus) == (len(v.Statuses) > 0)
}

func (v *value) addContact(c Customer) {
	for _, have := range v.Contacts {
		if have.WaID == c.ID && have.UserID == c.UserID {
			return
		}
	}
	v.Contacts = append(v.Contacts, contact{Profile: profile{Name: c.Name}, WaID: c.ID, UserID: c.UserID})
}

// whatsApp encodes the item of the update and names the field it goes under.
func (u Update) whatsApp() (json.RawMessage, string, error) {
	o := object{"id": u.RemoteID, "timestamp": strconv.FormatInt(u.At.Unix(), 10)}
	field := fieldMessages
	switch u.Kind {
	case UpdateStatus:
		o["status"] = u.Status
		u.whatsAppStatus(o)
	case UpdateEcho:
		field = fieldEchoes
		o["from"], o["to"] = u.Account.display(), u.Customer.ID
		o["type"], o["text"] = "text", object{"body": u.Text}
	default:
		if whatsAppKinds[u.Kind] == nil {
			return nil, "", fmt.Errorf("metasim: WhatsApp has no %q update", u.Kind)
		}
		setIf(o, "from", u.Customer.ID)
		setIf(o, "from_user_id", u.Customer.UserID)
		u.whatsAppMessage(o)
	}
	node, err := raw(o)
	return node, field, err
}

func (u Update) whatsAppStatus(o object) {
	setIf(o, "recipient_id", u.Customer.ID)
	setIf(o, "recipient_user_id", u.Customer.UserID)
	setIf(o, "biz_opaque_callback_data", u.Callback)
	switch u.Status {
	case "failed":
		o["errors"] = []object{{"code": u.Code, "title": "Message undeliverable", "message": "Message undeliverable",
			"error_data": object{"details": "Message Undeliverable."}}}
	case "sent", "delivered":
		o["pricing"] = object{"billable": false, "pricing_model": "PMP", "category": "service", "type": "free_customer_service"}
	}
}
