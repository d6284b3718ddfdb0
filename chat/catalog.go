package chat

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Limits of the catalog. A tenant's products are searched in memory: CatalogMax of
// them cost about 100 MB.
const (
	CatalogMax = 100_000
	// CatalogBatchMax products are changed in one commit.
	CatalogBatchMax = 100
	itemIDMax       = 100
	itemNameMax     = 200
	itemTextMax     = 4000
	itemWordsMax    = 20
	itemURLMax      = 2000
	// ItemPriceMax keeps a price countable in every unit.
	ItemPriceMax = 1_000_000_000_000
)

// CatalogHead says what there is. It changes with every change of the catalog, so
// that whoever keeps products in memory knows whether they are of today.
type CatalogHead struct {
	Version uint64 `json:"version"`
	Items   int    `json:"items"`
}

// CatalogPut is products that somebody wrote, at most CatalogBatchMax, and ids of
// products that are no more. It belongs to no conversation.
type CatalogPut struct {
	Items []CatalogItem
	Gone  []string
	By    string
}

func (CatalogPut) fact() {}

func (p *step) catalogPut(f CatalogPut) {
	var head CatalogHead
	if v := p.knownDoc(DocCatalogHead, CatalogHeadID).Value; v != nil && json.Unmarshal(v, &head) != nil {
		p.refuse("catalog_unreadable")
		return
	}
	change := DocChange{What: "product", By: f.By}
	for i := range f.Items {
		value, err := json.Marshal(&f.Items[i])
		if err != nil {
			p.refuse("product_invalid")
			return
		}
		before := p.knownDoc(DocCatalog, f.Items[i].ID).Value
		if bytes.Equal(before, value) {
			continue
		}
		if before == nil {
			head.Items++
		}
		change.Put++
		change.name(f.Items[i].ID)
		p.setDoc(Doc{Noun: DocCatalog, ID: f.Items[i].ID, Value: value})
	}
	for _, id := range f.Gone {
		if p.knownDoc(DocCatalog, id).Value == nil {
			continue
		}
		head.Items--
		change.Deleted++
		change.name(id)
		p.setDoc(Doc{Noun: DocCatalog, ID: id})
	}
	if head.Items > CatalogMax {
		p.d = Decision{}
		p.refuse("catalog_full")
		return
	}
	if change.Put+change.Deleted > 0 {
		head.Version++
		p.putDoc(Doc{Noun: DocCatalogHead, ID: CatalogHeadID}, &head)
	}
	p.changed(CatalogChanged, change)
}

// Check reports the first part of a product that cannot be stored; nil when all can.
func (c *CatalogItem) Check() *LimitError {
	k := checker{}
	k.identifier("id", c.ID, itemIDMax)
	k.wording("name", c.Name, itemNameMax, true)
	k.wording("description", c.Description, itemTextMax, false)
	k.wording("url", c.URL, itemURLMax, false)
	if _, ok := CurrencyDigits(c.Currency); !ok {
		k.fail("currency", "parameter_invalid", "currency must be an ISO 4217 word such as EUR.")
	}
	if c.Price < 0 || c.Price > ItemPriceMax {
		k.fail("price", "parameter_invalid", "price must be in the smallest unit of the currency, from 0 to %d.", int64(ItemPriceMax))
	}
	if c.Stock != nil && *c.Stock < 0 {
		k.fail("stock", "parameter_invalid", "stock must not be negative; leave it out when nobody counts.")
	}
	if c.URL != "" && !httpsURL(c.URL) {
		k.fail("url", "parameter_invalid", "url must begin with https://.")
	}
	if len(c.Words) > itemWordsMax {
		k.fail("words", "parameter_too_many", "words may hold at most %d.", itemWordsMax)
	}
	for _, w := range c.Words {
		k.wording("words", w, itemNameMax, true)
	}
	return k.err
}

// identifier checks an id that stands in paths and in what models read: without
// spaces and without what a reader does not see.
func (c *checker) identifier(param, id string, most int) {
	switch {
	case id == "":
		c.fail(param, "parameter_missing", "%s is required.", param)
	case len(id) > most:
		c.fail(param, "parameter_too_long", "%s may be %d bytes long.", param, most)
	}
	for _, r := range id {
		if r <= ' ' || r == 0x7f || r == '/' || r == utf8.RuneError || r >= 0x80 && r < 0xa1 || invisible(r) {
			c.fail(param, "parameter_invalid", "%s must hold no spaces, slashes or control characters.", param)
		}
	}
}

// wording checks a text for people.
func (c *checker) wording(param, text string, most int, required bool) {
	switch {
	case required && text == "":
		c.fail(param, "parameter_missing", "%s is required.", param)
	case len(text) > most:
		c.fail(param, "parameter_too_long", "%s may be %d bytes long.", param, most)
	case !utf8.ValidString(text):
		c.fail(param, "parameter_invalid", "%s is not UTF-8.", param)
	}
}

func httpsURL(u string) bool { return len(u) > len("https://") && u[:8] == "https://" }

// Passage is a product as a model sees it, and as the prices in an answer are held
// against.
func (c *CatalogItem) Passage(version uint64) Passage {
	return Passage{Chunk: "product/" + c.ID, Version: int(version), Source: "catalog", Title: c.Name, URL: c.URL, // #nosec G115 -- counts changes
		Text: c.line(), Prices: []string{c.PriceText()}}
}

// line is a product in one JSON object.
func (c *CatalogItem) line() string {
	shown := struct {
		ID          string `json:"id"`
		Name        string `json:"name"`
		Price       string `json:"price"`
		Stock       string `json:"stock,omitempty"`
		Description string `json:"description,omitempty"`
		URL         string `json:"url,omitempty"`
	}{ID: c.ID, Name: c.Name, Price: c.PriceText(), Description: clipText(c.Description, 400), URL: c.URL}
	switch {
	case c.Stock == nil:
	case *c.Stock == 0:
		shown.Stock = "out of stock"
	default:
		shown.Stock = itoa(*c.Stock) + " in stock"
	}
	b, _ := json.Marshal(shown) // texts: it can
	return string(b)
}

// clipText cuts a text, on a character, and marks the cut.
func clipText(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for most > 0 && !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
