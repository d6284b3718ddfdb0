package persistence

import (
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// prepared is a commit on its way to the committer.
type prepared struct {
	commit *recordpb.Commit
	// key is the contact's key, drawn for this commit when it has none yet.
	key     *contactKey
	contact id16
	token   uint64
}

// prepare turns a commit into what stage needs: records encoded and sealed,
// keys hashed. It is done once, by the proposer, so that whatever carries the
// prepared commit holds ciphertext and everybody stages the same bytes.
func (s *Store) prepare(t *tenant, c *chat.Commit) (*prepared, error) {
	p := &prepared{commit: &recordpb.Commit{Tenant: string(t.id), Epoch: uint64(c.Epoch), Expected: uint64(c.Expected)}}
	var conv id16
	var box sealer = t.box
	var keeper []byte
	if c.Conversation != "" {
		var ok bool
		if conv, ok = conversationBytes(c.Conversation); !ok {
			return nil, errForeignID()
		}
		if c.State == nil || c.State.ID != c.Conversation {
			return nil, chat.E("journal.Append", chat.KindInvalid, "a commit of a conversation has not its state", nil)
		}
		if p.contact, ok = contactBytes(c.State.Contact); !ok {
			return nil, errForeignID()
		}
		if err := s.keyFor(t, p); err != nil {
			return nil, err
		}
		box, keeper = p.key.box, p.contact[:]
		p.commit.Conversation, p.commit.Contact, p.commit.KeyId = conv[:], keeper, p.key.id
		p.commit.ContactKey = p.key.wrapped
		p.commit.Head = &recordpb.Head{Record: encodeState(t.pepper, c.State, keeper), Active: millis(c.State.Active),
			Armed: millis(c.State.Armed), Live: isLive(c.State)}
	}
	if err := p.events(t, c, conv, keeper, box); err != nil {
		return nil, err
	}
	if err := p.inserts(t, c, conv); err != nil {
		return nil, err
	}
	if c.Contact != nil && c.Conversation != "" {
		var err error
		if p.commit.ContactRecord, err = encodeContact(box, t.id, p.contact, c.Contact); err != nil {
			return nil, err
		}
	}
	for _, r := range c.Reserve {
		p.commit.Reserve = append(p.commit.Reserve, &recordpb.Count{Counter: r.Counter, Amount: r.Amount, Limit: r.Limit})
	}
	for _, u := range chat.UsageOf(c.Events) {
		p.commit.Usage = append(p.commit.Usage, &recordpb.Count{Counter: u.Counter, Amount: u.Amount})
	}
	return p, nil
}

// keyFor finds the contact's key, or draws one.
func (s *Store) keyFor(t *tenant, p *prepared) error {
	key, found, err := s.storedKey(t, p.contact)
	if err != nil {
		return err
	}
	if !found {
		_, _, p.token = s.contacts.get(keyHolder{t.id, p.contact})
		if key, err = s.drawKey(t, p.contact); err != nil {
			return err
		}
	}
	p.key = key
	return nil
}

func (p *prepared) events(t *tenant, c *chat.Commit, conv id16, keeper []byte, box sealer) error {
	p.commit.Events = make([]*recordpb.Entry, len(c.Events))
	entries := make([]recordpb.Entry, len(c.Events))
	var room [128]byte
	for i := range c.Events {
		e := &c.Events[i]
		if e.Tenant != t.id || e.Conversation != c.Conversation {
			return chat.E("journal.Append", chat.KindInvalid, "an event is of another place than its commit", nil)
		}
		var want chat.Seq
		if c.Conversation != "" {
			want = c.Expected + chat.Seq(i) + 1
		}
		if e.Seq != want {
			return chat.E("journal.Append", chat.KindInvalid, "the events of a commit are not numbered in order", nil)
		}
		record, err := encodeEvent(e, keeper, box, appendEventPlace(room[:0], t.id, conv, e.Seq))
		if err != nil {
			return err
		}
		entries[i].Kind, entries[i].Record = uint32(e.Kind), record
		p.commit.Events[i] = &entries[i]
	}
	return nil
}

func (p *prepared) inserts(t *tenant, c *chat.Commit, conv id16) error {
	for i := range c.Rows {
		row := &c.Rows[i]
		h := rowHash(t.pepper, c.Channel, row.Revision, row.Remote)
		record, err := encodeRow(row)
		if err != nil {
			return err
		}
		p.commit.Rows = append(p.commit.Rows, &recordpb.Insert{Kind: uint32(kindRow), Hash: h[:], Record: record, Fresh: row.Fresh})
	}
	for i := range c.Claims {
		cl := &c.Claims[i]
		in := &recordpb.Insert{Fresh: true}
		if cl.Kind == chat.ClaimAddress {
			h := addressHash(t.pepper, hashAddress, c.Channel, cl.Address)
			in.Kind, in.Hash, in.Record = uint32(kindAddress), h[:], encodeAddress(conv, p.contact)
		} else {
			h := claimHash(t.pepper, cl.Kind, cl.Key)
			record, err := t.encodeClaim(h, conv, p.contact, cl)
			if err != nil {
				return err
			}
			in.Kind, in.Hash, in.Record, in.Day = uint32(kindClaim), h[:], record, uint32(max(cl.Day, 0))
		}
		p.commit.Claims = append(p.commit.Claims, in)
	}
	return nil
}
