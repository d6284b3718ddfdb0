package replica

import (
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// simRows are the rows that make the tenants known, by group, for stores of some
// number of groups. A cluster takes them as commits, because a directory wants to
// write to two groups on one node.
var simRows = map[int]map[chat.Group][]*recordpb.Write{}

// simTemplate makes simRows with a node alone.
func simTemplate(t *testing.T, groups int) {
	if simRows[groups] != nil {
		return
	}
	simRows[groups] = map[chat.Group][]*recordpb.Write{}
	s := newSimulator(t, 1, plan{nodes: 1, groups: groups, first: []chat.NodeID{1}, logLen: 100, calm: true})
	defer s.close()
	n := s.nodes[0]
	n.open()
	var err error
	f := s.start(func(f *fiber) {
		for s.leader(persistence.MetaGroup) == nil {
			f.sleep(10 * time.Millisecond)
		}
		var d *persistence.Directory
		if d, err = persistence.OpenDirectory(f.ctx, n.store, chat.Settings{}); err != nil {
			return
		}
		for _, id := range simTenants {
			if err = d.PutTenant(f.ctx, chat.Tenant{ID: id}); err != nil {
				return
			}
		}
	})
	s.runUntil(time.Minute, func() bool { return f.over })
	if err != nil || !f.over || len(s.broken) > 0 {
		t.Fatalf("no tenants: %v %v", err, s.broken)
	}
	for _, g := range n.store.GroupIDs() {
		applied, members := persistence.AppendApplied(nil, g), persistence.AppendMembers(nil, g)
		err := eachRow(n.store, g, func(k, v []byte) {
			if string(k) != string(applied) && string(k) != string(members) {
				simRows[groups][g] = append(simRows[groups][g],
					&recordpb.Write{Key: append([]byte{}, k...), Value: append([]byte{}, v...), Fresh: true})
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// admit makes the tenants known before the trouble begins.
func (s *simulator) admit() {
	for _, g := range s.nodes[0].store.GroupIDs() {
		rows := simRows[s.plan.groups][g]
		if len(rows) == 0 {
			continue
		}
		f := s.start(func(f *fiber) {
			for {
				f.sleep(20 * time.Millisecond)
				n := s.leader(g)
				if n == nil {
					continue
				}
				out, err := simProposer{n, n.life}.Propose(f.ctx, g, &recordpb.Commit{Epoch: uint64(n.store.Epoch(g)), Writes: rows})
				if err == nil && (out.Answer == chat.Applied || out.Answer == chat.Duplicate) {
					return
				}
			}
		})
		if !s.runUntil(s.now+time.Minute, func() bool { return f.over }) {
			s.violate("g%d takes no commit in a minute of peace", g)
			return
		}
	}
}
