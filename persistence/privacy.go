package persistence

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Erasure reports what an erase did.
type Erasure struct {
	// Conversations, Events and Rows count what lost its content: journals,
	// records in them, and index rows that led to them.
	Conversations, Events, Rows int
	// Left says what of the data directory may still hold ciphertext of the
	// person, and until when; empty when nothing does. Its key is gone, so
	// nothing can read it.
	Left []string
}

// eraseTryMax bounds how often a conversation that goes on meanwhile is tried.
const eraseTryMax = 32

// Erase is BeginErase, and waits until this node has given up the bytes, as far as it
// can: Erasure.Left says what is left. Other nodes that hold the group give up theirs by
// themselves.
func (s *Store) Erase(ctx context.Context, id chat.TenantID, contact chat.ContactID) (Erasure, error) {
	done, err := s.BeginErase(ctx, id, contact)
	if err != nil {
		return done, err
	}
	done.Left, err = s.shred(ctx, id)
	return done, err
}

// BeginErase destroys what a tenant stores of a person, under every contact that is linked
// with the one named: each record of their conversations becomes a skeleton of seq, kind and time, the addresses, the
// remote ids and the contact go, and with them the key all of it was sealed
// with; files, which were sealed with keys that are gone with it, are deleted. A
// marker event of kind erased ends each journal, so that the feed tells
// its readers. The bytes go soon after: each node that holds the group cuts its log,
// compacts tables and removes write-ahead logs, see Unshredded.
//
// A conversation keeps its id and its place in lists. A person who writes again is
// somebody new, in another conversation. What stays besides are tombstones: keyed
// hashes, which keep away webhooks and backups of before. Erase may be called again, to finish one that
// a crash interrupted or to look at what is left. A contact without any
// conversation is KindNotFound.
//
// Backups made before hold the ciphertext and the wrapped key until they
// expire; they are not the store's to reach.
func (s *Store) BeginErase(ctx context.Context, id chat.TenantID, contact chat.ContactID) (Erasure, error) {
	const op = "privacy.Erase"
	if s.opts.ReadOnly {
		return Erasure{}, chat.E(op, chat.KindUnavailable, "the store is open for reading only", nil)
	}
	t, err := s.tenantAt(id)
	if err != nil {
		return Erasure{}, err
	}
	people, err := s.linked(id, contact)
	if err != nil {
		return Erasure{}, err
	}
	// The farthest first: what a crash leaves is still linked with the contact.
	slices.Reverse(people)
	var done Erasure
	known := false
	for _, person := range people {
		raw, ok := contactBytes(person)
		if !ok {
			continue
		}
		of, err := s.conversationsOf(t, raw)
		if err != nil {
			return done, err
		}
		known = known || len(of) > 0
		for _, c := range of {
			if err := s.eraseUntilDone(ctx, t, raw, c, &done); err != nil {
				return done, err
			}
		}
		if err := s.dropFilesOf(ctx, t, person); err != nil {
			return done, err
		}
	}
	if !known {
		return Erasure{}, chat.E(op, chat.KindNotFound, "there is no such contact", nil)
	}
	return done, nil
}

// Files keeps the files of messages and contacts outside the store. Safe for
// concurrent use.
type Files interface {
	// Drop deletes every file of a tenant whose name begins with prefix.
	Drop(ctx context.Context, t chat.TenantID, prefix string) error
}

// dropFiles deletes files of somebody who was erased. Their keys are gone by then:
// what a crash leaves is unreadable, and the next erase, or the sweep, deletes it.
func (s *Store) dropFiles(ctx context.Context, t chat.TenantID, prefix string) error {
	if s.opts.Files == nil {
		return nil
	}
	return s.opts.Files.Drop(ctx, t, prefix)
}

// conversationsOf lists the conversations with a contact. Erasing is rare, so
// no index is kept for it.
func (s *Store) conversationsOf(t *tenant, contact id16) ([]id16, error) {
	var of []id16
	head := t.realm.kind(nil, kindState)
	err := s.scan(head, func(key, value []byte) error {
		_, record, err := readHead(value)
		if err != nil {
			return err
		}
		var r recordpb.State
		if proto.Unmarshal(record, &r) != nil {
			return errRecord("a state is unreadable")
		}
		if string(r.Contact) == string(contact[:]) {
			of = append(of, id16(key[len(head):]))
		}
		return nil
	})
	return of, err
}

