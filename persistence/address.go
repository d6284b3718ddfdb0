package persistence

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
	"github.com/chumiai/chumi/persistence/seal"
)

// addressHash is where an address stands. A number is one person's whether Meta
// calls it a wa_id or only says who a message is from.
func addressHash(p *seal.Pepper, what byte, ch chat.ChannelID, a chat.Address) id16 {
	if a.Kind == chat.Phone {
		a.Kind = chat.WaID
	}
	return p.Hash(what, string(ch), kindWord[a.Kind], a.Value)
}

// A lead is what an 'a' row says of an address. Its three forms:
//
//	conv contact          it leads there, and always did
//	given32               it led somewhere and was given up: it leads nowhere
//	conv contact given32  it leads there, after it was given up so often
//
// The number outlives every claim. The ids of a person never seen are made of the
// address: without the number the next owner of a telephone number would get the
// conversation of the one before.
type lead struct {
	conversation chat.ConversationID
	contact      chat.ContactID
	// given counts how often the address was given up.
	given uint32
	// found is false for an address that leads nowhere.
	found bool
}

const (
	leadLen  = 2 * idLen
	givenLen = 4
)

// encodeAddress is the value of an 'a' row that leads somewhere.
func encodeAddress(c, contact id16, given uint32) []byte {
	v := append(append(make([]byte, 0, leadLen+givenLen), c[:]...), contact[:]...)
	if given > 0 {
		v = binary.BigEndian.AppendUint32(v, given)
	}
	return v
}

// encodeGiven is the value of an 'a' row that leads nowhere any more.
func encodeGiven(given uint32) []byte { return binary.BigEndian.AppendUint32(nil, given) }

func decodeAddress(v []byte) (l lead, err error) {
	switch len(v) {
	case leadLen:
	case givenLen, leadLen + givenLen:
		l.given = binary.BigEndian.Uint32(v[len(v)-givenLen:])
		if l.given == 0 {
			return l, errRecord("an address row is unreadable")
		}
	default:
		return l, errRecord("an address row is unreadable")
	}
	if len(v) >= leadLen {
		l.found = true
		l.conversation, l.contact = id16(v[:idLen]).conversationID(), id16(v[idLen:leadLen]).contactID()
	}
	return l, nil
}

// reclaims reports whether a claim may replace the row that stands: an address that
// was given up, as often as the claim knows.
func reclaims(stands, claim []byte) bool {
	return len(stands) == givenLen && len(claim) == leadLen+givenLen && bytes.Equal(claim[leadLen:], stands)
}

// Locate resolves a customer's addresses on a channel: the first address that
// leads somewhere decides, and when none does, the first other spelling of a
// number that does. A person never seen gets ids made from the first routable
// address, so that racing deliveries agree on them. It may see what is not yet
// durable.
func (s *Store) Locate(t chat.TenantID, ch chat.ChannelID, addresses []chat.Address) (chat.Place, error) {
	tn, err := s.tenantAt(t)
	if err != nil {
		return chat.Place{}, err
	}
	var place chat.Place
	var first *chat.Address
	var given uint32
	for i := range addresses {
		a := &addresses[i]
		if !a.Routable() {
			continue
		}
		l, err := s.lead(tn, addressHash(tn.pepper, hashAddress, ch, *a))
		if err != nil {
			return chat.Place{}, err
		}
		if first == nil {
			first, given = a, l.given
		}
		if l.given > 0 {
			at, err := s.erasedAt(tn, addressHash(tn.pepper, hashAddress, ch, *a))
			if err != nil {
				return chat.Place{}, err
			}
			if at.After(place.Erased) {
				place.Erased = at
			}
		}
		switch {
		case !l.found:
			place.Missing = append(place.Missing, *a)
		case !place.Found:
			place.Conversation, place.Contact, place.Found = l.conversation, l.contact, true
		case l.conversation != place.Conversation && !slices.Contains(place.Others, l.contact):
			place.Others = append(place.Others, l.contact)
		}
	}
	if place.Found || first == nil {
		return place, nil
	}
	l, err := s.leadOfVariant(tn, ch, addresses)
	switch {
	case err != nil:
		return chat.Place{}, err
	case l.found:
		place.Conversation, place.Contact, place.Found = l.conversation, l.contact, true
	default:
		place.Conversation = firstHash(tn.pepper, hashConversation, ch, *first, given).conversationID()
		place.Contact = firstHash(tn.pepper, hashContact, ch, *first, given).contactID()
	}
	return place, nil
}

