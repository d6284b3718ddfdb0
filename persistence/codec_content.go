package persistence

import (
	"encoding/json"

	"github.com/chumiai/chumi/chat"
)

// encodeContent is the stored form of a content: its JSON, which the API shows
// too. Nearly all messages have none.
func encodeContent(c *chat.Content) ([]byte, error) {
	if c == nil {
		return nil, nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a content cannot be encoded", nil)
	}
	return b, nil
}

func decodeContent(b []byte) (*chat.Content, error) {
	if len(b) == 0 {
		return nil, nil
	}
	return decodeJSON[chat.Content](b)
}

func decodeJSON[T any](b []byte) (*T, error) {
	v := new(T)
	if json.Unmarshal(b, v) != nil {
		return nil, errRecord("a content is unreadable")
	}
	return v, nil
}

// contactMore is what a contact may have beside name and addresses.
type contactMore struct {
	Former   []chat.Address    `json:"former,omitempty"`
	Links    []chat.ContactID  `json:"links,omitempty"`
	Apart    []chat.ContactID  `json:"apart,omitempty"`
	Link     *chat.ContactLink `json:"link,omitempty"`
	Consents []chat.ConsentAt  `json:"consents,omitempty"`
	Profile  *chat.Profile     `json:"profile,omitempty"`
}

// contactExtra is what few contacts have, as JSON; nil for most.
func contactExtra(c *chat.Contact) ([]byte, error) {
	if len(c.Former) == 0 && len(c.Links) == 0 && len(c.Apart) == 0 && c.Link == nil && len(c.Consents) == 0 && c.Profile == nil {
		return nil, nil
	}
	b, err := json.Marshal(contactMore{Former: c.Former, Links: c.Links, Apart: c.Apart, Link: c.Link, Consents: c.Consents, Profile: c.Profile})
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a contact cannot be encoded", nil)
	}
	return b, nil
}

// readContactExtra is the inverse of contactExtra.
func readContactExtra(b []byte, c *chat.Contact) error {
	if len(b) == 0 {
		return nil
	}
	more, err := decodeJSON[contactMore](b)
	if err != nil {
		return err
	}
	c.Former, c.Links, c.Apart, c.Link, c.Consents, c.Profile = more.Former, more.Links, more.Apart, more.Link, more.Consents, more.Profile
	return nil
}
