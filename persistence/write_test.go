package persistence

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Plain rows are valid under any epoch; nothing that an owner decides is.
func TestWrite_OnlyPlainRowsGoWithoutEpoch(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	ensure(t, s, "acme")
	row := func() []*recordpb.Write {
		return []*recordpb.Write{{Key: appendQuarantine(nil, 0, "meta", id16{1}), Value: []byte("x")}}
	}
	epoch := uint64(s.Epoch(0))
	for name, c := range map[string]struct {
		commit *recordpb.Commit
		want   chat.CommitAnswer
	}{
		"plain":            {&recordpb.Commit{Writes: row()}, chat.Applied},
		"plain, fenced":    {&recordpb.Commit{Epoch: epoch, Writes: row()}, chat.Applied},
		"plain, stale":     {&recordpb.Commit{Epoch: epoch + 1, Writes: row()}, chat.StaleEpoch},
		"of a tenant":      {&recordpb.Commit{Tenant: "acme", Writes: row()}, chat.StaleEpoch},
		"of conversation":  {&recordpb.Commit{Conversation: make([]byte, idLen), Writes: row()}, chat.StaleEpoch},
		"with an event":    {&recordpb.Commit{Events: []*recordpb.Entry{{}}, Writes: row()}, chat.StaleEpoch},
		"with a head":      {&recordpb.Commit{Head: &recordpb.Head{}, Writes: row()}, chat.StaleEpoch},
		"with a claim":     {&recordpb.Commit{Claims: []*recordpb.Insert{{}}, Writes: row()}, chat.StaleEpoch},
		"with an id":       {&recordpb.Commit{Rows: []*recordpb.Insert{{}}, Writes: row()}, chat.StaleEpoch},
		"with usage":       {&recordpb.Commit{Usage: []*recordpb.Count{{}}, Writes: row()}, chat.StaleEpoch},
		"with a limit":     {&recordpb.Commit{Reserve: []*recordpb.Count{{}}, Writes: row()}, chat.StaleEpoch},
		"with a contact":   {&recordpb.Commit{ContactRecord: []byte{1}, Writes: row()}, chat.StaleEpoch},
		"with a key":       {&recordpb.Commit{ContactKey: []byte{1}, Writes: row()}, chat.StaleEpoch},
		"plain, no leader": {&recordpb.Commit{Writes: row()}, chat.Applied},
	} {
		if name == "plain, no leader" {
			s.Lead(0, 0) // of this node: another may lead
		}
		out, err := s.groupAt(0).propose(t.Context(), c.commit)
		if err != nil || out.Answer != c.want {
			t.Errorf("%s: %v %v, want %v", name, out.Answer, err, c.want)
		}
		s.Lead(0, chat.Epoch(epoch))
	}
}

func TestWrite_ComparesWithWhatTheRowWas(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	at := appendQuarantine(nil, 0, "meta", id16{1})
	write := func(w *recordpb.Write) chat.ErrorKind {
		w.Key = at
		return chat.KindOf(s.write(t.Context(), 0, []*recordpb.Write{w}))
	}
	for i, step := range []struct {
		write *recordpb.Write
		want  chat.ErrorKind
	}{
		{&recordpb.Write{Value: []byte("b"), Was: []byte("a")}, chat.KindConflict},
		{&recordpb.Write{Value: []byte("a"), Fresh: true}, chat.KindOther},
		{&recordpb.Write{Value: []byte("b"), Fresh: true}, chat.KindConflict},
		{&recordpb.Write{Value: []byte("b"), Was: []byte("a")}, chat.KindOther},
		{&recordpb.Write{Value: []byte("c"), Was: []byte("a")}, chat.KindConflict},
		{&recordpb.Write{Delete: true, Was: []byte("a")}, chat.KindConflict},
		{&recordpb.Write{Delete: true, Was: []byte("b")}, chat.KindOther},
		{&recordpb.Write{Value: []byte("c"), Was: []byte("b")}, chat.KindConflict},
	} {
		if got := write(step.write); got != step.want {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
}

// Only the leader forgets: a node that lags would delete what was made again.
func TestForgetClaims_IsTheLeaders(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	ensure(t, s, "acme")
	tn, err := s.tenantAt("acme")
	mustPut(t, err)
	row, err := tn.encodeClaim(new(arena), id16{1}, id16{}, id16{}, &chat.Claim{Day: 1})
	mustPut(t, err)
	at := tn.realm.claim(nil, id16{1})
	g := s.Group("acme")
	mustPut(t, s.write(t.Context(), g, []*recordpb.Write{{Key: at, Value: row},
		{Key: appendExpiry(nil, g, 1, "acme", id16{1}), Value: []byte{}}}))
	there := func() bool {
		_, found, err := s.get(at)
		mustPut(t, err)
		return found
	}
	epoch := s.Epoch(g)
	s.Lead(g, 0)
	mustPut(t, s.forgetClaims(t.Context(), strikeDay))
	if !there() {
		t.Error("a node that does not lead forgot a claim")
	}
	s.Lead(g, epoch)
	mustPut(t, s.forgetClaims(t.Context(), strikeDay))
	if there() {
		t.Error("the leader did not forget a claim")
	}
}
