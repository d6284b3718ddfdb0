package metasim

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Limits of interactive messages, in characters unless they count something.
const (
	interactiveBodyMax = 1024
	listBodyMax        = 4096
	headerTextMax      = 60
	footerMax          = 60
	buttonsMax         = 3
	buttonIDMax        = 256
	buttonTitleMax     = 20
	sectionsMax        = 10
	rowsMax            = 10 // in all sections together
	rowIDMax           = 200
	rowTitleMax        = 24
	rowTextMax         = 72
	productsMax        = 30
	flowCTAMax         = 30
	cardsMin           = 2
	cardsMax           = 10
	cardBodyMax        = 160
	cardLinesMax       = 3
	// The simulator's own bounds: Meta names none.
	catalogIDMax = 64
	productIDMax = 256
)

type interactive struct {
	Type   string             `json:"type"`
	Header *interactiveHeader `json:"header"`
	Body   *words             `json:"body"`
	Footer *words             `json:"footer"`
	Action json.RawMessage    `json:"action"`
}

type words struct {
	Text string `json:"text"`
}

type interactiveHeader struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Image    *media `json:"image"`
	Video    *media `json:"video"`
	Document *media `json:"document"`
}

// interactiveKind is what one kind of interactive message takes.
type interactiveKind struct {
	// header lists the types of headers it takes, separated by spaces.
	header string
	// bodyMax is 0 where a body may be absent, of at most interactiveBodyMax.
	bodyMax int
	plain   bool // takes no footer
	action  func(json.RawMessage) *graphError
}

var interactiveKinds = map[string]interactiveKind{
	"button":                   {header: "text image video document", bodyMax: interactiveBodyMax, action: replyButtons},
	"list":                     {header: "text", bodyMax: listBodyMax, action: listSections},
	"cta_url":                  {header: "text image video document", bodyMax: interactiveBodyMax, action: linkButton},
	"location_request_message": {bodyMax: interactiveBodyMax, plain: true, action: onlyNamed("send_location")},
	"flow":                     {header: "text image video document", bodyMax: interactiveBodyMax, action: flowAction},
	"product":                  {action: oneProduct},
	"product_list":             {header: "text", bodyMax: interactiveBodyMax, action: productSections},
	"catalog_message":          {bodyMax: interactiveBodyMax, action: wholeCatalog},
	"address_message":          {header: "text", bodyMax: interactiveBodyMax, action: addressForm},
	"request_contact_info":     {bodyMax: interactiveBodyMax, plain: true, action: onlyNamed("request_contact_info")},
	"call_permission_request":  {plain: true, action: onlyNamed("call_permission_request")},
	"carousel":                 {bodyMax: interactiveBodyMax, plain: true, action: carousel},
}

// notValid is Meta's refusal of an interactive message.
func notValid(e *graphError) *graphError {
	if e == nil {
		return nil
	}
	out := *e
	out.code, out.message = 131009, "(#131009) Parameter value is not valid"
	return &out
}

func readInteractive(kind string, content json.RawMessage) (string, *graphError) {
	var in interactive
	if e := decodeStrict(content, &in); e != nil {
		return "", e
	}
	k, known := interactiveKinds[in.Type]
	if !known {
		return "", badParameter("Param interactive['type'] is not one of the types of interactive messages - got \"" + in.Type + "\".")
	}
	if in.Action == nil {
		return "", badParameter("The parameter interactive['action'] is required.")
	}
	text := ""
	if in.Body != nil {
		text = in.Body.Text
	}
	return shown(kind, text), notValid(first(k.checkHeader(in.Type, in.Header), k.checkWords(&in), k.action(in.Action)))
}

func (k *interactiveKind) checkHeader(kind string, h *interactiveHeader) *graphError {
	const name = "interactive['header']"
	if h == nil {
		if kind == "product_list" {
			return badParameter("The parameter " + name + " is required.")
		}
		return nil
	}
	for _, t := range strings.Fields(k.header) {
		if t != h.Type {
			continue
		}
		switch t {
		case "text":
			return length(name+"['text']", h.Text, headerTextMax)
		case "image":
			return needed(name+"['image']", h.Image)
		case "video":
			return needed(name+"['video']", h.Video)
		case "document":
			return needed(name+"['document']", h.Document)
		}
	}
	return badParameter(fmt.Sprintf("An interactive message of type %q takes no header of type %q.", kind, h.Type))
}

// needed checks a file that must be there.
func needed(name string, m *media) *graphError {
	if m == nil {
		return badParameter("The parameter " + name + " is required.")
	}
	return m.source(name)
}

func (k *interactiveKind) checkWords(in *interactive) *graphError {
	const body, footer = "interactive['body']['text']", "interactive['footer']['text']"
	switch {
	case in.Footer != nil && k.plain:
		return badParameter("An interactive message of type \"" + in.Type + "\" takes no footer.")
	case in.Footer != nil:
		if e := length(footer, in.Footer.Text, footerMax); e != nil {
			return e
		}
	}
	switch {
	case k.bodyMax > 0 && in.Body == nil:
		return badParameter("The parameter " + body + " is required.")
	case k.bodyMax > 0:
		return length(body, in.Body.Text, k.bodyMax)
	case in.Body != nil:
		return length(body, in.Body.Text, interactiveBodyMax)
	}
	return nil
}
