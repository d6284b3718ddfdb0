package api

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

const (
	importPath = "/v1/catalog/import"
	// importMax is the largest import, in bytes: it is in memory while it is read.
	importMax                = 16 << 20
	itemsDefault, itemsMax   = 100, 1000
	ordersDefault, ordersMax = 100, 1000
)

// itemPage is a page of products or orders.
func answerPage[T any](r *call, data []T, next string) *failure {
	p := page[T]{Data: data}
	if p.Data == nil {
		p.Data = []T{}
	}
	if next != "" {
		p.Next = &next
	}
	return r.answerJSON(p)
}

// paged reads limit and cursor.
func (r *call) paged(def, most int) (o *Tooling, cursor string, limit int, fail *failure) {
	if o, fail = r.tooling(); fail != nil {
		return nil, "", 0, fail
	}
	if limit, fail = r.limit(def, most); fail != nil {
		return nil, "", 0, fail
	}
	cursor, fail = r.cursor()
	return o, cursor, limit, fail
}

// listItems is GET /v1/catalog/items.
func (r *call) listItems() *failure {
	o, cursor, limit, fail := r.paged(itemsDefault, itemsMax)
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	data, next, err := o.Products.Items(ctx, r.principal.Tenant, cursor, limit)
	if err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	return answerPage(r, data, next)
}

// showItem is GET /v1/catalog/items/{id}.
func (r *call) showItem() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	it, err := o.Products.Item(ctx, r.principal.Tenant, r.named())
	if err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	return r.answerJSON(it)
}

// putItem is PUT /v1/catalog/items/{id}.
func (r *call) putItem() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	var it chat.CatalogItem
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &it); fail != nil {
		return fail
	}
	if it.ID == "" {
		it.ID = r.named()
	}
	if it.ID != r.named() {
		return invalid("parameter_invalid", "id", "id is that in the path.")
	}
	if wrong := it.Check(); wrong != nil {
		return overLimit(wrong)
	}
	ctx, cancel := r.writing()
	defer cancel()
	if _, err := o.Imports.Put(ctx, r.principal.Tenant, []chat.CatalogItem{it}, r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	return r.answerJSON(it)
}

// deleteItem is DELETE /v1/catalog/items/{id}.
func (r *call) deleteItem() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Products.Drop(ctx, r.principal.Tenant, r.named(), r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// importItems is POST /v1/catalog/import: JSON or CSV, all of it checked before
// anything is written.
func (r *call) importItems() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	mode := string(r.ctx.QueryArgs().Peek("mode"))
	if mode != "" && mode != "merge" && mode != "replace" {
		return invalid("parameter_invalid", "mode", "mode must be merge or replace.")
	}
	items, fail := readItems(string(r.ctx.Request.Header.ContentType()), slices.Clone(r.ctx.PostBody()))
	if fail != nil {
		return fail
	}
	seen := make(map[string]bool, len(items))
	for i := range items {
		at := "items[" + strconv.Itoa(i) + "]"
		if wrong := items[i].Check(); wrong != nil {
			return invalid(wrong.Code, at+"."+wrong.Param, at+": "+wrong.Message)
		}
		if seen[items[i].ID] {
			return invalid("parameter_invalid", at+".id", at+": the id stands twice.")
		}
		seen[items[i].ID] = true
	}
	ctx, cancel := r.writing()
	defer cancel()
	var done struct {
		Written int `json:"written"`
		Deleted int `json:"deleted"`
	}
	var err error
	if mode == "replace" {
		done.Written, done.Deleted, err = o.Imports.Replace(ctx, r.principal.Tenant, items, r.principal.Key)
	} else {
		done.Written, err = o.Imports.Put(ctx, r.principal.Tenant, items, r.principal.Key)
	}
	if err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	return r.answerJSON(done)
}

// readItems reads the products of an import.
func readItems(contentType string, body []byte) ([]chat.CatalogItem, *failure) {
	t, _, _ := mime.ParseMediaType(contentType)
	if len(body) > importMax {
		return nil, invalid("parameter_too_long", "", "An import has at most 16 MiB; send it in parts.")
	}
	switch t {
	case "text/csv":
		return readCSV(body)
	case "application/json":
		var in struct {
			Items []chat.CatalogItem `json:"items"`
		}
		if fail := decodeStrict(body, &in); fail != nil {
			return nil, fail
		}
		if in.Items == nil {
			return nil, missing("items")
		}
		return in.Items, nil
	}
	return nil, invalid("parameter_invalid", "Content-Type", "Content-Type must be application/json or text/csv.")
}

