package actors

import (
	"context"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// Catalog is what people and programs do with a tenant's products and orders. Every
// change is durable when it returns. Safe for concurrent use.
type Catalog struct{ sys *System }

// Catalog returns the way to products and orders.
func (s *System) Catalog() *Catalog { return &Catalog{sys: s} }

// catalogBytesMax bounds the products of one commit, in bytes of their documents.
const catalogBytesMax = 128 << 10

// Items returns products by id, from the one after the cursor on; next is the cursor
// of the page after, empty at the end.
func (c *Catalog) Items(ctx context.Context, t chat.TenantID, cursor string, limit int) (page []chat.CatalogItem, next string, err error) {
	all, err := documentsOf(ctx, c.sys, t, chat.DocCatalog, func(v *chat.CatalogItem) string { return v.ID })
	if err != nil {
		return nil, "", err
	}
	return pageAfter(all, cursor, limit, func(v *chat.CatalogItem) string { return v.ID })
}

// pageAfter cuts a page out of a list that is sorted by key.
func pageAfter[T any](all []T, cursor string, limit int, key func(*T) string) (page []T, next string, err error) {
	from := 0
	if cursor != "" {
		i, found := slices.BinarySearchFunc(all, cursor, func(v T, k string) int {
			switch id := key(&v); {
			case id < k:
				return -1
			case id > k:
				return 1
			}
			return 0
		})
		if from = i; found {
			from++
		}
	}
	page = all[from:min(from+limit, len(all))]
	if from+limit < len(all) {
		next = key(&page[len(page)-1])
	}
	return page, next, nil
}

// Item returns one product.
func (c *Catalog) Item(ctx context.Context, t chat.TenantID, id string) (chat.CatalogItem, error) {
	return documentOf[chat.CatalogItem](ctx, c.sys, t, chat.DocCatalog, id)
}

// Put writes products. More than fit into one commit are written in several: an error
// then names how many are written, and putting all of them again is harmless.
// REQUIRES: each passed its Check.
func (c *Catalog) Put(ctx context.Context, t chat.TenantID, items []chat.CatalogItem, by string) (written int, err error) {
	for len(items) > 0 {
		n, size := 0, 0
		for n < len(items) && n < chat.CatalogBatchMax && (n == 0 || size < catalogBytesMax) {
			it := &items[n]
			size += 200 + len(it.ID) + len(it.Name) + len(it.Description) + len(it.URL)
			n++
		}
		if _, err := c.sys.put(ctx, t, chat.CatalogPut{Items: items[:n], By: by}); err != nil {
			return written, err
		}
		written += n
		items = items[n:]
	}
	return written, nil
}

// Replace is Put, and deletes every product that is not among items, at the end.
func (c *Catalog) Replace(ctx context.Context, t chat.TenantID, items []chat.CatalogItem, by string) (written, deleted int, err error) {
	if written, err = c.Put(ctx, t, items, by); err != nil {
		return written, 0, err
	}
	stays := make(map[string]bool, len(items))
	for i := range items {
		stays[items[i].ID] = true
	}
	docs, err := c.sys.opt.Documents.Docs(ctx, t, chat.DocCatalog)
	if err != nil {
		return written, 0, err
	}
	var gone []string
	for i := range docs {
		if !stays[docs[i].ID] {
			gone = append(gone, docs[i].ID)
		}
	}
	for some := range slices.Chunk(gone, chat.CatalogBatchMax) {
		if _, err := c.sys.put(ctx, t, chat.CatalogPut{Gone: some, By: by}); err != nil {
			return written, deleted, err
		}
		deleted += len(some)
	}
	return written, deleted, nil
}

// Drop deletes a product; KindNotFound when there is none.
func (c *Catalog) Drop(ctx context.Context, t chat.TenantID, id, by string) error {
	return c.drop(ctx, t, chat.CatalogPut{Gone: []string{id}, By: by})
}

func (c *Catalog) drop(ctx context.Context, t chat.TenantID, f chat.Fact) error {
	v, err := c.sys.put(ctx, t, f)
	if err == nil && v.Kind == chat.VerdictDuplicate {
		return errNoTool
	}
	return err
}

// Orders returns orders by id, as Items.
func (c *Catalog) Orders(ctx context.Context, t chat.TenantID, cursor string, limit int) (page []chat.OrderRecord, next string, err error) {
	all, err := documentsOf(ctx, c.sys, t, chat.DocOrder, func(v *chat.OrderRecord) string { return v.ID })
	if err != nil {
		return nil, "", err
	}
	return pageAfter(all, cursor, limit, func(v *chat.OrderRecord) string { return v.ID })
}

// PutOrder writes an order. REQUIRES: it passed its Check.
func (c *Catalog) PutOrder(ctx context.Context, t chat.TenantID, o chat.OrderRecord, by string) error {
	_, err := c.sys.put(ctx, t, chat.OrdersPut{Orders: []chat.OrderRecord{o}, By: by})
	return err
}

// DropOrder deletes an order; KindNotFound when there is none.
func (c *Catalog) DropOrder(ctx context.Context, t chat.TenantID, id, by string) error {
	return c.drop(ctx, t, chat.OrdersPut{Gone: []string{id}, By: by})
}
