package chat

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
)

// Limits of interactive messages: characters, or items where they count something.
// Meta, Cloud API: the page of each interactive type.
const (
	BodyMax         = 1024
	ListBodyMax     = 4096
	HeaderTextMax   = 60
	FooterMax       = 60
	ButtonMax       = 3
	ButtonIDMax     = 256
	ButtonTitleMax  = 20
	SectionMax      = 10
	SectionTitleMax = 24
	RowMax          = 10 // in all sections together
	RowIDMax        = 200
	RowTitleMax     = 24
	RowTextMax      = 72
	ProductMax      = 30 // in all sections together
	FlowCTAMax      = 30
	CarouselMin     = 2
	CarouselMax     = 10
	CarouselTextMax = 160
	carouselBreaks  = 2
	// The engine's own bounds: Meta names none.
	catalogIDMax = 64
	productIDMax = 256
	flowTextMax  = 512
	flowDataMax  = 32 << 10 // bytes
	addressMax   = 10
	addressText  = 256
)

// interactiveRule is what one type of interactive message takes.
type interactiveRule struct {
	// headers are the header types it takes; headed says that it needs one.
	headers []string
	headed  bool
	// bodyMax is the characters of its body; bodyless says that it may have none.
	bodyMax  int
	bodyless bool
	footer   bool
	// members of the action, and the name it must have.
	members []string
	name    string
	check   func(c *checker, a *Action)
}

var pictured = []string{"text", "image", "video", "document"}

var interactiveRules = map[string]interactiveRule{
	"button": {headers: pictured, bodyMax: BodyMax, footer: true, members: []string{"buttons"}, check: (*checker).replyButtons},
	"list": {headers: []string{"text"}, bodyMax: ListBodyMax, footer: true, members: []string{"button", "sections"},
		check: (*checker).listSections},
	"cta_url": {headers: pictured, bodyMax: BodyMax, footer: true, members: []string{"name", "parameters"}, name: "cta_url",
		check: func(c *checker, a *Action) { c.linkButton("interactive.action.parameters", a.Parameters) }},
	"location_request_message": {bodyMax: BodyMax, members: []string{"name"}, name: "send_location"},
	"flow": {headers: pictured, bodyMax: BodyMax, footer: true, members: []string{"name", "parameters"}, name: "flow",
		check: (*checker).flow},
	"product": {bodyMax: BodyMax, bodyless: true, footer: true, members: []string{"catalog_id", "product_retailer_id"},
		check: func(c *checker, a *Action) { c.product("interactive.action", a) }},
	"product_list": {headers: []string{"text"}, headed: true, bodyMax: BodyMax, footer: true,
		members: []string{"catalog_id", "sections"}, check: (*checker).productSections},
	"catalog_message": {bodyMax: BodyMax, footer: true, members: []string{"name", "parameters"}, name: "catalog_message",
		check: (*checker).catalog},
	"address_message": {headers: []string{"text"}, bodyMax: BodyMax, footer: true, members: []string{"name", "parameters"},
		name: "address_message", check: (*checker).addressForm},
	"request_contact_info":    {bodyMax: BodyMax, members: []string{"name"}, name: "request_contact_info"},
	"call_permission_request": {bodyMax: BodyMax, bodyless: true, members: []string{"name"}, name: "call_permission_request"},
	"carousel":                {bodyMax: BodyMax, members: []string{"cards"}, check: (*checker).carousel},
}

// InteractiveTypes lists the types of interactive messages.
func InteractiveTypes() []string {
	return []string{"button", "list", "cta_url", "location_request_message", "flow", "product", "product_list", "catalog_message",
		"address_message", "request_contact_info", "call_permission_request", "carousel"}
}

