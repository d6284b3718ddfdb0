package metasim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// card is one card of a carousel: a product of the catalog, or a picture with a link.
type card struct {
	Index  int                `json:"card_index"`
	Type   string             `json:"type"`
	Header *interactiveHeader `json:"header"`
	Body   *words             `json:"body"`
	Action json.RawMessage    `json:"action"`
}

func carousel(action json.RawMessage) *graphError {
	var in struct {
		Cards []card `json:"cards"`
	}
	if e := first(decodeStrict(action, &in), count("action['cards']", len(in.Cards), cardsMin, cardsMax)); e != nil {
		return e
	}
	seen := map[int]bool{}
	for i := range in.Cards {
		c, name := &in.Cards[i], fmt.Sprintf("action['cards'][%d]", i)
		if c.Index < 0 || c.Index >= cardsMax || seen[c.Index] {
			return badParameter("Param " + name + "['card_index'] must be a number from 0 to 9 that no other card has.")
		}
		seen[c.Index] = true
		if c.Type != in.Cards[0].Type {
			return badParameter("All cards must be of one type.")
		}
		if e := c.check(name, &in.Cards[0]); e != nil {
			return e
		}
	}
	return nil
}

func (c *card) check(name string, leader *card) *graphError {
	switch c.Type {
	case "product":
		if c.Header != nil || c.Body != nil {
			return badParameter("A card of a product has neither header nor body.")
		}
		return oneProduct(c.Action)
	case "cta_url":
	default:
		return badParameter("Param " + name + "['type'] must be one of {CTA_URL, PRODUCT}.")
	}
	picture := interactiveKind{header: "image video"}
	switch {
	case c.Header == nil || c.Header.Type != leader.Header.Type:
		return badParameter("The parameter " + name + "['header'] is required, of the same type for all cards.")
	case c.Body != nil && strings.Count(c.Body.Text, "\n") >= cardLinesMax:
		return badParameter("Param " + name + "['body']['text'] has too many lines.")
	}
	e := first(picture.checkHeader("carousel", c.Header), linkButton(c.Action))
	if c.Body != nil {
		e = first(e, length(name+"['body']['text']", c.Body.Text, cardBodyMax))
	}
	return e
}

// addressFields are what an address form asks for, in India.
var addressFields = []string{"name", "phone_number", "in_pin_code", "house_number", "floor_number", "tower_number",
	"building_name", "address", "landmark_area", "city", "state"}

func addressForm(action json.RawMessage) *graphError {
	var in struct {
		Name       string `json:"name"`
		Parameters struct {
			Country string            `json:"country"`
			Values  map[string]string `json:"values"`
			Errors  map[string]string `json:"validation_errors"`
			Saved   []struct {
				ID    string            `json:"id"`
				Value map[string]string `json:"value"`
			} `json:"saved_addresses"`
		} `json:"parameters"`
	}
	if e := first(decodeStrict(action, &in), named(in.Name, "address_message")); e != nil {
		return e
	}
	p := &in.Parameters
	if len(p.Country) != 2 {
		return badParameter("The parameter action['parameters']['country'] is required.")
	}
	all := []map[string]string{p.Values, p.Errors}
	for _, s := range p.Saved {
		if s.ID == "" {
			return badParameter("The parameter action['parameters']['saved_addresses']['id'] is required.")
		}
		all = append(all, s.Value)
	}
	for _, fields := range all {
		for name := range fields {
			if !slices.Contains(addressFields, name) {
				return badParameter("Unexpected key " + name + " of an address.")
			}
		}
	}
	return nil
}
