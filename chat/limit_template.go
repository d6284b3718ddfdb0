package chat

// Limits of sending a template: characters, or items. Meta, Cloud API: template
// components, and the OpenAPI description of the messages edge.
const (
	TemplateNameMax   = 512
	LanguageMax       = 15
	TemplateTextMax   = 32768 // the body of a template that has no other parts
	TemplateHeaderMax = 60
	TemplateButtonMax = 10
	CouponMax         = 15
	// The engine's own bounds: Meta names none.
	parameterMax = 64
	payloadMax   = 1000
	currencyMax  = 64
)

// templateRules are the types of parameters of each component, buttons by sub_type.
var templateRules = map[string][]string{
	"header":      {"text", "image", "video", "document", "location", "product"},
	"body":        {"text", "currency", "date_time"},
	"quick_reply": {"payload"},
	"url":         {"text"},
	"copy_code":   {"coupon_code"},
	"flow":        {"action"},
	"catalog":     {"action"},
	"mpm":         {"action"},

	"limited_time_offer": {"limited_time_offer"},
}

func (c *checker) template(t *TemplateUse) {
	if t == nil {
		c.missing("template")
		return
	}
	c.needed("template.name", t.Name, TemplateNameMax)
	for i := range len(t.Name) {
		if b := t.Name[i]; b != '_' && (b < 'a' || b > 'z') && (b < '0' || b > '9') {
			c.invalid("template.name", "has lowercase letters, digits and underscores only.")
		}
	}
	c.needed("template.language.code", t.Language.Code, LanguageMax)
	c.templateParts("template.components", t.Components, "header", "body", "button", "limited_time_offer", "carousel")
	if mixed(t.Components) {
		c.invalid("template.components", "must name all text parameters or none.")
	}
}

// templateParts checks the parts of a template or of one of its cards: one of each
// type, but for buttons.
func (c *checker) templateParts(list string, parts []TemplatePart, types ...string) {
	seen, buttons := map[string]bool{}, map[ButtonIndex]bool{}
	for i := range parts {
		p, at := &parts[i], item(list, i)
		c.oneOf(at+".type", p.Type, types...)
		if p.Type == "button" {
			c.templateButton(at, p, buttons)
		} else {
			c.absent(at, seen[p.Type], "there is one of each type already")
			seen[p.Type] = true
		}
		if p.Type == "carousel" {
			c.templateCards(at, p)
			continue
		}
		c.absent(at+".cards", len(p.Cards) > 0, "only a carousel has cards")
		c.templateParameters(at, p)
	}
}

func (c *checker) templateCards(at string, p *TemplatePart) {
	c.absent(at+".parameters", len(p.Parameters) > 0, "a carousel has cards")
	c.count(at+".cards", len(p.Cards), CarouselMin, CarouselMax)
	seen := map[int]bool{}
	for i := range p.Cards {
		card, at := &p.Cards[i], item(at+".cards", i)
		if card.Index < 0 || card.Index >= CarouselMax || seen[card.Index] {
			c.invalid(at+".card_index", "must be from 0 to %d and differ from the others.", CarouselMax-1)
		}
		seen[card.Index] = true
		c.templateParts(at+".components", card.Components, "header", "body", "button")
	}
}

func (c *checker) templateButton(at string, p *TemplatePart, seen map[ButtonIndex]bool) {
	if p.SubType == "voice_call" || p.SubType == "order_details" {
		c.fail(at+".sub_type", "type_not_supported", "%s.sub_type %q is of calls and payments, which the engine does not make.", at, p.SubType)
	}
	c.oneOf(at+".sub_type", p.SubType, "quick_reply", "url", "copy_code", "flow", "catalog", "mpm")
	switch {
	case p.Index == nil:
		c.missing(at + ".index")
	case *p.Index < 0 || *p.Index >= TemplateButtonMax || seen[*p.Index]:
		c.invalid(at+".index", "must be from 0 to %d and differ from the others.", TemplateButtonMax-1)
	default:
		seen[*p.Index] = true
	}
}