// csvColumns are the columns of an import. words are parted by |; price is written as
// people do, 1299.00, or in the smallest unit as price_minor.
var csvColumns = []string{"id", "name", "description", "price", "price_minor", "currency", "stock", "url", "words"}

// readCSV reads a table with a line of column names, parted by commas or semicolons.
func readCSV(body []byte) ([]chat.CatalogItem, *failure) {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	head, _, _ := bytes.Cut(body, []byte("\n"))
	d := csv.NewReader(bytes.NewReader(body))
	if bytes.Count(head, []byte(";")) > bytes.Count(head, []byte(",")) {
		d.Comma = ';'
	}
	d.FieldsPerRecord = -1
	names, err := d.Read()
	if err != nil {
		return nil, invalid("body_invalid", "", "The table has no line of column names.")
	}
	column := map[string]int{}
	for i, n := range names {
		n = strings.ToLower(strings.TrimSpace(n))
		if !slices.Contains(csvColumns, n) {
			return nil, invalid("parameter_unknown", n, "There is no column of this name; there are "+strings.Join(csvColumns, ", ")+".")
		}
		column[n] = i
	}
	items := []chat.CatalogItem{}
	for {
		row, err := d.Read()
		if errors.Is(err, io.EOF) {
			return items, nil
		}
		if err != nil {
			return nil, invalid("body_invalid", "", "The table cannot be read after product "+strconv.Itoa(len(items))+".")
		}
		it, wrong := itemFrom(func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return strings.TrimSpace(row[i])
			}
			return ""
		})
		if wrong != "" {
			at := "items[" + strconv.Itoa(len(items)) + "]"
			return nil, invalid("parameter_invalid", at+"."+wrong, at+": "+wrong+" is not a number that can be read.")
		}
		items = append(items, it)
	}
}

// itemFrom reads a product out of a row; wrong names the column that cannot be read.
func itemFrom(cell func(string) string) (it chat.CatalogItem, wrong string) {
	it = chat.CatalogItem{ID: cell("id"), Name: cell("name"), Description: cell("description"), Currency: strings.ToUpper(cell("currency")), URL: cell("url")}
	if words := cell("words"); words != "" {
		for w := range strings.SplitSeq(words, "|") {
			it.Words = append(it.Words, strings.TrimSpace(w))
		}
	}
	if s := cell("stock"); s != "" {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return it, "stock"
		}
		it.Stock = &n
	}
	minor, price := cell("price_minor"), cell("price")
	if minor != "" {
		n, err := strconv.ParseInt(minor, 10, 64)
		if err != nil || price != "" {
			return it, "price_minor"
		}
		it.Price = n
		return it, ""
	}
	n, ok := chat.PriceUnits(price, it.Currency)
	if !ok {
		return it, "price"
	}
	it.Price = n
	return it, ""
}

// listOrders is GET /v1/orders.
func (r *call) listOrders() *failure {
	o, cursor, limit, fail := r.paged(ordersDefault, ordersMax)
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	data, next, err := o.Orders.Orders(ctx, r.principal.Tenant, cursor, limit)
	if err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	return answerPage(r, data, next)
}

// putOrder is PUT /v1/orders/{id}.
func (r *call) putOrder() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	var in chat.OrderRecord
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return fail
	}
	if in.ID == "" {
		in.ID = r.named()
	}
	if in.ID != r.named() {
		return invalid("parameter_invalid", "id", "id is that in the path.")
	}
	in.Phone = strings.TrimPrefix(in.Phone, "+")
	if wrong := in.Check(); wrong != nil {
		return overLimit(wrong)
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Orders.PutOrder(ctx, r.principal.Tenant, in, r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	return r.answerJSON(in)
}

// deleteOrder is DELETE /v1/orders/{id}.
func (r *call) deleteOrder() *failure {
	o, fail := r.tooling()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := o.Orders.DropOrder(ctx, r.principal.Tenant, r.named(), r.principal.Key); err != nil {
		return r.toolFailed(err, &errNoItem)
	}
	r.ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}
