package metasim

import (
	"encoding/json"
	"fmt"
	"strings"
)

func replyButtons(action json.RawMessage) *graphError {
	var in struct {
		Buttons []struct {
			Type  string `json:"type"`
			Reply struct {
				ID    string `json:"id"`
				Title string `json:"title"`
			} `json:"reply"`
		} `json:"buttons"`
	}
	if e := first(decodeStrict(action, &in), count("action['buttons']", len(in.Buttons), 1, buttonsMax)); e != nil {
		return e
	}
	ids, titles := map[string]bool{}, map[string]bool{}
	for i, b := range in.Buttons {
		name := fmt.Sprintf("action['buttons'][%d]", i)
		if b.Type != "reply" {
			return badParameter("Param " + name + "['type'] must be one of {REPLY}.")
		}
		e := first(length(name+"['reply']['id']", b.Reply.ID, buttonIDMax), length(name+"['reply']['title']", b.Reply.Title, buttonTitleMax))
		if e != nil {
			return e
		}
		if ids[b.Reply.ID] || titles[b.Reply.Title] {
			return badParameter("Duplicated id or title in " + name + ".")
		}
		ids[b.Reply.ID], titles[b.Reply.Title] = true, true
	}
	return nil
}

func listSections(action json.RawMessage) *graphError {
	var in struct {
		Button   string `json:"button"`
		Sections []struct {
			Title string `json:"title"`
			Rows  []struct {
				ID          string `json:"id"`
				Title       string `json:"title"`
				Description string `json:"description"`
			} `json:"rows"`
		} `json:"sections"`
	}
	e := first(decodeStrict(action, &in), length("action['button']", in.Button, buttonTitleMax),
		count("action['sections']", len(in.Sections), 1, sectionsMax))
	if e != nil {
		return e
	}
	ids := map[string]bool{}
	for i, s := range in.Sections {
		name := fmt.Sprintf("action['sections'][%d]", i)
		if e := first(sectionTitle(name, s.Title, len(in.Sections)), count(name+"['rows']", len(s.Rows), 1, rowsMax)); e != nil {
			return e
		}
		for j, r := range s.Rows {
			name := fmt.Sprintf("%s['rows'][%d]", name, j)
			e := first(length(name+"['id']", r.ID, rowIDMax), length(name+"['title']", r.Title, rowTitleMax),
				atMost(name+"['description']", r.Description, rowTextMax))
			if e != nil {
				return e
			}
			if ids[r.ID] {
				return badParameter("Duplicated id in " + name + ".")
			}
			ids[r.ID] = true
		}
	}
	return count("action['sections'] of rows in total", len(ids), 1, rowsMax)
}

// sectionTitle checks a title, which one section alone may do without.
func sectionTitle(name, title string, sections int) *graphError {
	if sections == 1 {
		return atMost(name+"['title']", title, rowTitleMax)
	}
	return length(name+"['title']", title, rowTitleMax)
}

func linkButton(action json.RawMessage) *graphError {
	var in struct {
		Name       string `json:"name"`
		Parameters struct {
			Text string `json:"display_text"`
			URL  string `json:"url"`
		} `json:"parameters"`
	}
	return first(decodeStrict(action, &in), named(in.Name, "cta_url"),
		length("action['parameters']['display_text']", in.Parameters.Text, buttonTitleMax), webLink("action['parameters']['url']", in.Parameters.URL))
}

// onlyNamed reads an action that is a name and nothing else.
func onlyNamed(name string) func(json.RawMessage) *graphError {
	return func(action json.RawMessage) *graphError {
		var in struct {
			Name string `json:"name"`
		}
		if e := decodeStrict(action, &in); e != nil {
			return e
		}
		return named(in.Name, name)
	}
}

func named(got, want string) *graphError {
	if got != want {
		return badParameter("Param action['name'] must be one of {" + strings.ToUpper(want) + "}.")
	}
	return nil
}

func flowAction(action json.RawMessage) *graphError {
	var in struct {
		Name       string `json:"name"`
		Parameters struct {
			Version string `json:"flow_message_version"`
			ID      string `json:"flow_id"`
			Name    string `json:"flow_name"`
			CTA     string `json:"flow_cta"`
			Token   string `json:"flow_token"`
			Mode    string `json:"mode"`
			Action  string `json:"flow_action"`
			Payload *struct {
				Screen string         `json:"screen"`
				Data   map[string]any `json:"data"`
			} `json:"flow_action_payload"`
		} `json:"parameters"`
	}
	if e := first(decodeStrict(action, &in), named(in.Name, "flow")); e != nil {
		return e
	}
	p := &in.Parameters
	switch {
	case p.Version != "3":
		return badParameter("Param action['parameters']['flow_message_version'] must be one of {3}.")
	case (p.ID == "") == (p.Name == ""):
		return badParameter("The parameter action['parameters'] takes either flow_id or flow_name.")
	case p.Mode != "" && p.Mode != "draft" && p.Mode != "published":
		return badParameter("Param action['parameters']['mode'] must be one of {DRAFT, PUBLISHED}.")
	case p.Action != "" && p.Action != "navigate" && p.Action != "data_exchange":
		return badParameter("Param action['parameters']['flow_action'] must be one of {NAVIGATE, DATA_EXCHANGE}.")
	case p.Payload != nil && p.Action == "data_exchange":
		return badParameter("Unexpected key action['parameters']['flow_action_payload'].")
	case p.Payload != nil && p.Payload.Screen == "":
		return badParameter("The parameter action['parameters']['flow_action_payload']['screen'] is required.")
	}
	return length("action['parameters']['flow_cta']", p.CTA, flowCTAMax)
}

func oneProduct(action json.RawMessage) *graphError {
	var in struct {
		Catalog string `json:"catalog_id"`
		Product string `json:"product_retailer_id"`
	}
	return first(decodeStrict(action, &in), length("action['catalog_id']", in.Catalog, catalogIDMax), length("action['product_retailer_id']", in.Product, productIDMax))
}

func productSections(action json.RawMessage) *graphError {
	var in struct {
		Catalog  string `json:"catalog_id"`
		Sections []struct {
			Title string `json:"title"`
			Items []struct {
				Product string `json:"product_retailer_id"`
			} `json:"product_items"`
		} `json:"sections"`
	}
	e := first(decodeStrict(action, &in), length("action['catalog_id']", in.Catalog, catalogIDMax), count("action['sections']", len(in.Sections), 1, sectionsMax))
	if e != nil {
		return e
	}
	products := 0
	for i, s := range in.Sections {
		name := fmt.Sprintf("action['sections'][%d]", i)
		if e := first(sectionTitle(name, s.Title, len(in.Sections)), count(name+"['product_items']", len(s.Items), 1, productsMax)); e != nil {
			return e
		}
		for j, item := range s.Items {
			if e := length(fmt.Sprintf("%s['product_items'][%d]['product_retailer_id']", name, j), item.Product, productIDMax); e != nil {
				return e
			}
			products++
		}
	}
	return count("action['sections'] of products in total", products, 1, productsMax)
}

func wholeCatalog(action json.RawMessage) *graphError {
	var in struct {
		Name       string `json:"name"`
		Parameters *struct {
			Thumbnail string `json:"thumbnail_product_retailer_id"`
		} `json:"parameters"`
	}
	if e := decodeStrict(action, &in); e != nil {
		return e
	}
	return named(in.Name, "catalog_message")
}
