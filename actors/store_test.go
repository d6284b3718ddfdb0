package actors

import (
	"cmp"
	"context"
	"encoding/base32"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
)

// memStore is a small, honest implementation of the storage ports: Append
// checks what the real one checks. Tests steer it through before.
type memStore struct {
	mu      sync.Mutex
	epoch   chat.Epoch
	elected chan struct{} // closed and replaced at every election
	groups  int
	states  map[chat.ConversationID]chat.Conversation
	events  map[chat.ConversationID][]chat.Event
	rows    map[string]chat.RemoteRow
	claims  map[string]chat.Original
	people  map[chat.ContactID]chat.Contact
	docs    map[string][]byte
	count   map[string]int64
	// given counts how often an address was given up.
	given   map[string]int
	kept    []chat.Inbound
	commits []chat.Commit
	pos     chat.Pos
	stored  chan struct{} // closed and replaced at every commit
	barrier int

	// set is what tenants resolve from, told what was last told of it.
	set  chat.Settings
	told *chat.Settings
	// before may answer a commit itself, or block. Called without mu.
	before func(c chat.Commit) (chat.Receipt, bool)
}

func newMemStore() *memStore {
	s := &memStore{epoch: 1, groups: 2, states: map[chat.ConversationID]chat.Conversation{},
		events: map[chat.ConversationID][]chat.Event{}, rows: map[string]chat.RemoteRow{},
		claims: map[string]chat.Original{}, people: map[chat.ContactID]chat.Contact{},
		docs: map[string][]byte{}, count: map[string]int64{}, given: map[string]int{}, stored: make(chan struct{}), elected: make(chan struct{})}
	s.set.Assistant = true
	s.set.EnsureDefaults()
	return s
}

func rowKey(ch chat.ChannelID, remote chat.RemoteID, revision string) string {
	return string(ch) + "|" + string(remote) + "|" + revision
}

func claimKey(ch chat.ChannelID, c chat.Claim) string {
	if c.Kind == chat.ClaimAddress {
		return fmt.Sprint(ch, c.Address)
	}
	return fmt.Sprint(c.Kind, c.Key)
}

