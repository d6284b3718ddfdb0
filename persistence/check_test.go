package persistence

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// mustCheck fails the test when the store breaks an invariant.
func mustCheck(t testing.TB, s *Store) CheckReport {
	t.Helper()
	report, err := s.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range report.Violations {
		t.Error(v)
	}
	return report
}

func TestCheck_SoundStore(t *testing.T) {
	s := openMem(t, "acme", "bolt")
	mustPut(t, directoryOf(t, s).PutTenant(t.Context(), chat.Tenant{ID: "acme"}))
	a, b := newTalker(t, s, "acme", 1), newTalker(t, s, "bolt", 1)
	for range 5 {
		a.say(t, "hello")
		b.say(t, "hello")
	}
	mustCheck(t, s)
	if _, err := s.Erase(t.Context(), "acme", a.place.Contact); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, s)
	a.state, _, _ = s.Load("acme", a.place.Conversation)
	a.say(t, "again")
	report := mustCheck(t, s)
	if report.Tenants != 2 || report.Conversations != 2 || report.Events != 6+2+6 {
		t.Errorf("counted %d tenants, %d conversations, %d events", report.Tenants, report.Conversations, report.Events)
	}
}

// vandal damages one store behind its back.
type vandal struct {
	*testing.T
	s      *Store
	k      *talker
	b      *pebble.Batch
	tenant *tenant
	r      realm
	conv   id16
	person id16
}

func (v *vandal) put(key, value []byte) { v.Helper(); mustPut(v.T, v.b.Set(key, value, nil)) }
func (v *vandal) remove(key []byte)     { v.Helper(); mustPut(v.T, v.b.Delete(key, nil)) }

func (v *vandal) value(key []byte) []byte {
	v.Helper()
	value, found, err := v.s.get(key)
	if err != nil || !found {
		v.Fatalf("no row %s: %v", prettyKey(key), err)
	}
	return value
}

// know writes a document of the knowledge.
func (v *vandal) know(noun chat.DocNoun, id string, value any) {
	v.Helper()
	plain, err := json.Marshal(value)
	mustPut(v.T, err)
	w, err := docWrite(v.tenant, &chat.Doc{Noun: noun, ID: id, Value: plain})
	mustPut(v.T, err)
	v.put(w.Key, w.Value)
}

// soundSource is a source that was read into chunks.
func soundSource(chunks int) chat.Source {
	return chat.Source{ID: chat.SourceIDFrom("aaaaaaaaaaaaaaaaaaaaaaaaaa"), Kind: chat.SourceText, Blob: "blob", Revision: 1, Live: 1,
		State: chat.SourceReady, Chunks: chunks, Stored: chunks}
}

// restate replaces the state, and the due time in its head with it.
func (v *vandal) restate(change func(*chat.Conversation)) {
	v.Helper()
	at := v.r.state(nil, v.conv)
	h, _, err := readHead(v.value(at))
	mustPut(v.T, err)
	state := v.k.state.Clone()
	change(&state)
	h.armed = millis(state.Armed)
	v.put(at, append(appendHead(nil, h), encodeState(new(arena), v.tenant.pepper, &state, v.person[:])...))
}

