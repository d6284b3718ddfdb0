package persistence

import (
	"encoding/json"

	"github.com/chumiai/chumi/chat"
)

// orders deletes what is stored of a contact's orders: the books of the addresses
// that are the contact's now, and each order in them. They are sealed with the
// tenant's key, so that destroying the contact's is not enough.
func (p *erasePlan) orders(id chat.ContactID) error {
	c, err := p.store.Contact(p.tenant.id, id)
	if err != nil && chat.KindOf(err) != chat.KindNotFound {
		return err
	}
	c.ID = id
	for _, owner := range chat.OrderOwners(&c) {
		value, found, err := p.store.Doc(p.tenant.id, chat.DocOrders, owner)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		var book chat.OrderBook
		if json.Unmarshal(value, &book) != nil {
			return errRecord("a book of orders is unreadable")
		}
		for i := range book.Orders {
			p.removeDoc(chat.DocOrder, book.Orders[i].ID)
		}
		p.removeDoc(chat.DocOrders, owner)
	}
	return nil
}

func (p *erasePlan) removeDoc(noun chat.DocNoun, id string) {
	h := docHash(p.tenant, noun, id)
	p.remove(append(p.tenant.realm.docs(nil, noun), h[:]...))
}
