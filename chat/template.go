package chat

import (
	"strconv"
	"strings"
)

// Words of templates that decide about sending.
const (
	// TemplateApproved is the one status of a template that may be sent.
	TemplateApproved = "APPROVED"
	// TemplateMarketing is the category that needs the customer's consent.
	TemplateMarketing = "MARKETING"
)

// component returns the component of a type, nil for none.
func (t *Template) component(kind string) *TemplateComponent {
	for i := range t.Components {
		if t.Components[i].Type == kind {
			return &t.Components[i]
		}
	}
	return nil
}

// Fit reports the first way in which a use does not fill t; nil when it does, or
// when the engine does not know its components as they are now.
func (t *Template) Fit(use *TemplateUse) *LimitError {
	c := checker{}
	if t.Stale || len(t.Components) == 0 {
		return nil
	}
	c.fitHeader(t.component("HEADER"), use)
	body, at := partOf(use, "body")
	c.fitTexts(at, t.component("BODY"), body, t.Named)
	if buttons := t.component("BUTTONS"); buttons != nil {
		c.fitButtons(buttons.Buttons, use)
	} else if part, at := partOf(use, "button"); part != nil {
		c.invalid(at, "is for a button, and the template has none.")
	}
	return c.err
}

// partOf finds the part of a use that fills a component, and the path to it.
func partOf(use *TemplateUse, kind string) (part *TemplatePart, at string) {
	for i := range use.Components {
		if use.Components[i].Type == kind {
			return &use.Components[i], item("template.components", i)
		}
	}
	return nil, "template.components"
}

func (c *checker) fitHeader(header *TemplateComponent, use *TemplateUse) {
	part, at := partOf(use, "header")
	switch {
	case header == nil || header.Format == "" || header.Format == "TEXT":
		c.fitTexts(at, header, part, false)
	case part == nil || len(part.Parameters) != 1 || part.Parameters[0].Type != strings.ToLower(header.Format):
		c.invalid(at, "must have one header parameter of type %s.", strings.ToLower(header.Format))
	}
}

// fitTexts compares the parameters of a part with the places of its component.
func (c *checker) fitTexts(at string, component *TemplateComponent, part *TemplatePart, named bool) {
	var places []string
	if component != nil {
		places = placesOf(component.Text)
	}
	var given []TemplateParameter
	if part != nil {
		given = part.Parameters
	}
	if len(given) != len(places) {
		c.invalid(at, "must have %d parameters for this template; there are %d.", len(places), len(given))
		return
	}
	if !named {
		return
	}
	for i := range given {
		if !has(places, given[i].Name) {
			c.invalid(item(at+".parameters", i)+".parameter_name", "must be one of: %s.", strings.Join(places, ", "))
		}
	}
}

// buttonKinds are the kinds of buttons as templates and as uses name them.
var buttonKinds = map[string]string{"QUICK_REPLY": "quick_reply", "URL": "url", "OTP": "url", "COPY_CODE": "copy_code",
	"FLOW": "flow", "CATALOG": "catalog", "MPM": "mpm"}

func (c *checker) fitButtons(buttons []TemplateButton, use *TemplateUse) {
	filled := map[int]bool{}
	for i := range use.Components {
		part, at := &use.Components[i], item("template.components", i)
		if part.Type != "button" || part.Index == nil {
			continue
		}
		n := int(*part.Index)
		if n >= len(buttons) {
			c.invalid(at+".index", "must be below %d, the number of the template's buttons.", len(buttons))
			return
		}
		if kind := buttonKinds[buttons[n].Type]; kind != "" && kind != part.SubType {
			c.invalid(at+".sub_type", "must be %s: that is the template's button.", kind)
		}
		filled[n] = true
	}
	for n := range buttons {
		if b := &buttons[n]; !filled[n] && (b.Type == "COPY_CODE" || b.Type == "URL" && len(placesOf(b.URL)) > 0) {
			c.invalid("template.components", "must have a button component of index %d: the template's button needs a value.", n)
		}
	}
}

// placesOf lists the distinct places for parameters in a text of a template, in
// order: the 1 of {{1}}, the who of {{who}}.
func placesOf(text string) (places []string) {
	eachPlace(text, func(_, place string) {
		if place != "" && !has(places, place) {
			places = append(places, place)
		}
	})
	return places
}

// eachPlace walks a text of a template: the words before each place, and the place;
// at the end the words that are left, with no place.
func eachPlace(text string, visit func(words, place string)) {
	for {
		words, rest, found := strings.Cut(text, "{{")
		place, after, closed := strings.Cut(rest, "}}")
		if !found || !closed {
			visit(text, "")
			return
		}
		visit(words, strings.TrimSpace(place))
		text = after
	}
}

// Render is the body of t as the customer reads it, with the texts of use in its
// places. It is empty when the engine does not know the body.
func (t *Template) Render(use *TemplateUse) string {
	body := t.component("BODY")
	if body == nil {
		return ""
	}
	values := map[string]string{}
	if part, _ := partOf(use, "body"); part != nil {
		for i := range part.Parameters {
			p := &part.Parameters[i]
			name := p.Name
			if name == "" {
				name = strconv.Itoa(i + 1)
			}
			values[name] = p.shown()
		}
	}
	var b strings.Builder
	eachPlace(body.Text, func(words, place string) {
		b.WriteString(words)
		b.WriteString(values[place])
	})
	return b.String()
}

// shown is what the customer reads of a parameter.
func (p *TemplateParameter) shown() string {
	switch {
	case p.Currency != nil:
		return p.Currency.Fallback
	case p.DateTime != nil:
		return p.DateTime.Fallback
	}
	return p.Text
}
