package chat

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Limits of orders.
const (
	// OrdersMax is how many orders of one customer are kept, the latest.
	OrdersMax = 50
	// OrderBatchMax orders are changed in one commit.
	OrderBatchMax = 50
	orderTextMax  = 1000
)

// OrderRecord is how an order of a customer stands, as the business's own system says. It
// is a document of the tenant, by its id, and in the OrderBook of its customer.
type OrderRecord struct {
	ID string `json:"id"`
	// Phone is the customer's number with the country's code, digits only; or Contact
	// names the customer. One of the two is set.
	Phone   string    `json:"phone,omitempty"`
	Contact ContactID `json:"contact_id,omitempty"`
	// Status is for the customer, in words.
	Status string `json:"status"`
	// ETA is when it should arrive, in words or as a day.
	ETA string `json:"eta,omitempty"`
	// Note is what else the customer may know.
	Note string `json:"note,omitempty"`
	// Total is in the smallest unit of Currency.
	Total    int64  `json:"total,omitempty"`
	Currency string `json:"currency,omitempty"`
	// URL leads to the parcel.
	URL     string    `json:"url,omitempty"`
	Updated time.Time `json:"updated_at,omitzero"`
}

// OrderBook is the orders of one customer, the latest last.
type OrderBook struct {
	Orders []OrderRecord `json:"orders"`
}

// OrderOwner is what the document of a customer's orders is named by.
func (o *OrderRecord) OrderOwner() string {
	if o.Contact != "" {
		return "c/" + string(o.Contact)
	}
	return "p/" + o.Phone
}

// OrderOwners are the names of all documents with orders of a contact: whoever has
// these names in hand can reach no other customer's. A number counts in all its
// spellings, while the contact has it.
func OrderOwners(c *Contact) []string {
	list := []string{"c/" + string(c.ID)}
	add := func(digits string) {
		if owner := "p/" + digits; digits != "" && !slices.Contains(list, owner) {
			list = append(list, owner)
		}
	}
	for _, a := range c.Addresses {
		if !a.isNumber() || c.gaveUp(a) {
			continue
		}
		digits := digitsOf(a.Value)
		add(digits)
		for _, v := range NumberVariants(digits) {
			add(v)
		}
	}
	return list
}

// OrdersPut is orders that somebody wrote, at most OrderBatchMax, and ids of those
// that are no more. It belongs to no conversation.
type OrdersPut struct {
	Orders []OrderRecord
	Gone   []string
	By     string
}

func (OrdersPut) fact() {}

// Owners are the books that a put of orders changes, besides those that the stored
// orders stand in.
func (f *OrdersPut) Owners() (list []string) {
	for i := range f.Orders {
		list = append(list, f.Orders[i].OrderOwner())
	}
	return list
}

// IDs are the orders that a put is about.
func (f *OrdersPut) IDs() []string {
	ids := slices.Clone(f.Gone)
	for i := range f.Orders {
		ids = append(ids, f.Orders[i].ID)
	}
	return ids
}

func (p *step) ordersPut(f OrdersPut) {
	change := DocChange{What: "order", By: f.By}
	for i := range f.Orders {
		o := f.Orders[i]
		if o.Updated.IsZero() {
			o.Updated = p.now
		}
		before, known := p.order(o.ID)
		if known && f.Orders[i].Updated.Before(before.Updated) && !f.Orders[i].Updated.IsZero() {
			continue // told late
		}
		if known {
			same := o
			same.Updated = before.Updated
			if same == before {
				continue
			}
			p.leaveBook(before)
		}
		change.Put++
		p.enterBook(o)
	}
	for _, id := range f.Gone {
		before, known := p.order(id)
		if !known {
			continue
		}
		change.Deleted++
		p.leaveBook(before)
		p.setDoc(Doc{Noun: DocOrder, ID: id})
	}
	p.changed(OrdersChanged, change)
}

// order is a stored order.
func (p *step) order(id string) (o OrderRecord, known bool) {
	v := p.knownDoc(DocOrder, id).Value
	return o, v != nil && json.Unmarshal(v, &o) == nil
}

