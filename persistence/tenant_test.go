package persistence

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

func TestTenant_PositionSurvivesWithAndWithoutEvents(t *testing.T) {
	o := testOptions(t, vfs.NewMem())
	s := openTest(t, o)
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	metaRow := func() string {
		t.Helper()
		v, _, err := s.get(realmOf(s.Group("acme"), "acme").meta(nil))
		mustPut(t, err)
		return string(v)
	}
	before := metaRow()
	told := k.say(t, "one").Pos
	if metaRow() != before {
		t.Error("a batch of events rewrote the meta row: the feed has the position")
	}
	reopen := func() {
		t.Helper()
		mustPut(t, s.Close())
		s = openTest(t, o)
		k.store = s
	}
	reopen()
	if pos := k.say(t, "two").Pos; pos != told+1 {
		t.Errorf("position %d after reopening, want %d", pos, told+1)
	}

	// A commit that only re-arms takes a position that no feed row has.
	c := k.next("")
	c.Events, c.Rows = nil, nil
	armed := k.state.Clone()
	armed.Armed = epoch0
	c.State = &armed
	r := appendTest(t, s, c)
	if r.Answer != chat.Applied || r.Pos != told+2 {
		t.Fatalf("%v at %d, want applied at %d", r.Answer, r.Pos, told+2)
	}
	k.state = armed
	reopen()
	rows, _, err := s.Due(s.Group("acme"), epoch0, nil, 10)
	if mustPut(t, err); len(rows) != 1 {
		t.Errorf("%d rows are due after reopening, want the re-armed one", len(rows))
	}
	if pos := k.say(t, "three").Pos; pos != told+3 {
		t.Errorf("position %d, want %d", pos, told+3)
	}
	mustPut(t, s.Close())
}

// A round that lands late does not hide what readers saw before.
func TestTenant_DurablePositionNeverFalls(t *testing.T) {
	s := openMem(t, "acme")
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	tn, err := s.tenantAt("acme")
	if err != nil {
		t.Fatal(err)
	}
	tn.group.publish(&part{group: tn.group, tenants: []landed{{"acme", 1}}})
	if events, err := s.Events("acme", k.place.Conversation, 0, 10); err != nil || len(events) != 2 {
		t.Errorf("%d events (%v), want 2", len(events), err)
	}
}
