package chat_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

func stock(n int64) *int64 { return &n }

var goods = []chat.CatalogItem{
	{ID: "RAD-28-BL", Name: "City bike 28 blue", Description: "Seven gears, hub dynamo", Price: 69900, Currency: "EUR", Stock: stock(3)},
	{ID: "RAD-28-RD", Name: "City bike 28 red", Description: "Seven gears", Price: 69900, Currency: "EUR", Stock: stock(0)},
	{ID: "HELM-M", Name: "Helmet medium", Words: []string{"Fahrradhelm", "casco"}, Price: 4990, Currency: "EUR"},
	{ID: "GLOC-1", Name: "Fahrradglocke Müller", Description: "Brass bell", Price: 1250, Currency: "EUR"},
	{ID: "JP-1", Name: "自転車用ライト", Price: 2980, Currency: "JPY"},
}

func found(x *chat.CatalogIndex, query string) (ids []string) {
	for _, h := range x.Search(query, 5) {
		ids = append(ids, h.Item.ID)
	}
	return ids
}

func TestCatalogIndex_FindsByWhatCustomersSay(t *testing.T) {
	x := chat.IndexCatalog(goods)
	for _, c := range []struct {
		query string
		want  []string
	}{
		{"RAD-28-BL", []string{"RAD-28-BL"}}, {"rad 28 bl", []string{"RAD-28-BL"}}, {"blue bike", []string{"RAD-28-BL", "RAD-28-RD"}}, {"helmets", nil}, {"Helmet", []string{"HELM-M"}},
		{"helm", []string{"HELM-M"}}, {"fahrradhelm", []string{"HELM-M"}}, {"Fahradhelm", []string{"HELM-M"}}, {"hemlet", []string{"HELM-M"}},
		{"CASCO", []string{"HELM-M"}}, {"muller glocke", []string{"GLOC-1"}}, {"müller", []string{"GLOC-1"}}, {"bell", []string{"GLOC-1"}}, {"ライト", []string{"JP-1"}},
		{"submarine", nil}, {"", nil}, {"  !? ", nil}, {"dynamo", []string{"RAD-28-BL"}},
	} {
		got := found(x, c.query)
		if c.query == "helmets" { // one letter too many is a slip
			c.want = []string{"HELM-M"}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %v, want %v", c.query, got, c.want)
		}
	}
}

func TestCatalogIndex_Property_FindsEveryProductByItsIDAndName(t *testing.T) {
	var items []chat.CatalogItem
	for i := range 3000 {
		items = append(items, chat.CatalogItem{ID: fmt.Sprintf("SKU-%05d", i), Name: fmt.Sprintf("Thing %s number%d", []string{"alpha", "beta", "gamma"}[i%3], i), Price: int64(i), Currency: "EUR"})
	}
	x := chat.IndexCatalog(items)
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(items)-1).Draw(t, "i")
		for _, query := range []string{items[i].ID, strings.ToLower(items[i].ID), items[i].Name} {
			if got := found(x, query); len(got) == 0 || got[0] != items[i].ID {
				t.Fatalf("%q: %v", query, got)
			}
		}
		query := rapid.String().Draw(t, "query")
		if a, b := found(x, query), found(x, query); !slices.Equal(a, b) {
			t.Fatalf("%q: %v, then %v", query, a, b)
		}
	})
}

func TestCatalogItem_ShowsItsPriceAndStock(t *testing.T) {
	p := goods[0].Passage(7)
	if !strings.Contains(p.Text, `"price":"699.00 EUR"`) || !strings.Contains(p.Text, `"3 in stock"`) || p.Version != 7 || !slices.Equal(p.Prices, []string{"699.00 EUR"}) {
		t.Errorf("%+v", p)
	}
	if text := goods[1].Passage(1).Text; !strings.Contains(text, "out of stock") {
		t.Error(text)
	}
	if text := goods[2].Passage(1).Text; strings.Contains(text, "stock") {
		t.Error(text)
	}
}

// tenantLevel is a tenant without conversations, as facts about documents see it.
type tenantLevel map[string]chat.Doc

func (l tenantLevel) put(f chat.Fact) chat.Decision {
	var docs []chat.Doc
	for _, d := range l {
		docs = append(docs, d)
	}
	d := chat.Step(&chat.Conversation{Tenant: "acme"}, chat.Input{Now: start, Settings: &chat.Settings{}, Known: chat.Known{Docs: docs}, Fact: f})
	for _, doc := range d.Docs {
		key := string(doc.Noun) + doc.ID
		if l[key] = doc; doc.Value == nil {
			delete(l, key)
		}
	}
	return d
}

func (l tenantLevel) head(t *testing.T) (h chat.CatalogHead) {
	t.Helper()
	if d, ok := l[string(chat.DocCatalogHead)+chat.CatalogHeadID]; ok && json.Unmarshal(d.Value, &h) != nil {
		t.Fatal("the head is unreadable")
	}
	return h
}

func TestCatalogPut_CountsAndTellsOnlyOfChanges(t *testing.T) {
	l := tenantLevel{}
	d := l.put(chat.CatalogPut{Items: goods[:3], By: "k_1"})
	if len(d.Events) != 1 || d.Events[0].Kind != chat.CatalogChanged || d.Events[0].Change.Put != 3 || d.Events[0].Change.By != "k_1" {
		t.Fatalf("%+v", d.Events)
	}
	if h := l.head(t); h.Items != 3 || h.Version != 1 {
		t.Errorf("%+v", h)
	}
	if d = l.put(chat.CatalogPut{Items: goods[:3], Gone: []string{"nothing"}}); d.Verdict.Kind != chat.VerdictDuplicate || len(d.Events)+len(d.Docs) != 0 {
		t.Errorf("the same again: %+v", d)
	}
	dearer := goods[0]
	dearer.Price++
	d = l.put(chat.CatalogPut{Items: []chat.CatalogItem{dearer, goods[3]}, Gone: []string{goods[1].ID}})
	if c := d.Events[0].Change; c.Put != 2 || c.Deleted != 1 {
		t.Errorf("%+v", c)
	}
	if h := l.head(t); h.Items != 3 || h.Version != 2 {
		t.Errorf("%+v", h)
	}
}