// firstHash is what the ids of a person never seen are made of.
func firstHash(p *seal.Pepper, what byte, ch chat.ChannelID, a chat.Address, given uint32) id16 {
	if given == 0 {
		return addressHash(p, what, ch, a)
	}
	if a.Kind == chat.Phone {
		a.Kind = chat.WaID
	}
	return p.Hash(what, string(ch), kindWord[a.Kind], a.Value, strconv.FormatUint(uint64(given), 10))
}

// leadOfVariant is where another spelling of one of the numbers leads.
func (s *Store) leadOfVariant(tn *tenant, ch chat.ChannelID, addresses []chat.Address) (lead, error) {
	for _, a := range addresses {
		if a.Kind != chat.WaID && a.Kind != chat.Phone {
			continue
		}
		for _, number := range chat.NumberVariants(a.Value) {
			v := chat.Address{Kind: a.Kind, Value: number}
			if l, err := s.lead(tn, addressHash(tn.pepper, hashAddress, ch, v)); err != nil || l.found {
				return l, err
			}
		}
	}
	return lead{}, nil
}

// addressRow names an address row across tenants.
type addressRow struct {
	tenant chat.TenantID
	hash   id16
}

// lead returns where an address leads. What leads somewhere is cached: a row
// changes only when it is given up or erased, and is dropped then.
func (s *Store) lead(t *tenant, h id16) (lead, error) {
	at := addressRow{t.id, h}
	l, found, token := s.places.get(at)
	if found {
		return l, nil
	}
	v, found, err := s.lookup(t.realm.address(nil, h))
	if err != nil || !found {
		return lead{}, err
	}
	if l, err = decodeAddress(v); err == nil && l.found {
		s.places.put(at, l, token)
	}
	return l, err
}

// claimedAddress is the hash of an address, how often it was given up, and the token
// for its place in the cache.
type claimedAddress struct {
	hash  id16
	given uint32
	token uint64
}

// claimAddress is the claim of an address as the row that a commit inserts.
func (p *prepared) claimAddress(t *tenant, ch chat.ChannelID, a chat.Address) (*recordpb.Insert, error) {
	h := addressHash(t.pepper, hashAddress, ch, a)
	s := t.group.store
	_, _, token := s.places.get(addressRow{t.id, h})
	v, found, err := s.lookup(t.realm.address(nil, h))
	if err != nil {
		return nil, err
	}
	var l lead
	if found {
		if l, err = decodeAddress(v); err != nil {
			return nil, err
		}
	}
	p.leads = append(p.leads, claimedAddress{h, l.given, token})
	return &recordpb.Insert{Kind: uint32(kindAddress), Hash: h[:], Fresh: true,
		Record: encodeAddress(p.conversation, p.contact, l.given)}, nil
}

// releases gives up addresses of the commit's conversation. One that leads elsewhere,
// or nowhere, is left as it is.
func (p *prepared) releases(t *tenant, ch chat.ChannelID, addresses []chat.Address) error {
	for _, a := range addresses {
		h := addressHash(t.pepper, hashAddress, ch, a)
		key := t.realm.address(nil, h)
		if slices.ContainsFunc(p.commit.Writes, func(w *recordpb.Write) bool { return bytes.Equal(w.Key, key) }) {
			continue // another kind of the same number
		}
		if i := slices.IndexFunc(p.leads, func(c claimedAddress) bool { return c.hash == h }); i >= 0 {
			p.commit.Writes = append(p.commit.Writes, &recordpb.Write{Key: key, Value: encodeGiven(p.leads[i].given + 1)})
			p.leads = slices.Delete(p.leads, i, i+1)
			continue
		}
		v, found, err := t.group.store.lookup(key)
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		l, err := decodeAddress(v)
		if err != nil {
			return err
		}
		if l.found && l.conversation == p.conversation.conversationID() {
			p.commit.Writes = append(p.commit.Writes, &recordpb.Write{Key: key, Value: encodeGiven(l.given + 1), Was: bytes.Clone(v)})
		}
	}
	return nil
}
