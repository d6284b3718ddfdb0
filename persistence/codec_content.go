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
	Doubt    *chat.Doubt       `json:"doubt,omitempty"`
	Profile  *chat.Profile     `json:"profile,omitempty"`
	Fields   map[string]string `json:"fields,omitempty"`
}

// contactExtra is what few contacts have, as JSON; nil for most.
func contactExtra(c *chat.Contact) ([]byte, error) {
	if len(c.Former) == 0 && len(c.Links) == 0 && len(c.Apart) == 0 && c.Link == nil && len(c.Consents) == 0 && c.Doubt == nil && c.Profile == nil && len(c.Fields) == 0 {
		return nil, nil
	}
	b, err := json.Marshal(contactMore{Former: c.Former, Links: c.Links, Apart: c.Apart, Link: c.Link, Consents: c.Consents, Doubt: c.Doubt, Profile: c.Profile, Fields: c.Fields})
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
	c.Doubt, c.Fields = more.Doubt, more.Fields
	return nil
}

// turnMore is what a step of a turn may have beside what recordpb.Turn holds.
type turnMore struct {
	Version  chat.AssistantRef `json:"version,omitempty"`
	Reserved chat.Money        `json:"reserved,omitempty"`
	Cost     chat.Money        `json:"cost,omitempty"`
	Tokens   *chat.Tokens      `json:"tokens,omitempty"`
	Provider string            `json:"provider,omitempty"`
	Request  string            `json:"request,omitempty"`
	Calls    []chat.ToolCall   `json:"calls,omitempty"`
	Response *chat.Response    `json:"response,omitempty"`
	Saw      []chat.Passage    `json:"saw,omitempty"`
	Facts    []string          `json:"facts,omitempty"`
	Horizon  chat.Seq          `json:"horizon,omitempty"`
	Made     *chat.Made        `json:"made,omitempty"`
}

// summaryMore is what a summary has beside what recordpb.Summary holds.
type summaryMore struct {
	chat.Tokens
	Digest  string            `json:"digest,omitempty"`
	Version chat.AssistantRef `json:"version,omitempty"`
	First   chat.Seq          `json:"first,omitempty"`
	Horizon chat.Seq          `json:"horizon,omitempty"`
}

// turnExtra is turnMore as JSON; nil when there is none of it.
func turnExtra(r *chat.TurnRecord) ([]byte, error) {
	if r.Version == "" && r.Reserved == 0 && r.Cost == 0 && r.Tokens == (chat.Tokens{}) && r.Provider == "" && r.Request == "" &&
		len(r.Calls) == 0 && r.Response == nil && len(r.Saw) == 0 && len(r.Facts) == 0 && r.Horizon == 0 && r.Made == nil {
		return nil, nil
	}
	more := turnMore{Version: r.Version, Reserved: r.Reserved, Cost: r.Cost, Provider: r.Provider, Request: r.Request,
		Calls: r.Calls, Response: r.Response, Saw: r.Saw, Facts: r.Facts, Horizon: r.Horizon, Made: r.Made}
	if r.Tokens != (chat.Tokens{}) {
		more.Tokens = &r.Tokens
	}
	b, err := json.Marshal(more)
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a turn cannot be encoded", nil)
	}
	return b, nil
}

// readTurnExtra is the inverse of turnExtra.
func readTurnExtra(b []byte, r *chat.TurnRecord) error {
	if len(b) == 0 {
		return nil
	}
	more, err := decodeJSON[turnMore](b)
	if err != nil {
		return err
	}
	r.Version, r.Reserved, r.Cost, r.Provider, r.Request = more.Version, more.Reserved, more.Cost, more.Provider, more.Request
	r.Calls, r.Response, r.Saw, r.Facts, r.Horizon, r.Made = more.Calls, more.Response, more.Saw, more.Facts, more.Horizon, more.Made
	if more.Tokens != nil {
		r.Tokens = *more.Tokens
	}
	return nil
}