// Append implements Journal.
func (s *memStore) Append(_ context.Context, c chat.Commit) (chat.Receipt, error) {
	s.mu.Lock()
	before := s.before
	s.mu.Unlock()
	if before != nil {
		if r, answered := before(c); answered {
			return r, nil
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Epoch != s.epoch {
		return chat.Receipt{Answer: chat.StaleEpoch}, nil
	}
	if c.Conversation != "" && s.states[c.Conversation].Seq != c.Expected {
		return chat.Receipt{Answer: chat.WrongSeq}, nil
	}
	for _, r := range c.Rows {
		if old, ok := s.rows[rowKey(c.Channel, r.Remote, r.Revision)]; ok && r.Fresh {
			return chat.Receipt{Answer: chat.Duplicate, Original: chat.Original{Conversation: old.Conversation, Seq: old.Seq}}, nil
		}
	}
	for _, cl := range c.Claims {
		if o, ok := s.claims[claimKey(c.Channel, cl)]; ok {
			return chat.Receipt{Answer: chat.Duplicate, Original: o}, nil
		}
	}
	for _, d := range c.Docs {
		s.docs[string(rune(d.Noun))+d.ID] = d.Value
	}
	for _, r := range c.Reserve {
		if r.Limit > 0 && s.count[r.Counter]+r.Amount > r.Limit {
			return chat.Receipt{Answer: chat.LimitReached, Counter: r.Counter}, nil
		}
	}
	s.apply(c)
	return chat.Receipt{Answer: chat.Applied, Pos: s.pos}, nil
}

// AppendBoth implements Pairs.
func (s *memStore) AppendBoth(ctx context.Context, c, also chat.Commit) (chat.Receipt, error) {
	s.mu.Lock()
	if also.Epoch != s.epoch || s.states[also.Conversation].Seq != also.Expected {
		s.mu.Unlock()
		return chat.Receipt{Answer: chat.WrongSeq}, nil
	}
	s.mu.Unlock()
	r, err := s.Append(ctx, c)
	if err == nil && r.Answer == chat.Applied {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.apply(also)
		r.Pos = s.pos
	}
	return r, err
}

func (s *memStore) apply(c chat.Commit) {
	for _, r := range c.Rows {
		r.Fresh = false
		s.rows[rowKey(c.Channel, r.Remote, r.Revision)] = r
	}
	contact := chat.ContactID("")
	if c.State != nil {
		contact = c.State.Contact
	}
	if c.Contact != nil {
		s.people[contact] = *c.Contact
	}
	for _, cl := range c.Claims {
		s.claims[claimKey(c.Channel, cl)] = chat.Original{Conversation: c.Conversation, Contact: contact,
			Message: cl.Message, Digest: cl.Digest}
	}
	for _, a := range c.Releases {
		if key := fmt.Sprint(c.Channel, a); s.claims[key].Conversation == c.Conversation {
			delete(s.claims, key)
			s.given[key]++
		}
	}
	for _, seq := range c.Redact {
		s.events[c.Conversation][seq-1] = chat.Redacted(s.events[c.Conversation][seq-1])
	}
	for _, r := range c.Reserve {
		s.count[r.Counter] += r.Amount
	}
	s.pos += chat.Pos(len(c.Events))
	s.events[c.Conversation] = append(s.events[c.Conversation], c.Events...)
	if c.State != nil {
		s.states[c.Conversation] = c.State.Clone()
	}
	if c.State != nil {
		state := c.State.Clone()
		c.State = &state
	}
	c.Rows = slices.Clone(c.Rows)
	s.commits = append(s.commits, c)
	close(s.stored)
	s.stored = make(chan struct{})
}

// Doc implements Documents.
func (s *memStore) Doc(_ chat.TenantID, noun chat.DocNoun, id string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.docs[string(rune(noun))+id]
	return v, v != nil, nil
}

func (s *memStore) setDoc(noun chat.DocNoun, id string, value []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[string(rune(noun))+id] = value
}

// Docs implements Documents.
func (s *memStore) Docs(_ context.Context, _ chat.TenantID, noun chat.DocNoun) (list []chat.Doc, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, v := range s.docs {
		if id, ok := strings.CutPrefix(key, string(rune(noun))); ok && v != nil {
			list = append(list, chat.Doc{Noun: noun, ID: id, Value: v})
		}
	}
	return list, nil
}

// Load implements Journal.
func (s *memStore) Load(_ chat.TenantID, id chat.ConversationID) (chat.Conversation, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.states[id]
	return st.Clone(), ok, nil
}

// Events implements Journal.
func (s *memStore) Events(_ chat.TenantID, id chat.ConversationID, after chat.Seq, limit int) ([]chat.Event, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.events[id]
	if int(after) >= len(all) {
		return nil, nil
	}
	return slices.Clone(all[after:min(int(after)+limit, len(all))]), nil
}

// History implements Histories.
func (s *memStore) History(t chat.TenantID, id chat.ConversationID, after, from chat.Seq, limit int) ([]chat.Event, error) {
	events, err := s.Events(t, id, after, limit)
	for i, e := range events {
		if e.Seq < from && !chat.Recalled(e.Kind) {
			events[i] = chat.Event{Seq: e.Seq, Pos: e.Pos, Kind: e.Kind, Tenant: e.Tenant, Conversation: e.Conversation}
		}
	}
	return events, err
}

// hashed is a conversation id made from words.
func hashed(words ...string) chat.ConversationID {
	h := fnv.New128a()
	for _, w := range words {
		_, _ = h.Write([]byte(w + "\x00"))
	}
	return chat.ConversationIDFrom(base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").
		WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)))
}

// Locate implements Index.
func (s *memStore) Locate(_ chat.TenantID, ch chat.ChannelID, addresses []chat.Address) (p chat.Place, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addresses {
		if !a.Routable() {
			continue
		}
		o, ok := s.claims[fmt.Sprint(ch, a)]
		switch {
		case !ok:
			p.Missing = append(p.Missing, a)
		case !p.Found:
			p.Conversation, p.Contact, p.Found = o.Conversation, o.Contact, true
		case o.Conversation != p.Conversation:
			p.Others = append(p.Others, o.Contact)
		}
	}
	if !p.Found {
		words := []string{string(ch), addresses[0].Value}
		if n := s.given[fmt.Sprint(ch, addresses[0])]; n > 0 {
			words = append(words, fmt.Sprint(n))
		}
		p.Conversation = hashed(words...)
		p.Contact = chat.ContactID("ct_" + p.Conversation.Body())
	}
	return p, nil
}

// Row implements Index.
func (s *memStore) Row(_ chat.TenantID, ch chat.ChannelID, remote chat.RemoteID, revision string) (chat.RemoteRow, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rows[rowKey(ch, remote, revision)]
	return r, ok, nil
}

// Claimed implements Index.
func (s *memStore) Claimed(_ chat.TenantID, kind chat.ClaimKind, key string) (chat.Original, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.claims[fmt.Sprint(kind, key)]
	return o, ok, nil
}

// Contact implements Contacts.
func (s *memStore) Contact(_ chat.TenantID, id chat.ContactID) (chat.Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.people[id], nil
}

