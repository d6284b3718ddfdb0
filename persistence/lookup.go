package persistence

import (
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// What a tenant's pepper hashes. Permanent: the hashes stand in keys and ids.
const (
	hashAddress      byte = 1 // channel, kind, address
	hashRow          byte = 2 // channel, revision, remote id
	hashClaim        byte = 3 // claim kind, key
	hashConversation byte = 4 // channel, kind, address: the id a first commit claims
	hashContact      byte = 5 // the same for the contact
	hashOutbox       byte = 6 // mask of a text hash
	hashDoc          byte = 7 // noun, id
)

// kindWord spells a kind as the one byte that is hashed for it.
var kindWord = func() (words [256]string) {
	for i := range words {
		words[i] = string([]byte{byte(i)})
	}
	return words
}()

// addressHash is where an address stands. A number is one person's whether Meta
// calls it a wa_id or only says who a message is from.
func addressHash(p *seal.Pepper, what byte, ch chat.ChannelID, a chat.Address) id16 {
	if a.Kind == chat.Phone {
		a.Kind = chat.WaID
	}
	return p.Hash(what, string(ch), kindWord[a.Kind], a.Value)
}

func rowHash(p *seal.Pepper, ch chat.ChannelID, revision string, remote chat.RemoteID) id16 {
	return p.Hash(hashRow, string(ch), revision, string(remote))
}

func claimHash(p *seal.Pepper, kind chat.ClaimKind, key string) id16 {
	return p.Hash(hashClaim, kindWord[kind], key)
}

// Locate resolves a customer's addresses on a channel: the first address that
// leads somewhere decides. A person never seen gets ids made from the first
// routable address, so that racing deliveries agree on them. It may see what is
// not yet durable.
func (s *Store) Locate(t chat.TenantID, ch chat.ChannelID, addresses []chat.Address) (chat.Place, error) {
	tn, err := s.tenantAt(t)
	if err != nil {
		return chat.Place{}, err
	}
	var place chat.Place
	var first *chat.Address
	for i := range addresses {
		a := &addresses[i]
		if !a.Routable() {
			continue
		}
		if first == nil {
			first = a
		}
		led, err := s.addressRow(tn, addressHash(tn.pepper, hashAddress, ch, *a))
		if err != nil {
			return chat.Place{}, err
		}
		if !led.Found {
			place.Missing = append(place.Missing, *a)
		} else if !place.Found {
			place.Conversation, place.Contact, place.Found = led.Conversation, led.Contact, true
		}
	}
	if !place.Found && first != nil {
		place.Conversation = addressHash(tn.pepper, hashConversation, ch, *first).conversationID()
		place.Contact = addressHash(tn.pepper, hashContact, ch, *first).contactID()
	}
	return place, nil
}

// addressRow names an address row across tenants.
type addressRow struct {
	tenant chat.TenantID
	hash   id16
}

// addressRow returns where an address leads. What it found is cached: a row
// never changes until it is erased.
func (s *Store) addressRow(t *tenant, h id16) (chat.Place, error) {
	at := addressRow{t.id, h}
	place, found, token := s.places.get(at)
	if found {
		return place, nil
	}
	v, found, err := s.lookup(t.realm.address(nil, h))
	if err != nil || !found {
		return chat.Place{}, err
	}
	if place.Conversation, place.Contact, err = decodeAddress(v); err != nil {
		return chat.Place{}, err
	}
	place.Found = true
	s.places.put(at, place, token)
	return place, nil
}

// encodeAddress is the value of an 'a' row: conv, contact.
func encodeAddress(c, contact id16) []byte {
	return append(append(make([]byte, 0, 2*idLen), c[:]...), contact[:]...)
}

func decodeAddress(v []byte) (chat.ConversationID, chat.ContactID, error) {
	if len(v) != 2*idLen {
		return "", "", errRecord("an address row is unreadable")
	}
	return id16(v[:idLen]).conversationID(), id16(v[idLen:]).contactID(), nil
}

// Row returns the index row of a remote id on a channel. It may see what is not
// yet durable.
func (s *Store) Row(t chat.TenantID, ch chat.ChannelID, remote chat.RemoteID, revision string) (row chat.RemoteRow, found bool, err error) {
	tn, err := s.tenantAt(t)
	if err != nil {
		return row, false, err
	}
	h := rowHash(tn.pepper, ch, revision, remote)
	k := keyRooms.Get().(*keyRoom)
	k.key = tn.realm.row(k.key[:0], h)
	v, n, err := s.lookupIn(k.key)
	keyRooms.Put(k)
	if err != nil {
		return row, false, err
	}
	if v == nil {
		s.recent.missed(h, n)
		return row, false, nil
	}
	row, err = decodeRow(v)
	row.Remote, row.Revision = remote, revision
	return row, err == nil, err
}

// encodeRow is the 'r' row: recordpb.Row.
func encodeRow(a *arena, row *chat.RemoteRow) ([]byte, error) {
	s := takeScratch()
	defer s.release()
	w := &s.public
	if row.Conversation != "" {
		c, ok := conversationBytes(row.Conversation)
		if !ok {
			return nil, errForeignID()
		}
		w.bytes(1, c[:])
	}
	w.uint(2, uint64(row.Seq))
	w.message(3, row.Conversation, row.Message)
	w.uint(4, uint64(row.Mask))
	return s.record(a), nil
}

func decodeRow(v []byte) (chat.RemoteRow, error) {
	var r recordpb.Row
	if proto.Unmarshal(v, &r) != nil || len(r.Conversation) != 0 && len(r.Conversation) != idLen {
		return chat.RemoteRow{}, errRecord("a remote-id row is unreadable")
	}
	row := chat.RemoteRow{Seq: chat.Seq(r.Seq), Mask: chat.Status(r.Mask)}
	if len(r.Conversation) == idLen {
		row.Conversation = id16(r.Conversation).conversationID()
	}
	row.Message = messageOf(row.Conversation, r.Message)
	return row, nil
}

// Claimed reports whether a digest or idempotency claim exists. It may see what
// is not yet durable.
func (s *Store) Claimed(t chat.TenantID, kind chat.ClaimKind, key string) (o chat.Original, found bool, err error) {
	tn, err := s.tenantAt(t)
	if err != nil {
		return o, false, err
	}
	h := claimHash(tn.pepper, kind, key)
	v, found, err := s.lookup(tn.realm.claim(nil, h))
	if err != nil || !found {
		return o, false, err
	}
	o, err = tn.decodeClaim(h, v)
	return o, err == nil, err
}

// encodeClaim is the 'i' row: recordpb.Claim.
func (t *tenant) encodeClaim(a *arena, h, c, contact id16, cl *chat.Claim) ([]byte, error) {
	s := takeScratch()
	defer s.release()
	s.private.text(12, cl.Digest)
	sealed, err := s.sealed(t.box, idPlace(placeClaim, t.id, h))
	if err != nil {
		return nil, err
	}
	w := &s.public
	if c != (id16{}) {
		w.bytes(1, c[:])
		w.bytes(2, contact[:])
		if _, seq, ok := cl.Message.Parse(); ok {
			w.uint(3, uint64(seq))
		}
		w.message(4, c.conversationID(), cl.Message)
	}
	w.uint(5, uint64(max(cl.Day, 0)))
	w.bytes(6, sealed)
	return s.record(a), nil
}

func (t *tenant) decodeClaim(h id16, v []byte) (chat.Original, error) {
	var r recordpb.Claim
	if proto.Unmarshal(v, &r) != nil || len(r.Conversation)%idLen != 0 || len(r.Contact)%idLen != 0 {
		return chat.Original{}, errRecord("a claim is unreadable")
	}
	p, err := openPrivate(t.box, r.Sealed, idPlace(placeClaim, t.id, h))
	if err != nil {
		return chat.Original{}, err
	}
	o := chat.Original{Seq: chat.Seq(r.Seq), Digest: string(p.Digest)}
	if len(r.Conversation) == idLen {
		o.Conversation = id16(r.Conversation).conversationID()
		o.Message = messageOf(o.Conversation, r.Message)
	}
	o.Contact, err = contactIDOf(r.Contact)
	return o, err
}
