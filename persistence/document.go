package persistence

import (
	"context"
	"encoding/json"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// document is the plain form of a 'd' row.
type document struct {
	ID    string          `json:"id"`
	Value json.RawMessage `json:"value"`
}

func docHash(t *tenant, noun chat.DocNoun, id string) id16 {
	return t.pepper.Hash(hashDoc, string([]byte{byte(noun)}), id)
}

// docWrite is a document as the row that a commit writes.
func docWrite(t *tenant, d *chat.Doc) (*recordpb.Write, error) {
	h := docHash(t, d.Noun, d.ID)
	w := &recordpb.Write{Key: append(t.realm.docs(nil, d.Noun), h[:]...), Delete: d.Value == nil}
	if w.Delete {
		return w, nil
	}
	plain, err := json.Marshal(document{ID: d.ID, Value: d.Value})
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a document is not JSON", nil)
	}
	w.Value, err = t.box.Seal(plain, idPlace(placeDoc, t.id, h))
	return w, err
}

// openDoc is the inverse of docWrite.
func (t *tenant) openDoc(h id16, v []byte) (document, error) {
	var d document
	plain, err := t.box.Open(v, idPlace(placeDoc, t.id, h))
	if err != nil {
		return d, err
	}
	if json.Unmarshal(plain, &d) != nil {
		return d, errRecord("a document is unreadable")
	}
	return d, nil
}

// Doc returns the value of a document, found false when there is none. It may see
// what is not yet durable.
func (s *Store) Doc(id chat.TenantID, noun chat.DocNoun, key string) (value []byte, found bool, err error) {
	t, err := s.tenantAt(id)
	if err != nil {
		return nil, false, err
	}
	h := docHash(t, noun, key)
	v, found, err := s.lookup(append(t.realm.docs(nil, noun), h[:]...))
	if err != nil || !found {
		return nil, false, err
	}
	d, err := t.openDoc(h, v)
	return d.Value, err == nil, err
}

// Docs returns every document of a noun, in no order. It may see what is not yet
// durable.
func (s *Store) Docs(ctx context.Context, id chat.TenantID, noun chat.DocNoun) ([]chat.Doc, error) {
	t, err := s.tenantAt(id)
	if err != nil {
		return nil, err
	}
	var list []chat.Doc
	head := t.realm.docs(nil, noun)
	err = s.scan(head, func(key, value []byte) error {
		if ctx.Err() != nil {
			return chat.E("store.Docs", chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
		}
		d, err := t.openDoc(id16(key[len(head):]), value)
		if err != nil {
			return err
		}
		list = append(list, chat.Doc{Noun: noun, ID: d.ID, Value: d.Value})
		return nil
	})
	return list, err
}
