package metasim

import (
	"encoding/json"
	"fmt"
	"slices"
)

// The characters of a template's name, of its language's code and of a coupon.
const (
	templateNameMax = 512
	languageMax     = 15
	couponMax       = 15
)

type templateParameter struct {
	Type     string          `json:"type"`
	Name     string          `json:"parameter_name"`
	Text     *string         `json:"text"`
	Currency json.RawMessage `json:"currency"`
	DateTime json.RawMessage `json:"date_time"`
	Image    *media          `json:"image"`
	Video    *media          `json:"video"`
	Document *media          `json:"document"`
	Location json.RawMessage `json:"location"`
	Payload  *string         `json:"payload"`
	Coupon   *string         `json:"coupon_code"`
	Action   json.RawMessage `json:"action"`
	Product  *struct {
		Catalog string `json:"catalog_id"`
		ID      string `json:"product_retailer_id"`
	} `json:"product"`
	Limited *struct {
		Expires json.Number `json:"expiration_time_ms"`
	} `json:"limited_time_offer"`
}

type templateComponent struct {
	Type       string              `json:"type"`
	SubType    string              `json:"sub_type"`
	Index      json.RawMessage     `json:"index"`
	Parameters []templateParameter `json:"parameters"`
	Cards      []templateCard      `json:"cards"`
}

type templateCard struct {
	Index      *int                `json:"card_index"`
	Components []templateComponent `json:"components"`
}

// readTemplate checks the shape of a template send. Which templates there are, and
// how many parameters each takes, the simulator does not know.
func readTemplate(kind string, content json.RawMessage) (string, *graphError) {
	var in struct {
		Name     string `json:"name"`
		Language struct {
			Code   string `json:"code"`
			Policy string `json:"policy"`
		} `json:"language"`
		Components []templateComponent `json:"components"`
	}
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	e := first(length("template['name']", in.Name, templateNameMax), length("template['language']['code']", in.Language.Code, languageMax))
	for i := range in.Components {
		e = first(e, in.Components[i].check(fmt.Sprintf("template['components'][%d]", i)))
	}
	if e == nil && mixed(in.Components) {
		e = badParameter("Parameters of a template are either all named or all in order.")
	}
	return shown(kind, in.Name), e
}

// mixed reports whether some parameters of texts are named and some are not.
func mixed(components []templateComponent) bool {
	named, unnamed := false, false
	for _, c := range components {
		if c.Type == "button" {
			continue
		}
		for _, p := range c.Parameters {
			if p.Type == "text" {
				named, unnamed = named || p.Name != "", unnamed || p.Name == ""
			}
		}
	}
	return named && unnamed
}

func (c *templateComponent) check(name string) *graphError {
	if c.Type == "carousel" {
		return c.checkCards(name)
	}
	switch c.Type {
	case "header", "body", "limited_time_offer":
		if c.SubType != "" || c.Index != nil {
			return badParameter("Unexpected key sub_type or index in " + name + ".")
		}
	case "button":
		subTypes := []string{"quick_reply", "url", "copy_code", "flow", "catalog", "mpm", "voice_call", "order_details"}
		if !slices.Contains(subTypes, c.SubType) {
			return badParameter("Param " + name + "['sub_type'] is not the type of a button - got \"" + c.SubType + "\".")
		}
		if !buttonIndex(c.Index) {
			return badParameter("Param " + name + "['index'] must be a number from 0 to 9.")
		}
	default:
		return badParameter("Param " + name + "['type'] must be one of {HEADER, BODY, BUTTON, CAROUSEL, LIMITED_TIME_OFFER} - got \"" + c.Type + "\".")
	}
	for i := range c.Parameters {
		if e := c.Parameters[i].check(fmt.Sprintf("%s['parameters'][%d]", name, i)); e != nil {
			return e
		}
	}
	return nil
}

func (c *templateComponent) checkCards(name string) *graphError {
	if e := count(name+"['cards']", len(c.Cards), cardsMin, cardsMax); e != nil {
		return e
	}
	for i := range c.Cards {
		card, name := &c.Cards[i], fmt.Sprintf("%s['cards'][%d]", name, i)
		if card.Index == nil || *card.Index < 0 || *card.Index >= cardsMax {
			return badParameter("Param " + name + "['card_index'] must be a number from 0 to 9.")
		}
		for j := range card.Components {
			part, name := &card.Components[j], fmt.Sprintf("%s['components'][%d]", name, j)
			if part.Type == "carousel" {
				return badParameter("A card has no cards: " + name + ".")
			}
			if e := part.check(name); e != nil {
				return e
			}
		}
	}
	return nil
}

// buttonIndex reports whether v is a digit, as a number or in a string.
func buttonIndex(v json.RawMessage) bool {
	var n json.Number
	return json.Unmarshal(v, &n) == nil && digits(string(n), 1, 1)
}

func (p *templateParameter) check(name string) *graphError {
	there := false
	switch p.Type {
	case "text":
		there = p.Text != nil && *p.Text != ""
	case "currency":
		there = p.Currency != nil
	case "date_time":
		there = p.DateTime != nil
	case "image":
		return needed(name+"['image']", p.Image)
	case "video":
		return needed(name+"['video']", p.Video)
	case "document":
		return needed(name+"['document']", p.Document)
	case "location":
		there = p.Location != nil
	case "payload":
		there = p.Payload != nil
	case "coupon_code":
		there = p.Coupon != nil
		if there && len(*p.Coupon) > couponMax {
			return badParameter(fmt.Sprintf("Param %s['coupon_code'] must be at most %d characters long.", name, couponMax))
		}
	case "action":
		there = p.Action != nil
	case "product":
		there = p.Product != nil && p.Product.Catalog != "" && p.Product.ID != ""
	case "limited_time_offer":
		there = p.Limited != nil && p.Limited.Expires != ""
	default:
		return badParameter("Param " + name + "['type'] is not the type of a parameter - got \"" + p.Type + "\".")
	}
	if !there {
		return badParameter("The parameter " + name + "['" + p.Type + "'] is required.")
	}
	return nil
}
