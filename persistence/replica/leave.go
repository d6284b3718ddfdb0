package replica

import (
	"context"
	"errors"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/persistence"
)

// Leave gives up what this node has of a group that it is no member of any more,
// by the account of the group's leader: its copy, which nobody keeps up to date,
// and its old members, among whom it would go on to ask for votes. It reports
// whether it did; not while the account may be older than what this node knows.
//
// A member that is removed is not told: it gets no more messages. Left alone, it
// and a node that comes back under its number with an empty disk could be the
// majority of a group as it once was.
//
// What was promised stays: the term, and the vote in it.
func (n *Node) Leave(leader Status) (bool, error) {
	type answer struct {
		left bool
		err  error
	}
	done := make(chan answer, 1)
	if !n.do(func(c *core) {
		left, err := c.leave(leader)
		done <- answer{left, err}
	}) {
		return false, nil
	}
	a := <-done
	if a.err != nil {
		n.store.Fail("a group could not be left", a.err)
	}
	return a.left, a.err
}

// leave is Leave.
func (c *core) leave(s Status) (bool, error) {
	m, ok := c.members[s.Group]
	if !ok || len(s.Voters) == 0 || slices.Contains(s.Voters, m.id) || slices.Contains(s.Learners, m.id) || m.incoming != nil {
		return false, nil
	}
	// A leader that was replaced hears of it first, and answers those who wait.
	if m.raft.BasicStatus().RaftState == raft.StateLeader || !m.live(m.id) || !m.outlived(s) {
		return false, nil
	}
	next := &groupLog{db: m.log.db, group: m.group, fault: m.log.fault, cacheFrom: 1, members: &raftpb.ConfState{}}
	next.hard.Term, next.hard.Vote, next.hard.Commit = new(m.log.hard.GetTerm()), new(m.log.hard.GetVote()), new(uint64)
	for _, id := range s.Voters {
		next.members.Voters = append(next.members.Voters, uint64(id))
	}
	for _, id := range s.Learners {
		next.members.Learners = append(next.members.Learners, uint64(id))
	}
	if err := c.clear(next); err != nil {
		return false, err
	}
	fresh, err := newMember(c.opt, next)
	if err != nil {
		return false, err
	}
	m.abandonReads()
	m.log, m.raft, m.sole, m.leading = next, fresh.raft, false, 0
	m.out, m.moved, m.opened, m.restored = nil, false, false, false
	m.life++
	c.leaders[m.group].Store(0)
	c.touch(m)
	return true, nil
}

// outlived reports whether a leader's account is of after everything that this
// node has of the group: then its members are later ones too.
func (m *member) outlived(s Status) bool {
	if s.Term < m.log.hard.GetTerm() {
		return false
	}
	last, err := m.log.Term(m.log.last)
	return err == nil && (last < s.Term || m.log.last <= s.Applied)
}

// clear replaces everything this node has of a group by an empty log, in one step.
func (c *core) clear(l *groupLog) error {
	fs, dir := c.store.FS(), c.store.FS().PathJoin(c.store.Dir(), incomingDir, "left")
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		return errInstall("cannot make a place for the end of a group", err)
	}
	defer func() { _ = fs.RemoveAll(dir) }()
	in := &incoming{dir: dir}
	own, err := in.table(fs, c.store.TableOptions())
	if err != nil {
		return errInstall("cannot write the end of a group", err)
	}
	if err := errors.Join(l.writeOwn(own), own.Close()); err != nil {
		return errInstall("cannot write the end of a group", err)
	}
	state, err := in.table(fs, c.store.TableOptions())
	if err != nil {
		return errInstall("cannot write the end of a group", err)
	}
	members, err := l.membersRow()
	if err != nil {
		return err
	}
	if err := errors.Join(state.Set(persistence.AppendApplied(nil, l.group), l.applied.row()),
		state.Set(persistence.AppendMembers(nil, l.group), members), state.Close()); err != nil {
		return errInstall("cannot write the end of a group", err)
	}
	start, end := persistence.GroupSpan(l.group)
	if _, err := c.store.DB().IngestAndExcise(context.Background(), in.files, nil, nil, pebble.KeyRange{Start: start, End: end}); err != nil {
		return errInstall("cannot end a group", err)
	}
	return c.store.Replaced(l.group)
}

// abandonReads answers the reads that wait: they will learn nothing here.
func (m *member) abandonReads() {
	reads := m.waits.fresh
	for _, r := range m.waits.confirmed {
		reads = append(reads, r.reads...)
	}
	for _, list := range m.waits.asked {
		reads = append(reads, list...)
	}
	for _, w := range reads {
		w.done <- errUnled(m.group)
	}
	m.waits = newWaits()
}