// book is the orders of a customer.
func (p *step) book(owner string) (b OrderBook) {
	if v := p.knownDoc(DocOrders, owner).Value; v != nil {
		_ = json.Unmarshal(v, &b) // what cannot be read holds no order
	}
	return b
}

func (p *step) leaveBook(o OrderRecord) {
	b := p.book(o.OrderOwner())
	b.Orders = slices.DeleteFunc(b.Orders, func(k OrderRecord) bool { return k.ID == o.ID })
	p.setBook(o.OrderOwner(), b)
}

func (p *step) enterBook(o OrderRecord) {
	b := p.book(o.OrderOwner())
	b.Orders = append(b.Orders, o)
	for len(b.Orders) > OrdersMax {
		p.setDoc(Doc{Noun: DocOrder, ID: b.Orders[0].ID})
		b.Orders = b.Orders[1:]
	}
	p.setBook(o.OrderOwner(), b)
	value, _ := json.Marshal(o) // texts, numbers and a time: it can
	p.setDoc(Doc{Noun: DocOrder, ID: o.ID, Value: value})
}

func (p *step) setBook(owner string, b OrderBook) {
	doc := Doc{Noun: DocOrders, ID: owner}
	if len(b.Orders) > 0 {
		doc.Value, _ = json.Marshal(b) // as above
	}
	p.setDoc(doc)
}

// Check reports the first part of an order that cannot be stored; nil when all can.
func (o *OrderRecord) Check() *LimitError {
	k := checker{}
	k.identifier("id", o.ID, itemIDMax)
	if (o.Phone == "") == (o.Contact == "") {
		k.fail("phone", "parameter_invalid", "an order belongs to a phone or to a contact_id: set one of them.")
	}
	if o.Phone != "" && (digitsOf(o.Phone) != o.Phone || len(o.Phone) < 7 || len(o.Phone) > numberMax || o.Phone[0] == '0') {
		k.fail("phone", "parameter_invalid", "phone must be the number with the country's code, digits only, such as 491701234567.")
	}
	k.wording("contact_id", string(o.Contact), itemIDMax, false)
	k.wording("status", o.Status, itemNameMax, true)
	k.wording("eta", o.ETA, itemNameMax, false)
	k.wording("note", o.Note, orderTextMax, false)
	k.wording("url", o.URL, itemURLMax, false)
	if o.URL != "" && !httpsURL(o.URL) {
		k.fail("url", "parameter_invalid", "url must begin with https://.")
	}
	if _, ok := CurrencyDigits(o.Currency); o.Currency != "" && !ok {
		k.fail("currency", "parameter_invalid", "currency must be an ISO 4217 word such as EUR.")
	}
	if o.Total < 0 || o.Total > ItemPriceMax || o.Total != 0 && o.Currency == "" {
		k.fail("total", "parameter_invalid", "total must be in the smallest unit of currency, not negative, and needs a currency.")
	}
	return k.err
}

// PriceText is the order's total as models see it; empty without one.
func (o *OrderRecord) PriceText() string {
	if o.Currency == "" || o.Total == 0 {
		return ""
	}
	return moneyText(o.Total, o.Currency)
}

// Line is an order as a model sees it: without what it already knows, or must not.
func (o *OrderRecord) Line() string {
	shown := struct {
		ID      string `json:"order"`
		Status  string `json:"status"`
		ETA     string `json:"eta,omitempty"`
		Note    string `json:"note,omitempty"`
		Total   string `json:"total,omitempty"`
		URL     string `json:"url,omitempty"`
		Updated string `json:"as_of,omitempty"`
	}{ID: o.ID, Status: o.Status, ETA: o.ETA, Note: o.Note, Total: o.PriceText(), URL: o.URL}
	if !o.Updated.IsZero() {
		shown.Updated = o.Updated.UTC().Format(time.RFC3339)
	}
	b, _ := json.Marshal(shown) // texts: it can
	return string(b)
}

// SameOrder reports whether a customer means an order by what they write: case,
// spaces and signs do not count.
func SameOrder(id, said string) bool {
	a, b := squeeze(id), squeeze(said)
	return a != "" && a == b
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