// eraseUntilDone erases one conversation, again when it went on meanwhile.
func (s *Store) eraseUntilDone(ctx context.Context, t *tenant, contact, c id16, done *Erasure) error {
	for range eraseTryMax {
		again, err := s.eraseOnce(ctx, t, contact, c, done)
		if err != nil || !again {
			return err
		}
	}
	return chat.E("privacy.Erase", chat.KindBusy, "the conversation goes on too fast; try again", nil)
}

// eraseOnce plans and commits the erase of one conversation at its present seq.
//
// The key goes in the same commit, and only if it is the one the conversation
// is sealed with: after the first conversation of several was erased the person
// may have written again, under a new key. A commit sealed meanwhile with the
// old key is refused by stage.
func (s *Store) eraseOnce(ctx context.Context, t *tenant, contact, c id16, done *Erasure) (again bool, err error) {
	value, found, err := s.get(t.realm.state(nil, c))
	if err != nil || !found {
		return false, err
	}
	was, record, err := readHead(value)
	if err != nil || was.keyID == 0 {
		return false, err
	}
	state, err := decodeState(t.pepper, t.id, c.conversationID(), record)
	if err != nil {
		return false, err
	}
	plan := erasePlan{store: s, tenant: t, conversation: c, at: s.opts.Clock()}
	if err := errors.Join(plan.skeletons(), plan.indexRows(), plan.orders(state.Contact), plan.loose(state.Contact), plan.key(contact, was.keyID)); err != nil {
		return false, err
	}
	commit, err := plan.commit(was, &state, contact)
	if err != nil {
		return false, err
	}
	out, err := t.group.propose(ctx, commit)
	if err != nil {
		return false, err
	}
	switch out.Answer {
	case chat.Applied:
		s.contacts.drop(keyHolder{t.id, contact})
		done.Conversations++
		done.Events += plan.events
		done.Rows += plan.rows
		return false, nil
	case chat.WrongSeq:
		return true, nil
	case chat.Unknown:
		return false, chat.E("privacy.Erase", chat.KindUnknown, "the caller gave up; erase again to be sure", ctx.Err())
	default:
		return false, chat.E("privacy.Erase", chat.KindFenced, "the group has a newer epoch", nil)
	}
}

// erasePlan collects the writes of one conversation's erase.
type erasePlan struct {
	store        *Store
	tenant       *tenant
	conversation id16
	// at is when the person is erased.
	at           time.Time
	writes       []*recordpb.Write
	events, rows int
}

