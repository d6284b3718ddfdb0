package persistence

import (
	"sync"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// prepared is a commit on its way to the proposer.
type prepared struct {
	commit recordpb.Commit
	// key is the contact's key, drawn for this commit when it has none yet.
	key                   *contactKey
	conversation, contact id16
	token                 uint64
	// leads are the addresses that the commit claims.
	leads []claimedAddress

	// records holds the records of the commit, place is what an event is sealed to.
	records arena
	place   []byte

	// The rest is room for what nearly every commit has one of, so that it is
	// one piece of memory.
	head    recordpb.Head
	entry   recordpb.Entry
	row     recordpb.Insert
	usage   recordpb.Count
	hash    id16
	entries [1]*recordpb.Entry
	rows    [1]*recordpb.Insert
	usages  [1]*recordpb.Count
}

var preparations = sync.Pool{New: func() any { return new(prepared) }}

// release lets the next commit have the memory. REQUIRES: the commit is answered,
// and not with Unknown: it may then still be on its way.
func (p *prepared) release() {
	records, place := p.records[:0], p.place
	*p = prepared{place: place}
	if cap(records) <= scratchMax {
		p.records = records
	}
	preparations.Put(p)
}

// prepare turns a commit into what stage needs: records encoded and sealed,
// keys hashed. It is done once, by the proposer, so that whatever carries the
// prepared commit holds ciphertext and everybody stages the same bytes.
func (s *Store) prepare(t *tenant, c *chat.Commit) (*prepared, error) {
	p := preparations.Get().(*prepared)
	p.commit.Tenant, p.commit.Epoch, p.commit.Expected = string(t.id), uint64(c.Epoch), uint64(c.Expected)
	conv := &p.conversation
	var box sealer = t.box
	var keeper []byte
	if c.Conversation != "" {
		var ok bool
		if *conv, ok = conversationBytes(c.Conversation); !ok {
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
		p.commit.Head = &p.head
		p.head.Record, p.head.Live = encodeState(&p.records, t.pepper, c.State, keeper), isLive(c.State)
		p.head.Sends = len(c.State.Outbox) > 0
		p.head.Active, p.head.Armed = millis(c.State.Active), millis(c.State.Armed)
	}
	if err := p.events(t, c, keeper, box); err != nil {
		return nil, err
	}
	if err := p.inserts(t, c); err != nil {
		return nil, err
	}
	if err := p.releases(t, c.Channel, c.Releases); err != nil {
		return nil, err
	}
	if err := s.redactions(t, p, c); err != nil {
		return nil, err
	}
	if c.Contact != nil && c.Conversation != "" {
		var err error
		if p.commit.ContactRecord, err = encodeContact(&p.records, box, t.id, p.contact, c.Contact); err != nil {
			return nil, err
		}
	}
	for i := range c.Docs {
		w, err := docWrite(t, &c.Docs[i])
		if err != nil {
			return nil, err
		}
		p.commit.Writes = append(p.commit.Writes, w)
	}
	for _, r := range c.Reserve {
		p.commit.Reserve = append(p.commit.Reserve, &recordpb.Count{Counter: r.Counter, Amount: r.Amount, Limit: r.Limit})
	}
	p.commit.Usage = p.usages[:0]
	for i, u := range chat.UsageOf(c.Events) {
		n := &p.usage
		if i > 0 {
			n = new(recordpb.Count)
		}
		n.Counter, n.Amount = u.Counter, u.Amount
		p.commit.Usage = append(p.commit.Usage, n)
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

func (p *prepared) events(t *tenant, c *chat.Commit, keeper []byte, box sealer) error {
	p.commit.Events = p.entries[:0]
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
		p.place = appendEventPlace(p.place[:0], t.id, p.conversation, e.Seq)
		record, err := encodeEvent(&p.records, e, keeper, box, p.place)
		if err != nil {
			return err
		}
		entry := &p.entry
		if i > 0 {
			entry = new(recordpb.Entry)
		}
		entry.Kind, entry.Record = uint32(e.Kind), record
		p.commit.Events = append(p.commit.Events, entry)
	}
	return nil
}

func (p *prepared) inserts(t *tenant, c *chat.Commit) error {
	p.commit.Rows = p.rows[:0]
	for i := range c.Rows {
		row := &c.Rows[i]
		in, h := &p.row, &p.hash
		if i > 0 {
			in, h = new(recordpb.Insert), new(id16)
		}
		record, err := encodeRow(&p.records, row)
		if err != nil {
			return err
		}
		*h = rowHash(t.pepper, c.Channel, row.Revision, row.Remote)
		in.Kind, in.Hash, in.Record, in.Fresh = uint32(kindRow), h[:], record, row.Fresh
		p.commit.Rows = append(p.commit.Rows, in)
	}
	for i := range c.Claims {
		cl := &c.Claims[i]
		if cl.Kind == chat.ClaimAddress {
			in, err := p.claimAddress(t, c.Channel, cl.Address)
			if err != nil {
				return err
			}
			p.commit.Claims = append(p.commit.Claims, in)
			continue
		}
		h := claimHash(t.pepper, cl.Kind, cl.Key)
		record, err := t.encodeClaim(&p.records, h, p.conversation, p.contact, cl)
		if err != nil {
			return err
		}
		in := &recordpb.Insert{Kind: uint32(kindClaim), Hash: h[:], Record: record, Fresh: true, Day: uint32(max(cl.Day, 0))}
		p.commit.Claims = append(p.commit.Claims, in)
	}
	return nil
}