func (c *checker) templateParameters(at string, p *TemplatePart) {
	rule := p.Type
	if p.Type == "button" {
		rule = p.SubType
	} else {
		c.absent(at+".sub_type", p.SubType != "", "only buttons have one")
		c.absent(at+".index", p.Index != nil, "only buttons have one")
	}
	c.count(at+".parameters", len(p.Parameters), 0, parameterMax)
	names := map[string]bool{}
	for i := range p.Parameters {
		v, at := &p.Parameters[i], item(at+".parameters", i)
		c.oneOf(at+".type", v.Type, templateRules[rule]...)
		c.atMost(at+".parameter_name", v.Name, TemplateNameMax)
		if v.Name != "" {
			c.unique(at+".parameter_name", v.Name, names)
		}
		c.parameter(at, v)
		if rule == "header" && v.Type == "text" {
			c.atMost(at+".text", v.Text, TemplateHeaderMax)
		}
	}
}

// parameter checks that a value has the member of its type and no other.
func (c *checker) parameter(at string, p *TemplateParameter) {
	for _, part := range [...]struct {
		name  string
		there bool
	}{
		{"text", p.Text != ""}, {"currency", p.Currency != nil}, {"date_time", p.DateTime != nil}, {"image", p.Image != nil},
		{"video", p.Video != nil}, {"document", p.Document != nil}, {"location", p.Location != nil}, {"payload", p.Payload != ""},
		{"coupon_code", p.Coupon != ""}, {"action", p.Action != nil}, {"product", p.Product != nil}, {"limited_time_offer", p.Limited != nil},
	} {
		switch {
		case part.name == p.Type && !part.there:
			c.missing(at + "." + part.name)
			return
		case part.name != p.Type:
			c.absent(at+"."+part.name, part.there, "the parameter is of type "+p.Type)
		}
	}
	switch p.Type {
	case "text":
		c.needed(at+".text", p.Text, TemplateTextMax)
	case "currency":
		c.needed(at+".currency.fallback_value", p.Currency.Fallback, currencyMax)
		if len(p.Currency.Code) != 3 {
			c.invalid(at+".currency.code", "must be a currency's three-letter code.")
		}
	case "date_time":
		c.needed(at+".date_time.fallback_value", p.DateTime.Fallback, currencyMax)
	case "image", "video", "document":
		c.file(at+"."+p.Type, p.File())
	case "location":
		c.degrees(at+".location.latitude", float64(p.Location.Latitude), latitudeMax)
		c.degrees(at+".location.longitude", float64(p.Location.Longitude), longitudeMax)
		c.needed(at+".location.name", p.Location.Name, placeNameMax)
		c.needed(at+".location.address", p.Location.Address, placeNameMax)
	case "payload":
		c.needed(at+".payload", p.Payload, payloadMax)
	case "coupon_code":
		c.needed(at+".coupon_code", p.Coupon, CouponMax)
	case "action":
		c.templateAction(at+".action", p.Action)
	case "product":
		c.needed(at+".product.catalog_id", p.Product.Catalog, catalogIDMax)
		c.needed(at+".product.product_retailer_id", p.Product.Retailer, productIDMax)
	case "limited_time_offer":
		if p.Limited.Expires <= 0 {
			c.missing(at + ".limited_time_offer.expiration_time_ms")
		}
	}
}

func (c *checker) templateAction(at string, a *TemplateAction) {
	c.atMost(at+".thumbnail_product_retailer_id", a.Thumbnail, productIDMax)
	c.atMost(at+".flow_token", a.FlowToken, flowTextMax)
	c.data(at+".flow_action_data", a.FlowData)
	if len(a.Sections) > 0 {
		c.products(at+".sections", a.Sections)
	}
}

// mixed reports whether some texts of header and body are named and some are not.
func mixed(parts []TemplatePart) bool {
	named, unnamed := false, false
	for i := range parts {
		if parts[i].Type == "button" {
			continue
		}
		for j := range parts[i].Parameters {
			if p := &parts[i].Parameters[j]; p.Type == "text" {
				named, unnamed = named || p.Name != "", unnamed || p.Name == ""
			}
		}
	}
	return named && unnamed
}