// skeletons replaces each event that is not one yet.
func (p *erasePlan) skeletons() error {
	return p.store.scan(p.tenant.realm.events(nil, p.conversation), func(key, value []byte) error {
		row, err := splitEvent(value)
		if err != nil {
			return err
		}
		switch chat.EventKind(row.record.Kind) {
		case chat.Erased:
			return nil
		case chat.MediaStored:
			if err := p.files(row); err != nil {
				return err
			}
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

// files deletes the document of the message that a stored file is of: the file is
// then nobody's.
func (p *erasePlan) files(row eventRow) error {
	e, err := p.store.openEvent(p.tenant, p.conversation.conversationID(), p.conversation, row)
	if err != nil || e.Media == nil {
		return err
	}
	h := docHash(p.tenant, chat.DocFiles, string(e.Media.Message))
	p.remove(append(p.tenant.realm.docs(nil, chat.DocFiles), h[:]...))
	return nil
}

// skeleton is what an erase leaves of an event: its seq and time, and the kind
// it had as a word.
func skeleton(r *recordpb.Event) *recordpb.Event {
	return &recordpb.Event{Kind: uint32(chat.Erased), Seq: r.Seq, Time: r.Time, Channel: r.Channel,
		Update: &recordpb.Update{Type: []byte(chat.EventKind(r.Kind).String())}}
}

// indexRows deletes the address and remote-id rows that lead to the
// conversation and empties its claims.
func (p *erasePlan) indexRows() error {
	err := p.store.scan(p.tenant.realm.kind(nil, kindAddress), func(key, value []byte) error {
		l, err := decodeAddress(value)
		switch {
		case err != nil:
			return err
		case !l.found || l.conversation != p.conversation.conversationID():
		default:
			// The address was given up once more, so that whoever writes from it next is
			// somebody else; and what was sent before now comes too late.
			p.rows++
			h := id16(key[len(key)-idLen:])
			p.writes = append(p.writes, &recordpb.Write{Key: slices.Clone(key), Value: encodeGiven(l.given + 1)},
				&recordpb.Write{Key: p.tenant.realm.tombstone(nil, tombAddress, h), Value: addressTomb(p.at, l.given+1)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = p.store.scan(p.tenant.realm.kind(nil, kindRow), func(key, value []byte) error {
		var r recordpb.Row
		if proto.Unmarshal(value, &r) != nil {
			return errRecord("a remote-id row is unreadable")
		}
		if string(r.Conversation) == string(p.conversation[:]) {
			p.remove(slices.Clone(key))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.store.scan(p.tenant.realm.kind(nil, kindClaim), p.emptyClaim)
}

// emptyClaim takes the digest of a request out of a claim. The claim stays: a
// client that repeats the request must not send it again.
func (p *erasePlan) emptyClaim(key, value []byte) error {
	var r recordpb.Claim
	if proto.Unmarshal(value, &r) != nil {
		return errRecord("a claim is unreadable")
	}
	if string(r.Conversation) != string(p.conversation[:]) || len(r.Sealed) == 0 {
		return nil
	}
	r.Sealed = nil
	record, err := marshal(&r)
	if err != nil {
		return err
	}
	p.rows++
	p.writes = append(p.writes, &recordpb.Write{Key: slices.Clone(key), Value: record})
	return nil
}

// key deletes the contact and its key if the conversation is sealed with it.
func (p *erasePlan) key(contact id16, sealedWith uint32) error {
	wrapped, found, err := p.store.get(p.tenant.realm.wrapped(nil, contact))
	if err != nil || !found || keyIDOf(wrapped) != sealedWith {
		return err
	}
	p.remove(p.tenant.realm.wrapped(nil, contact))
	p.remove(p.tenant.realm.contact(nil, contact))
	return nil
}

func (p *erasePlan) remove(key []byte) {
	p.rows++
	p.writes = append(p.writes, &recordpb.Write{Key: key, Delete: true})
}

// commit is the erase as a commit: it ends the journal with a marker, stops all
// that is owed, and leaves a head that makes the next commit bring a new key.
func (p *erasePlan) commit(was head, state *chat.Conversation, contact id16) (*recordpb.Commit, error) {
	marker, err := marshal(&recordpb.Event{Kind: uint32(chat.Erased), Seq: uint64(was.seq) + 1,
		Time: stamp(p.at), Channel: []byte(state.Channel)})
	if err != nil {
		return nil, err
	}
	left := erasedState(state)
	record := encodeState(new(arena), p.tenant.pepper, &left, contact[:])
	next := head{seq: left.Seq, active: was.active}
	p.writes = append(p.writes,
		&recordpb.Write{Key: p.tenant.realm.state(nil, p.conversation), Value: append(appendHead(nil, next), record...)},
		&recordpb.Write{Key: p.tenant.realm.tombstone(nil, tombContact, contact), Value: contactTomb(p.at)})
	return &recordpb.Commit{
		Tenant: string(p.tenant.id), Conversation: p.conversation[:], Contact: contact[:],
		Epoch: p.tenant.group.epoch.Load(), Expected: uint64(was.seq), KeyId: was.keyID,
		Events: []*recordpb.Entry{{Kind: uint32(chat.Erased), Record: marker}},
		Head:   &recordpb.Head{Record: record, Active: was.active},
		Writes: p.writes,
	}, nil
}

// erasedState is a conversation after its erase: it owes nothing, waits for
// nothing, and is at the marker's seq.
func erasedState(s *chat.Conversation) chat.Conversation {
	return chat.Conversation{ID: s.ID, Tenant: s.Tenant, Channel: s.Channel, Kind: s.Kind, Contact: s.Contact,
		Seq: s.Seq + 1, Started: s.Started, Active: s.Active}
}