// Person implements Contacts.
func (s *memStore) Person(_ chat.TenantID, id chat.ContactID) (chat.Contact, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.people[id]
	if !ok {
		return c, chat.E("contacts.Person", chat.KindNotFound, "there is no such contact", nil)
	}
	return c, nil
}

// Barrier implements Barrier.
func (s *memStore) Barrier(context.Context, chat.TenantID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.barrier++
	return nil
}

// Channel implements Directory: account "acme-wa" is a channel of tenant acme.
func (s *memStore) Channel(app chat.AppID, kind chat.ChannelKind, account, _ string) (chat.Channel, bool) {
	ch, ok := s.ChannelByID(chat.ChannelID(account))
	return ch, ok && app == "meta" && kind == ch.Kind
}

// ChannelByID implements Directory.
func (s *memStore) ChannelByID(id chat.ChannelID) (chat.Channel, bool) {
	switch id {
	case "acme-wa":
		return chat.Channel{ID: id, Tenant: "acme", App: "meta", Kind: chat.WhatsApp, Account: string(id), WABA: "waba-1", Token: "t"}, true
	case "bolt-ig":
		return chat.Channel{ID: id, Tenant: "bolt", App: "meta", Kind: chat.Instagram, Account: string(id), Token: "t"}, true
	}
	return chat.Channel{}, false
}

// Settings implements Directory.
func (s *memStore) Settings(chat.TenantID) *chat.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told == nil || !reflect.DeepEqual(*s.told, s.set) {
		set := s.set
		s.told = &set
	}
	return s.told
}

// Keep implements Quarantine.
func (s *memStore) Keep(_ context.Context, _ chat.AppID, reason string, in *chat.Inbound, _ time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	in.Problem = reason
	s.kept = append(s.kept, *in)
	return nil
}

// Group implements Leadership.
func (s *memStore) Group(t chat.TenantID) chat.Group { return chat.Group(len(t) % s.groups) }

// Groups implements Leadership.
func (s *memStore) Groups() int { return s.groups }

// Epoch implements Leadership.
func (s *memStore) Epoch(chat.Group) chat.Epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.epoch
}

// Changed implements Elections.
func (s *memStore) Changed(ctx context.Context, _ chat.Group, than chat.Epoch) chat.Epoch {
	for {
		s.mu.Lock()
		epoch, elected := s.epoch, s.elected
		s.mu.Unlock()
		if epoch != than {
			return epoch
		}
		select {
		case <-elected:
		case <-ctx.Done():
			return than
		}
	}
}

// elect makes another epoch rule all groups; 0 stands for another node's.
func (s *memStore) elect(epoch chat.Epoch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch = epoch
	close(s.elected)
	s.elected = make(chan struct{})
}

func (s *memStore) owed(g chat.Group, until time.Time, max int, live bool) (rows []Owed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.states {
		if s.Group(st.Tenant) != g || st.Armed.IsZero() || (!live && st.Armed.After(until)) {
			continue
		}
		if live && !orphaned(&st, s.epoch) {
			continue
		}
		rows = append(rows, Owed{Tenant: st.Tenant, Conversation: st.ID, At: st.Armed})
	}
	slices.SortFunc(rows, func(a, b Owed) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Conversation, b.Conversation))
	})
	return rows[:min(len(rows), max)]
}

func orphaned(st *chat.Conversation, epoch chat.Epoch) bool {
	if (st.Turn.Phase == chat.TurnRunning && st.Turn.Epoch != epoch) || st.Turn.Phase == chat.TurnWorking {
		return true
	}
	return slices.ContainsFunc(st.Outbox, func(e chat.OutboxEntry) bool {
		return e.State == chat.SendQueued || (e.State == chat.SendAttempting && e.Epoch != epoch)
	})
}

// Due implements Agenda.
func (s *memStore) Due(g chat.Group, until time.Time, _ []byte, max int) ([]Owed, []byte, error) {
	return s.owed(g, until, max, false), nil, nil
}

// Live implements Agenda.
func (s *memStore) Live(g chat.Group, _ []byte, max int) ([]Owed, []byte, error) {
	return s.owed(g, time.Time{}, max, true), nil, nil
}

// Earliest implements Agenda.
func (s *memStore) Earliest(ctx context.Context, g chat.Group, than time.Time) error {
	for {
		s.mu.Lock()
		changed := s.stored
		s.mu.Unlock()
		if rows := s.owed(g, than.Add(-time.Nanosecond), 1, false); len(rows) > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *memStore) kinds(id chat.ConversationID) (words []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events[id] {
		words = append(words, e.Kind.String())
	}
	return words
}

func (s *memStore) setBefore(f func(chat.Commit) (chat.Receipt, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}
