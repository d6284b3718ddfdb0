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

func rowHash(p *seal.Pepper, ch chat.ChannelID, revision string, remote chat.RemoteID) id16 {
	return p.Hash(hashRow, string(ch), revision, string(remote))
}

func claimHash(p *seal.Pepper, kind chat.ClaimKind, key string) id16 {
	return p.Hash(hashClaim, kindWord[kind], key)
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
	w.uint(5, uint64(row.First))
	return s.record(a), nil
}

func decodeRow(v []byte) (chat.RemoteRow, error) {
	var r recordpb.Row
	if proto.Unmarshal(v, &r) != nil || len(r.Conversation) != 0 && len(r.Conversation) != idLen {
		return chat.RemoteRow{}, errRecord("a remote-id row is unreadable")
	}
	row := chat.RemoteRow{Seq: chat.Seq(r.Seq), First: chat.Seq(r.First), Mask: chat.Status(r.Mask)}
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