func TestCatalogItem_Check(t *testing.T) {
	good := goods[0]
	for param, spoil := range map[string]func(*chat.CatalogItem){
		"id":          func(c *chat.CatalogItem) { c.ID = "a b" },
		"name":        func(c *chat.CatalogItem) { c.Name = "" },
		"currency":    func(c *chat.CatalogItem) { c.Currency = "euro" },
		"price":       func(c *chat.CatalogItem) { c.Price = -1 },
		"stock":       func(c *chat.CatalogItem) { c.Stock = stock(-1) },
		"url":         func(c *chat.CatalogItem) { c.URL = "javascript:x" },
		"description": func(c *chat.CatalogItem) { c.Description = strings.Repeat("x", 5000) },
		"words":       func(c *chat.CatalogItem) { c.Words = make([]string, 30) },
	} {
		it := good
		spoil(&it)
		if err := it.Check(); err == nil || err.Param != param {
			t.Errorf("%s: %v", param, err)
		}
	}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
}

func order(id, phone, status string) chat.OrderRecord {
	return chat.OrderRecord{ID: id, Phone: phone, Status: status}
}

// books are the orders that each customer would be shown.
func (l tenantLevel) book(t *testing.T, c *chat.Contact) (ids []string) {
	t.Helper()
	for _, owner := range chat.OrderOwners(c) {
		var b chat.OrderBook
		if d, ok := l[string(chat.DocOrders)+owner]; ok {
			if err := json.Unmarshal(d.Value, &b); err != nil {
				t.Fatal(err)
			}
		}
		for _, o := range b.Orders {
			ids = append(ids, o.ID)
		}
	}
	return ids
}

func person(id chat.ContactID, numbers ...string) *chat.Contact {
	c := &chat.Contact{ID: id}
	for _, n := range numbers {
		c.Addresses = append(c.Addresses, chat.Address{Kind: chat.WaID, Value: n})
	}
	return c
}

func TestOrdersPut_StandInTheBookOfTheirCustomerAlone(t *testing.T) {
	l := tenantLevel{}
	ada, bob := person("ctc_ada", "491701111111"), person("ctc_bob", "491702222222")
	l.put(chat.OrdersPut{Orders: []chat.OrderRecord{order("A1", "491701111111", "sent"), order("B1", "491702222222", "open"), {ID: "A2", Contact: "ctc_ada", Status: "open"}}})
	if got := l.book(t, ada); !slices.Equal(got, []string{"A2", "A1"}) {
		t.Errorf("ada: %v", got)
	}
	if got := l.book(t, bob); !slices.Equal(got, []string{"B1"}) {
		t.Errorf("bob: %v", got)
	}
	// An order that turns out to be somebody else's leaves the first.
	l.put(chat.OrdersPut{Orders: []chat.OrderRecord{order("A1", "491702222222", "sent")}})
	if a, b := l.book(t, ada), l.book(t, bob); !slices.Equal(a, []string{"A2"}) || !slices.Equal(b, []string{"B1", "A1"}) {
		t.Errorf("ada %v, bob %v", a, b)
	}
	d := l.put(chat.OrdersPut{Gone: []string{"A1", "B1", "A2", "Z"}})
	if c := d.Events[0].Change; c.Deleted != 3 || len(c.IDs) != 0 {
		t.Errorf("the event names orders: %+v", c)
	}
	if len(l) != 0 {
		t.Errorf("documents are left: %v", l)
	}
}

func TestOrdersPut_ALateWordChangesNothing(t *testing.T) {
	l := tenantLevel{}
	sent := order("A1", "491701111111", "sent")
	sent.Updated = start
	l.put(chat.OrdersPut{Orders: []chat.OrderRecord{sent}})
	early := order("A1", "491701111111", "packed")
	early.Updated = start.Add(-1)
	if d := l.put(chat.OrdersPut{Orders: []chat.OrderRecord{early}}); d.Verdict.Kind != chat.VerdictDuplicate || len(d.Docs) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestOrdersPut_KeepsTheLatestOfACustomer(t *testing.T) {
	l := tenantLevel{}
	for i := range chat.OrdersMax + 10 {
		l.put(chat.OrdersPut{Orders: []chat.OrderRecord{order(fmt.Sprint("A", i), "491701111111", "sent")}})
	}
	got := l.book(t, person("ctc_ada", "491701111111"))
	if len(got) != chat.OrdersMax || got[0] != "A10" || len(l) != chat.OrdersMax+1 {
		t.Errorf("%d orders from %s on, %d documents", len(got), got[0], len(l))
	}
}

func TestOrderOwners_AreTheContactsOwn(t *testing.T) {
	c := person("ctc_ada", "5511987654321")
	c.Addresses = append(c.Addresses, chat.Address{Kind: chat.IGSID, Value: "17841400"}, chat.Address{Kind: chat.WaID, Value: "4930111111"})
	c.Former = []chat.Address{{Kind: chat.WaID, Value: "4930111111"}}
	got := chat.OrderOwners(c)
	if want := []string{"c/ctc_ada", "p/5511987654321", "p/551187654321"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
