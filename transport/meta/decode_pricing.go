package meta

import (
	"sync"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// pricingOf reads what a status says about the price of its message, and whether
// that is all it says about it.
func pricingOf(m *fastjson.Value) (content *chat.Content, all bool) {
	pricing, conversation := m.Get("pricing"), m.Get("conversation")
	if empty(pricing) && empty(conversation) {
		return nil, true
	}
	p := chat.Pricing{
		Model:        word(pricing.Get("pricing_model")),
		Type:         word(pricing.Get("type")),
		Category:     word(pricing.Get("category")),
		Conversation: idOf(conversation.Get("id")),
		Origin:       word(conversation.Get("origin", "type")),
	}
	all = onlyPricing(pricing, p.Type) && onlyConversation(conversation)
	if p.Conversation != "" {
		return priced(p), all
	}
	return prices.content(p), all
}

// priced makes a Content of a price. Only what is called here moves to the heap.
func priced(p chat.Pricing) *chat.Content { return &chat.Content{Pricing: &p} }

// onlyPricing reports whether the members of a Pricing say all. Billable follows
// from the type, and Meta means to take it away.
func onlyPricing(v *fastjson.Value, kind string) bool {
	n := count(v, "pricing_model", "type", "category")
	if billable := v.Get("billable"); billable != nil && kind != "" && truthy(billable) == (kind == "regular") {
		n++
	}
	return n == lenOf(v)
}

func onlyConversation(v *fastjson.Value) bool {
	n := count(v, "id")
	if origin := v.Get("origin"); lenOf(origin) == 1 && origin.Exists("type") {
		n++
	}
	return n == lenOf(v)
}

// count is how many of the members an object has. Unlike a visit it costs no
// allocation.
func count(v *fastjson.Value, members ...string) (n int) {
	for _, m := range members {
		if v.Exists(m) {
			n++
		}
	}
	return n
}

// prices keeps the contents of statuses that say nothing but a price: there are
// few, and most statuses have one. They are shared, which a Content allows: it is
// never changed.
var prices = priceTable{known: map[chat.Pricing]*chat.Content{}}

// pricesMax bounds what strangers' bodies can make the process keep.
const pricesMax = 1024

type priceTable struct {
	sync.RWMutex
	known map[chat.Pricing]*chat.Content
}

func (t *priceTable) content(p chat.Pricing) *chat.Content {
	t.RLock()
	c := t.known[p]
	t.RUnlock()
	if c != nil {
		return c
	}
	t.Lock()
	defer t.Unlock()
	if len(t.known) >= pricesMax {
		clear(t.known)
	}
	c = priced(p)
	t.known[p] = c
	return c
}
