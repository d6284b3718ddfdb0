package persistence

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// sealer encrypts the private part of a record for one place.
type sealer interface {
	Seal(plain, ad []byte) ([]byte, error)
}

// opener is the inverse of sealer.
type opener interface {
	Open(sealed, ad []byte) ([]byte, error)
}

// errRecord says that stored bytes are not a record of this version. It names
// no content.
func errRecord(what string) error {
	return chat.E("persistence.decode", chat.KindCorrupt, what, nil)
}

// errForeignID says that an id in a commit was not made by this engine.
func errForeignID() error {
	return chat.E("persistence.encode", chat.KindInvalid, "an id is not of this engine", nil)
}

// sealPrivate encodes and encrypts p; nil when there is nothing private.
func sealPrivate(box sealer, p *recordpb.Private, ad []byte) ([]byte, error) {
	plain, err := proto.Marshal(p)
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a record cannot be encoded", err)
	}
	if len(plain) == 0 {
		return nil, nil
	}
	return box.Seal(plain, ad)
}

// openPrivate is the inverse of sealPrivate; never nil without an error.
func openPrivate(box opener, sealed, ad []byte) (*recordpb.Private, error) {
	p := new(recordpb.Private)
	if len(sealed) == 0 {
		return p, nil
	}
	plain, err := box.Open(sealed, ad)
	if err != nil {
		return nil, err
	}
	if proto.Unmarshal(plain, p) != nil {
		return nil, errRecord("a private part is unreadable")
	}
	return p, nil
}

// stamp is the stored form of a time: absent for the zero time, so that every
// millisecond, the first of 1970 included, stays itself.
func stamp(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	return proto.Int64(t.UnixMilli())
}

func unstamp(ms *int64) time.Time {
	if ms == nil {
		return time.Time{}
	}
	return time.UnixMilli(*ms).UTC()
}

// messageRef stores a message id as a seq when it is of conversation c.
func messageRef(c chat.ConversationID, id chat.MessageID) *recordpb.Ref {
	if id == "" {
		return nil
	}
	if of, seq, ok := id.Parse(); ok && of == c && chat.MessageIDAt(c, seq) == id {
		return &recordpb.Ref{Seq: uint64(seq)}
	}
	return &recordpb.Ref{Word: []byte(id)}
}

func messageOf(c chat.ConversationID, r *recordpb.Ref) chat.MessageID {
	if r.GetSeq() != 0 {
		return chat.MessageIDAt(c, chat.Seq(r.Seq))
	}
	return chat.MessageID(r.GetWord())
}

// turnRef stores a turn id as a seq when it is of conversation c.
func turnRef(c chat.ConversationID, id chat.TurnID) *recordpb.Ref {
	if id == "" {
		return nil
	}
	if of, seq, ok := id.Parse(); ok && of == c && chat.TurnIDAt(c, seq) == id {
		return &recordpb.Ref{Seq: uint64(seq)}
	}
	return &recordpb.Ref{Word: []byte(id)}
}

func turnOf(c chat.ConversationID, r *recordpb.Ref) chat.TurnID {
	if r.GetSeq() != 0 {
		return chat.TurnIDAt(c, chat.Seq(r.Seq))
	}
	return chat.TurnID(r.GetWord())
}

func addressRecords(list []chat.Address) []*recordpb.Address {
	if len(list) == 0 {
		return nil
	}
	out := make([]*recordpb.Address, len(list))
	for i, a := range list {
		out[i] = &recordpb.Address{Kind: uint32(a.Kind), Value: []byte(a.Value)}
	}
	return out
}

func addressesOf(list []*recordpb.Address) []chat.Address {
	if len(list) == 0 {
		return nil
	}
	out := make([]chat.Address, len(list))
	for i, a := range list {
		out[i] = chat.Address{Kind: chat.AddressKind(a.Kind), Value: string(a.Value)}
	}
	return out
}

// contactIDOf is the contact of 16 raw bytes; empty for none.
func contactIDOf(raw []byte) (chat.ContactID, error) {
	switch len(raw) {
	case 0:
		return "", nil
	case idLen:
		return id16(raw).contactID(), nil
	}
	return "", errRecord("a contact id has the wrong length")
}

// encodeContact is the 'p' row.
func encodeContact(box sealer, t chat.TenantID, id id16, c *chat.Contact) ([]byte, error) {
	sealed, err := sealPrivate(box, &recordpb.Private{Name: []byte(c.Name), Addresses: addressRecords(c.Addresses)},
		idPlace(placeContact, t, id))
	if err != nil {
		return nil, err
	}
	return marshal(&recordpb.Contact{Id: id[:], Sealed: sealed})
}

// decodeContact is the inverse of encodeContact.
func decodeContact(box opener, t chat.TenantID, id id16, v []byte) (chat.Contact, error) {
	var r recordpb.Contact
	if proto.Unmarshal(v, &r) != nil {
		return chat.Contact{}, errRecord("a contact is unreadable")
	}
	p, err := openPrivate(box, r.Sealed, idPlace(placeContact, t, id))
	if err != nil {
		return chat.Contact{}, err
	}
	return chat.Contact{ID: id.contactID(), Name: string(p.Name), Addresses: addressesOf(p.Addresses)}, nil
}

func marshal(m proto.Message) ([]byte, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a record cannot be encoded", err)
	}
	return b, nil
}
