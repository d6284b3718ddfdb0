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

// openPrivate decrypts and decodes a private part; never nil without an error.
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

// stamp is the stored form of a time: absent for the zero time.
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

func messageOf(c chat.ConversationID, r *recordpb.Ref) chat.MessageID {
	if r.GetSeq() != 0 {
		return chat.MessageIDAt(c, chat.Seq(r.Seq))
	}
	return chat.MessageID(r.GetWord())
}

func turnOf(c chat.ConversationID, r *recordpb.Ref) chat.TurnID {
	if r.GetSeq() != 0 {
		return chat.TurnIDAt(c, chat.Seq(r.Seq))
	}
	return chat.TurnID(r.GetWord())
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

// encodeContact is the 'p' row: recordpb.Contact.
func encodeContact(a *arena, box sealer, t chat.TenantID, id id16, c *chat.Contact) ([]byte, error) {
	s := takeScratch()
	defer s.release()
	s.private.text(2, c.Name)
	s.private.addresses(3, c.Addresses)
	extra, err := contactExtra(c)
	if err != nil {
		return nil, err
	}
	s.private.bytes(13, extra)
	sealed, err := s.sealed(box, idPlace(placeContact, t, id))
	if err != nil {
		return nil, err
	}
	s.public.bytes(1, id[:])
	s.public.bytes(2, sealed)
	if conv, ok := conversationBytes(c.Conversation); ok {
		s.public.bytes(3, conv[:])
	}
	return s.record(a), nil
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
	c := chat.Contact{ID: id.contactID(), Name: string(p.Name), Addresses: addressesOf(p.Addresses)}
	if len(r.Conversation) == idLen {
		c.Conversation = id16(r.Conversation).conversationID()
	}
	if err := readContactExtra(p.Content, &c); err != nil {
		return chat.Contact{}, err
	}
	return c, nil
}

func marshal(m proto.Message) ([]byte, error) {
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, chat.E("persistence.encode", chat.KindInvalid, "a record cannot be encoded", err)
	}
	return b, nil
}