// TestCheck_NamesTheBrokenInvariant damages one row at a time and expects the
// check to name the rule that it breaks.
func TestCheck_NamesTheBrokenInvariant(t *testing.T) {
	cases := map[string]struct {
		want  Invariant
		wreck func(v *vandal)
	}{
		"foreign key":  {InvariantKeyspace, func(v *vandal) { v.put([]byte{0x07, 1}, nil) }},
		"unknown kind": {InvariantKeyspace, func(v *vandal) { v.put(v.r.kind(nil, 'z'), nil) }},
		"another group": {InvariantTenant, func(v *vandal) {
			v.put(realmOf((v.s.Group("acme")+1)%4, "acme").meta(nil), v.value(v.r.meta(nil)))
		}},
		"missing event": {InvariantSeq, func(v *vandal) { v.remove(v.r.event(nil, v.conv, 2)) }},
		"event beyond the state": {InvariantSeq, func(v *vandal) {
			v.put(v.r.event(nil, v.conv, v.k.state.Seq+1), v.value(v.r.event(nil, v.conv, v.k.state.Seq)))
		}},
		"state of other events": {InvariantReplay, func(v *vandal) {
			v.restate(func(c *chat.Conversation) { c.Unread += 3 })
		}},
		"due time forgotten": {InvariantOwes, func(v *vandal) {
			v.restate(func(c *chat.Conversation) { c.Armed = time.Time{} })
		}},
		"agenda row lost": {InvariantAgenda, func(v *vandal) {
			v.remove(appendDue(nil, v.s.Group("acme"), millis(v.k.state.Armed), "acme", v.conv))
		}},
		"agenda row of nothing": {InvariantAgenda, func(v *vandal) {
			v.put(appendDue(nil, v.s.Group("acme"), 5, "acme", v.conv), appendOwed(nil, false, 1))
		}},
		"inbox row lost":       {InvariantView, func(v *vandal) { v.remove(v.r.view(nil, millis(v.k.state.Active), v.conv)) }},
		"inbox row of nothing": {InvariantView, func(v *vandal) { v.put(v.r.view(nil, 5, id16{4}), nil) }},
		"sends without a row": {InvariantSends, func(v *vandal) {
			at := v.r.state(nil, v.conv)
			h, record, err := readHead(v.value(at))
			mustPut(v.T, err)
			h.sends = true
			v.put(at, append(appendHead(nil, h), record...))
		}},
		"row of no sends":    {InvariantSends, func(v *vandal) { v.put(v.r.sends(nil, v.conv), nil) }},
		"feed row lost":      {InvariantFeed, func(v *vandal) { v.remove(v.r.feed(nil, 2)) }},
		"feed row elsewhere": {InvariantFeed, func(v *vandal) { v.put(v.r.feed(nil, 2), v.value(v.r.feed(nil, 3))) }},
		"ciphertext damaged": {InvariantSealed, func(v *vandal) {
			row, err := splitEvent(v.value(v.r.event(nil, v.conv, 2)))
			mustPut(v.T, err)
			row.record.Sealed[20] ^= 1
			record, err := marshal(row.record)
			mustPut(v.T, err)
			v.put(v.r.event(nil, v.conv, 2), append(binary.BigEndian.AppendUint64(nil, uint64(row.pos)), record...))
		}},
		"content of an erased": {InvariantErased, func(v *vandal) {
			at := v.r.state(nil, v.conv)
			value := v.value(at)
			h, record, err := readHead(value)
			mustPut(v.T, err)
			h.keyID = 0
			v.put(at, append(appendHead(nil, h), record...))
		}},
		"key lost": {InvariantKey, func(v *vandal) {
			v.s.contacts.drop(keyHolder{"acme", v.person})
			v.remove(v.r.wrapped(nil, v.person))
		}},
		"contact lost": {InvariantAddress, func(v *vandal) { v.remove(v.r.contact(nil, v.person)) }},
		"remote id of nothing": {InvariantRemote, func(v *vandal) {
			row, err := encodeRow(new(arena), &chat.RemoteRow{Conversation: v.k.place.Conversation, Seq: 99})
			mustPut(v.T, err)
			v.put(v.r.row(nil, id16{1}), row)
		}},
		"claim without date": {InvariantClaim, func(v *vandal) {
			row, err := v.tenant.encodeClaim(new(arena), id16{1}, id16{}, id16{}, &chat.Claim{Day: 20000})
			mustPut(v.T, err)
			v.put(v.r.claim(nil, id16{1}), row)
		}},
		"date without claim": {InvariantClaim, func(v *vandal) {
			v.put(appendExpiry(nil, v.s.Group("acme"), 20000, "acme", id16{1}), nil)
		}},
		"counter": {InvariantCounter, func(v *vandal) {
			v.put(v.r.counter(nil, "messages_in/2026-11-01/wa"), binary.BigEndian.AppendUint64(nil, 77))
		}},
		"short state": {InvariantRecord, func(v *vandal) { v.put(v.r.state(nil, id16{9}), []byte("x")) }},
		"channel of nobody": {InvariantDirectory, func(v *vandal) {
			vault, err := readVault(v.s)
			mustPut(v.T, err)
			at := vault.metaKey(directoryRow{rowChannel, "lost"})
			sealed, err := vault.seal(at, channelRecord(waChannel("lost", "nobody", "meta", "1", "")))
			mustPut(v.T, err)
			v.put(at, sealed)
		}},
		"format below the cluster's": {InvariantDirectory, func(v *vandal) {
			vault, err := readVault(v.s)
			mustPut(v.T, err)
			at := vault.metaKey(directoryRow{kind: rowCluster})
			sealed, err := vault.seal(at, &recordpb.DirectoryCluster{Id: "home", Format: uint32(FormatNewest + 1)})
			mustPut(v.T, err)
			v.put(at, sealed)
		}},
		"person in no quarter": {InvariantReach, func(v *vandal) {
			v.put(appendReached(nil, id16{1}, id16{2}), []byte{0, 1, 2, 3})
		}},
		"quarter without the person": {InvariantReach, func(v *vandal) { v.put(appendReachedIn(nil, id16{1}, 9, id16{2}), nil) }},
		"quarter miscounted": {InvariantReach, func(v *vandal) {
			vault, err := readVault(v.s)
			mustPut(v.T, err)
			at := appendReach(nil, id16{1})
			sealed, err := vault.sealReach(at, chat.Reach{{Quarter: 9, Persons: 1}})
			mustPut(v.T, err)
			v.put(at, sealed)
		}},
		"reach damaged":    {InvariantSealed, func(v *vandal) { v.put(appendReach(nil, id16{1}), []byte("not sealed at all, but long enough")) }},
		"portfolio's what": {InvariantKeyspace, func(v *vandal) { v.put(appendPortfolio(nil, 'z', id16{1}), nil) }},
		"chunk of no source": {InvariantKnowledge, func(v *vandal) {
			v.know(chat.DocChunk, "src_b/0@1", chat.Chunk{ID: "src_b/0", Version: 1, Source: "src_b", Revision: 1})
		}},
		"vectors of no source": {InvariantKnowledge, func(v *vandal) {
			v.know(chat.DocVectors, "src_b/0@1", chat.VectorBatch{Source: "src_b", Dims: 1, Chunks: []string{"src_b/0@1"}, Data: make([]byte, 4)})
		}},
		"vectors cut": {InvariantKnowledge, func(v *vandal) {
			v.know(chat.DocSource, string(soundSource(0).ID), soundSource(0))
			v.know(chat.DocVectors, "c@1", chat.VectorBatch{Source: soundSource(0).ID, Dims: 2, Chunks: []string{"c@1"}, Data: make([]byte, 4)})
		}},
		"chunk lost": {InvariantKnowledge, func(v *vandal) {
			v.know(chat.DocSource, string(soundSource(2).ID), soundSource(2))
			v.know(chat.DocChunk, "c@1", chat.Chunk{ID: "c", Version: 1, Source: soundSource(2).ID, Revision: 1})
		}},
		"chunk of the future": {InvariantKnowledge, func(v *vandal) {
			v.know(chat.DocSource, string(soundSource(0).ID), soundSource(0))
			v.know(chat.DocChunk, "c@1", chat.Chunk{ID: "c", Version: 1, Source: soundSource(0).ID, Revision: 9})
		}},
		"quarantine": {InvariantSealed, func(v *vandal) {
			v.put(appendQuarantine(nil, 0, "meta", id16{1}), []byte("not sealed at all, but long enough"))
		}},
	}
	for name, c := range cases {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := storeOn(t, vfs.NewMem())
			ensure(t, s, "acme")
			directoryOf(t, s)
			k := newTalker(t, s, "acme", 1)
			k.say(t, "one")
			k.say(t, "two")
			mustCheck(t, s)
			tn, err := s.tenantAt("acme")
			mustPut(t, err)
			v := &vandal{T: t, s: s, k: k, b: s.db.NewBatch(), tenant: tn, r: tn.realm}
			v.conv, _ = conversationBytes(k.place.Conversation)
			v.person, _ = contactBytes(k.place.Contact)
			c.wreck(v)
			mustPut(t, v.b.Commit(pebble.Sync))
			report, err := s.Check(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			named := false
			for _, x := range report.Violations {
				if strings.Contains(x.String(), k.addr.Value) || strings.Contains(x.String(), "Ada") {
					t.Errorf("personal data in %q", x)
				}
				named = named || x.Invariant == c.want
			}
			if !named {
				t.Errorf("%s is not named; got %v", c.want, report.Violations)
			}
		})
	}
}
