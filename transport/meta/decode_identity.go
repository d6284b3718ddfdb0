package meta

import (
	"bytes"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// identityOf reads a system message about who the customer is; nil for one that
// says nothing of it.
func identityOf(m, system *fastjson.Value) *chat.IdentityChange {
	var change chat.IdentityChange
	became := bytesOf(system.Get("wa_id"))
	if became == nil {
		became = bytesOf(system.Get("new_wa_id")) // of older versions
	}
	user := bytesOf(system.Get("user_id"))
	switch kind := word(system.Get("type")); {
	case kind == "customer_identity_changed":
		change.Kind = "identity_changed"
	case kind == "user_changed_user_id":
		change.Kind = "user_id_changed"
		change.Became = addressesOf(user, became)
		change.Before = formerUserID(bytesOf(system.Get("body")), user)
	case kind == "user_changed_number", kind == "" && became != nil:
		change.Kind = "number_changed"
		change.Became = addressesOf(became, user)
		before := bytesOf(m.Get("from"))
		if before == nil {
			before = bytesOf(system.Get("customer"))
		}
		change.Before = addressesOf(before)
	default:
		return nil
	}
	return &change
}

// addressesOf tells numbers from user ids: each has been seen in the place of the
// other.
func addressesOf(ids ...[]byte) (list []chat.Address) {
	for _, id := range ids {
		id = digits(id)
		if !usableID(id) {
			continue
		}
		kind := chat.WaID
		switch {
		case isParentBSUID(id):
			kind = chat.ParentBSUID
		case isBSUID(id):
			kind = chat.BSUID
		}
		list = append(list, chat.Address{Kind: kind, Value: string(id)})
	}
	return list
}

// formerUserID finds the user id that a sentence names beside the one it became:
// the sentence is the only place where Meta puts it.
func formerUserID(sentence, became []byte) []chat.Address {
	for _, w := range bytes.Fields(sentence) {
		if w = bytes.TrimRight(w, ".,;:"); isBSUID(w) && bytes.IndexByte(w, '.') == 2 && !bytes.Equal(w, became) {
			return addressesOf(w)
		}
	}
	return nil
}
