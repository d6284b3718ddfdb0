package chat

import "strings"

// addressFields are the fields of an address form.
var addressFields = []string{"name", "phone_number", "in_pin_code", "house_number", "floor_number", "tower_number",
	"building_name", "address", "landmark_area", "city", "state"}

func (c *checker) addressForm(a *Action) {
	const at = "interactive.action.parameters"
	p := a.Parameters
	if p == nil {
		c.missing(at)
		return
	}
	c.onlyParameters(at, p, "country", "values", "saved_addresses", "validation_errors")
	if len(p.Country) != 2 || strings.ToUpper(p.Country) != p.Country {
		c.invalid(at+".country", "must be a country's two-letter code, such as IN.")
	}
	c.addressValues(at+".values", p.Values)
	c.addressValues(at+".validation_errors", p.Wrong)
	c.count(at+".saved_addresses", len(p.Saved), 0, addressMax)
	for i := range p.Saved {
		c.needed(item(at+".saved_addresses", i)+".id", p.Saved[i].ID, ButtonIDMax)
		c.addressValues(item(at+".saved_addresses", i)+".value", p.Saved[i].Value)
	}
}

func (c *checker) addressValues(param string, values map[string]string) {
	known := 0
	for _, field := range addressFields {
		if v, there := values[field]; there {
			known++
			c.atMost(param+"."+field, v, addressText)
		}
	}
	if known != len(values) {
		c.invalid(param, "takes only: %s.", strings.Join(addressFields, ", "))
	}
}

// carousel checks cards of one kind: products of one catalog, or pictures with a link.
func (c *checker) carousel(a *Action) {
	const list = "interactive.action.cards"
	c.count(list, len(a.Cards), CarouselMin, CarouselMax)
	seen := map[int]bool{}
	for i := range a.Cards {
		card, at := &a.Cards[i], item(list, i)
		if card.Index < 0 || card.Index >= CarouselMax || seen[card.Index] {
			c.invalid(at+".card_index", "must be from 0 to %d and differ from the others.", CarouselMax-1)
		}
		seen[card.Index] = true
		c.oneOf(at+".type", card.Type, "cta_url", "product")
		if first := &a.Cards[0]; card.Type != first.Type {
			c.invalid(at+".type", "must be the same for all cards.")
		}
		if card.Type == "product" {
			c.productCard(at, card, a.Cards[0].Action.Catalog)
			continue
		}
		c.pictureCard(at, card, a.Cards[0].Header)
	}
}

func (c *checker) productCard(at string, card *OfferCard, catalog string) {
	c.absent(at+".header", card.Header != nil, "the catalog has the picture")
	c.absent(at+".body", card.Body != nil, "the catalog has the words")
	c.only(at+".action", &card.Action, []string{"catalog_id", "product_retailer_id"})
	c.product(at+".action", &card.Action)
	if card.Action.Catalog != catalog {
		c.invalid(at+".action.catalog_id", "must be the same for all cards.")
	}
}

func (c *checker) pictureCard(at string, card *OfferCard, first *Header) {
	c.header(at+".header", "carousel", card.Header, []string{"image", "video"}, true)
	if card.Header != nil && first != nil && card.Header.Type != first.Type {
		c.invalid(at+".header.type", "must be the same for all cards.")
	}
	if card.Body != nil {
		c.needed(at+".body.text", card.Body.Text, CarouselTextMax)
		if strings.Count(card.Body.Text, "\n") > carouselBreaks {
			c.invalid(at+".body.text", "must have at most %d line breaks.", carouselBreaks)
		}
	}
	c.only(at+".action", &card.Action, []string{"name", "parameters"})
	if card.Action.Name != "cta_url" {
		c.invalid(at+".action.name", `must be "cta_url".`)
	}
	c.linkButton(at+".action.parameters", card.Action.Parameters)
}
