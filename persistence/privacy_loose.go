package persistence

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// mentionMin is how long an address must be to be looked for in what belongs to nobody:
// a shorter one stands in anything.
const mentionMin = 6

// loose replaces updates without a conversation that name one of the person's addresses
// by skeletons: what a telephone's address book said of them before they wrote.
func (p *erasePlan) loose(id chat.ContactID) error {
	c, err := p.store.Contact(p.tenant.id, id)
	if chat.KindOf(err) == chat.KindNotFound {
		return nil
	}
	if err != nil {
		return err
	}
	var words []string
	for _, a := range c.Addresses {
		if len(a.Value) >= mentionMin {
			words = append(words, a.Value)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return p.store.scan(p.tenant.realm.kind(nil, kindLoose), func(key, value []byte) error {
		row, err := splitEvent(value)
		if err != nil || chat.EventKind(row.record.Kind) == chat.Erased {
			return err
		}
		e, err := p.store.openEvent(p.tenant, "", id16{}, row)
		if err != nil || !mentions(e.Update, words) {
			return err
		}
		record, err := marshal(skeleton(row.record))
		if err != nil {
			return err
		}
		p.events++
		p.writes = append(p.writes, &recordpb.Write{Key: slices.Clone(key), Value: append(slices.Clone(value[:8]), record...)})
		return nil
	})
}

// mentions reports whether one of the words stands in an update.
func mentions(u *chat.Update, words []string) bool {
	if u == nil {
		return false
	}
	text, err := json.Marshal(u.Content)
	if err != nil {
		return true // what cannot be read is not kept
	}
	for _, in := range []string{string(u.Raw), u.Text, string(text)} {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(in, w) }) {
			return true
		}
	}
	return false
}