func item(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func (c *checker) interactive(in *Interactive) {
	if in == nil {
		c.missing("interactive")
		return
	}
	rule, known := interactiveRules[in.Type]
	switch {
	case known:
	case in.Type == "":
		c.missing("interactive.type")
		return
	case in.Type == "voice_call" || strings.HasPrefix(in.Type, "order_") || strings.HasPrefix(in.Type, "payment"):
		c.fail("interactive.type", "type_not_supported", "interactive.type %q is of calls and payments, which the engine does not make.", in.Type)
		return
	default:
		c.invalid("interactive.type", "must be one of: %s.", strings.Join(InteractiveTypes(), ", "))
		return
	}
	c.header("interactive.header", in.Type, in.Header, rule.headers, rule.headed)
	switch {
	case in.Body != nil:
		c.needed("interactive.body.text", in.Body.Text, rule.bodyMax)
	case !rule.bodyless:
		c.missing("interactive.body.text")
	}
	if in.Footer != nil {
		c.absent("interactive.footer", !rule.footer, "a message of type "+in.Type+" has no footer")
		c.needed("interactive.footer.text", in.Footer.Text, FooterMax)
	}
	c.only("interactive.action", &in.Action, rule.members)
	if rule.name != "" && in.Action.Name != rule.name {
		c.invalid("interactive.action.name", "must be %q.", rule.name)
	}
	if rule.check != nil {
		rule.check(c, &in.Action)
	}
}

func (c *checker) header(param, kind string, h *Header, takes []string, needed bool) {
	if h == nil {
		if needed {
			c.missing(param)
		}
		return
	}
	if len(takes) == 0 {
		c.absent(param, true, "a message of type "+kind+" has no header")
		return
	}
	c.oneOf(param+".type", h.Type, takes...)
	for _, part := range [...]struct {
		name  string
		there bool
	}{{"text", h.Text != ""}, {"image", h.Image != nil}, {"video", h.Video != nil}, {"document", h.Document != nil}} {
		c.absent(param+"."+part.name, part.there && part.name != h.Type, "the header is of type "+h.Type)
	}
	if h.Type == "text" {
		c.needed(param+".text", h.Text, HeaderTextMax)
		return
	}
	f := h.File()
	c.file(param+"."+h.Type, f)
	if f != nil {
		c.absent(param+"."+h.Type+".filename", f.Filename != "" && h.Type != "document", "only documents have names")
		c.atMost(param+"."+h.Type+".filename", f.Filename, filenameMax)
	}
}

// only refuses members of an action that its type does not have.
func (c *checker) only(param string, a *Action, members []string) {
	for _, part := range [...]struct {
		name  string
		there bool
	}{
		{"name", a.Name != ""}, {"parameters", a.Parameters != nil}, {"buttons", len(a.Buttons) > 0}, {"button", a.Button != ""},
		{"sections", len(a.Sections) > 0}, {"catalog_id", a.Catalog != ""}, {"product_retailer_id", a.Product != ""},
		{"cards", len(a.Cards) > 0},
	} {
		if part.there && !has(members, part.name) {
			c.absent(param+"."+part.name, true, "this action has no such member")
		}
	}
}

func has(list []string, word string) bool {
	for _, w := range list {
		if w == word {
			return true
		}
	}
	return false
}

func (c *checker) replyButtons(a *Action) {
	const list = "interactive.action.buttons"
	c.count(list, len(a.Buttons), 1, ButtonMax)
	ids, titles := map[string]bool{}, map[string]bool{}
	for i := range a.Buttons {
		b, at := &a.Buttons[i], item(list, i)
		c.oneOf(at+".type", b.Type, "reply")
		c.needed(at+".reply.id", b.Reply.ID, ButtonIDMax)
		c.needed(at+".reply.title", b.Reply.Title, ButtonTitleMax)
		c.unique(at+".reply.id", b.Reply.ID, ids)
		c.unique(at+".reply.title", b.Reply.Title, titles)
	}
}

// unique refuses a value that was seen before in the same list.
func (c *checker) unique(param, value string, seen map[string]bool) {
	if seen[value] {
		c.invalid(param, "must differ from the others.")
	}
	seen[value] = true
}

func (c *checker) listSections(a *Action) {
	c.needed("interactive.action.button", a.Button, ButtonTitleMax)
	const list = "interactive.action.sections"
	c.count(list, len(a.Sections), 1, SectionMax)
	ids, rows := map[string]bool{}, 0
	for i := range a.Sections {
		s, at := &a.Sections[i], item(list, i)
		c.sectionTitle(at, s.Title, len(a.Sections))
		c.absent(at+".product_items", len(s.Items) > 0, "a list has rows")
		c.count(at+".rows", len(s.Rows), 1, RowMax)
		for j := range s.Rows {
			r, at := &s.Rows[j], item(at+".rows", j)
			c.needed(at+".id", r.ID, RowIDMax)
			c.needed(at+".title", r.Title, RowTitleMax)
			c.atMost(at+".description", r.Description, RowTextMax)
			c.unique(at+".id", r.ID, ids)
		}
		rows += len(s.Rows)
	}
	if rows > RowMax {
		c.fail(list, "parameter_too_many", "All sections together must have at most %d rows; they have %d.", RowMax, rows)
	}
}

// sectionTitle checks a title, which one section alone may do without.
func (c *checker) sectionTitle(at, title string, sections int) {
	if sections > 1 {
		c.needed(at+".title", title, SectionTitleMax)
		return
	}
	c.atMost(at+".title", title, SectionTitleMax)
}

func (c *checker) linkButton(param string, p *ActionParameters) {
	if p == nil {
		c.missing(param)
		return
	}
	c.onlyParameters(param, p, "display_text", "url")
	c.needed(param+".display_text", p.DisplayText, ButtonTitleMax)
	c.link(param+".url", p.URL)
}

// onlyParameters refuses parameters that an action does not have.
func (c *checker) onlyParameters(param string, p *ActionParameters, members ...string) {
	for _, part := range [...]struct {
		name  string
		there bool
	}{
		{"display_text", p.DisplayText != ""}, {"url", p.URL != ""},
		{"flow_message_version", p.FlowVersion != ""}, {"flow_id", p.FlowID != ""}, {"flow_name", p.FlowName != ""},
		{"flow_cta", p.FlowCTA != ""}, {"flow_token", p.FlowToken != ""}, {"mode", p.Mode != ""},
		{"flow_action", p.FlowAction != ""}, {"flow_action_payload", p.FlowPayload != nil},
		{"thumbnail_product_retailer_id", p.Thumbnail != ""}, {"country", p.Country != ""}, {"values", p.Values != nil},
		{"saved_addresses", p.Saved != nil}, {"validation_errors", p.Wrong != nil},
	} {
		if part.there && !has(members, part.name) {
			c.absent(param+"."+part.name, true, "this action has no such parameter")
		}
	}
}

func (c *checker) flow(a *Action) {
	const at = "interactive.action.parameters"
	p := a.Parameters
	if p == nil {
		c.missing(at)
		return
	}
	c.onlyParameters(at, p, "flow_message_version", "flow_id", "flow_name", "flow_cta", "flow_token", "mode", "flow_action", "flow_action_payload")
	c.oneOf(at+".flow_message_version", p.FlowVersion, "3")
	if (p.FlowID == "") == (p.FlowName == "") {
		c.invalid(at, "takes exactly one of flow_id and flow_name.")
	}
	c.atMost(at+".flow_id", p.FlowID, flowTextMax)
	c.atMost(at+".flow_name", p.FlowName, flowTextMax)
	c.needed(at+".flow_cta", p.FlowCTA, FlowCTAMax)
	c.atMost(at+".flow_token", p.FlowToken, flowTextMax)
	if p.Mode != "" {
		c.oneOf(at+".mode", p.Mode, "draft", "published")
	}
	if p.FlowAction != "" {
		c.oneOf(at+".flow_action", p.FlowAction, "navigate", "data_exchange")
	}
	if d := p.FlowPayload; d != nil {
		c.absent(at+".flow_action_payload", p.FlowAction == "data_exchange", "the flow's endpoint says what comes first")
		c.needed(at+".flow_action_payload.screen", d.Screen, flowTextMax)
		c.data(at+".flow_action_payload.data", d.Data)
	}
}

// data checks JSON of the business for a flow: an object with something in it.
func (c *checker) data(param string, raw json.RawMessage) {
	if raw == nil {
		return
	}
	var members map[string]json.RawMessage
	if len(raw) > flowDataMax || bytes.HasPrefix(raw, []byte("null")) || json.Unmarshal(raw, &members) != nil || len(members) == 0 {
		c.invalid(param, "must be an object with members, of at most %d bytes.", flowDataMax)
	}
}

func (c *checker) product(param string, a *Action) {
	c.needed(param+".catalog_id", a.Catalog, catalogIDMax)
	c.needed(param+".product_retailer_id", a.Product, productIDMax)
}

func (c *checker) productSections(a *Action) {
	c.needed("interactive.action.catalog_id", a.Catalog, catalogIDMax)
	c.products("interactive.action.sections", a.Sections)
}

func (c *checker) products(list string, sections []Section) {
	c.count(list, len(sections), 1, SectionMax)
	products := 0
	for i := range sections {
		s, at := &sections[i], item(list, i)
		c.sectionTitle(at, s.Title, len(sections))
		c.absent(at+".rows", len(s.Rows) > 0, "a list of products has product_items")
		c.count(at+".product_items", len(s.Items), 1, ProductMax)
		for j := range s.Items {
			c.needed(item(at+".product_items", j)+".product_retailer_id", s.Items[j].Product, productIDMax)
		}
		products += len(s.Items)
	}
	if products > ProductMax {
		c.fail(list, "parameter_too_many", "All sections together must have at most %d products; they have %d.", ProductMax, products)
	}
}

func (c *checker) catalog(a *Action) {
	if a.Parameters == nil {
		return
	}
	const at = "interactive.action.parameters"
	c.onlyParameters(at, a.Parameters, "thumbnail_product_retailer_id")
	c.needed(at+".thumbnail_product_retailer_id", a.Parameters.Thumbnail, productIDMax)
}
