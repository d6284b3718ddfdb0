package actors

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/chumiai/chumi/chat"
)

// Goods is what a business sells and has sold: its products and orders. Products are
// searched in memory; what is kept there is of the version that the stored head names,
// so that a search sees every change that was acknowledged before it, on any node.
// Safe for concurrent use.
type Goods struct {
	docs Documents
	// mu guards known. Whoever builds an index holds the tenant's own lock.
	mu    sync.Mutex
	known map[chat.TenantID]*shelf
	// held counts the products in memory, clock the uses of shelves.
	held, clock int
}

// shelf is the products of one tenant.
type shelf struct {
	building sync.Mutex
	// The rest is guarded by Goods.mu.
	index   *chat.CatalogIndex
	version uint64
	used    int
}

// goodsMax bounds the products that are in memory, at about 1 KB each.
const goodsMax = 400_000

// NewGoods returns what reads products and orders of a store.
func NewGoods(docs Documents) *Goods {
	return &Goods{docs: docs, known: map[chat.TenantID]*shelf{}}
}

var errGoods = chat.E("goods", chat.KindCorrupt, "a document is unreadable", nil)

// index is the products of a tenant as they are now, with their version.
func (g *Goods) index(ctx context.Context, t chat.TenantID) (*chat.CatalogIndex, uint64, error) {
	g.mu.Lock()
	s := g.known[t]
	if s == nil {
		s = new(shelf)
		g.known[t] = s
	}
	g.mu.Unlock()
	s.building.Lock()
	defer s.building.Unlock()
	head, err := g.head(t)
	if err != nil {
		return nil, 0, err
	}
	g.mu.Lock()
	g.clock++
	s.used = g.clock
	index, version := s.index, s.version
	g.mu.Unlock()
	if index != nil && version == head.Version {
		return index, version, nil
	}
	// Read after the head: what changed meanwhile is found by the next search.
	docs, err := g.docs.Docs(ctx, t, chat.DocCatalog)
	if err != nil {
		return nil, 0, err
	}
	items := make([]chat.CatalogItem, len(docs))
	for i := range docs {
		if json.Unmarshal(docs[i].Value, &items[i]) != nil {
			return nil, 0, errGoods
		}
	}
	slices.SortFunc(items, func(a, b chat.CatalogItem) int { return strings.Compare(a.ID, b.ID) })
	index = chat.IndexCatalog(items)
	g.keep(t, s, index, head.Version)
	return index, head.Version, nil
}

// keep takes an index into memory, and lets go of those that were not used for
// longest.
func (g *Goods) keep(t chat.TenantID, s *shelf, index *chat.CatalogIndex, version uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.index != nil {
		g.held -= s.index.Len()
	}
	s.index, s.version = index, version
	g.held += index.Len()
	for g.held > goodsMax {
		var oldest *shelf
		for id, other := range g.known {
			if id != t && other.index != nil && (oldest == nil || other.used < oldest.used) {
				oldest = other
			}
		}
		if oldest == nil {
			return
		}
		g.held -= oldest.index.Len()
		oldest.index = nil
	}
}

func (g *Goods) head(t chat.TenantID) (h chat.CatalogHead, err error) {
	value, found, err := g.docs.Doc(t, chat.DocCatalogHead, chat.CatalogHeadID)
	if err == nil && found && json.Unmarshal(value, &h) != nil {
		err = errGoods
	}
	return h, err
}

// Find returns up to limit products for a query, as a model sees them.
func (g *Goods) Find(ctx context.Context, t chat.TenantID, query string, limit int) ([]chat.Passage, error) {
	x, version, err := g.index(ctx, t)
	if err != nil {
		return nil, err
	}
	hits := x.Search(query, limit)
	list := make([]chat.Passage, len(hits))
	for i, h := range hits {
		list[i] = h.Item.Passage(version)
		list[i].Score = h.Score
	}
	return list, nil
}

// OrdersOf returns the orders of one contact, the latest first. The contact comes from
// the engine: there is no way to ask for anybody else's.
func (g *Goods) OrdersOf(t chat.TenantID, c *chat.Contact) ([]chat.OrderRecord, error) {
	var list []chat.OrderRecord
	for _, owner := range chat.OrderOwners(c) {
		value, found, err := g.docs.Doc(t, chat.DocOrders, owner)
		if err != nil {
			return nil, err
		}
		var book chat.OrderBook
		if found && json.Unmarshal(value, &book) != nil {
			return nil, errGoods
		}
		list = append(list, book.Orders...)
	}
	slices.SortStableFunc(list, func(a, b chat.OrderRecord) int { return b.Updated.Compare(a.Updated) })
	return list, nil
}
