package replica

import (
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// append takes what Raft must find again after a crash. What it promises by that
// is told when the flight has landed; what a sole member promises to itself counts
// at once, and what follows from it is in the same batch.
func (c *core) append(m *member, msg *raftpb.Message, f *flight) error {
	hard := false
	if msg.Term != nil && msg.GetTerm() != 0 {
		hard = m.log.vote(msg.GetTerm(), msg.GetVote(), msg.GetCommit())
		f.sync = f.sync || hard && c.fault != faultVoteUnsynced
	}
	if !raft.IsEmptySnap(msg.GetSnapshot()) {
		if err := c.restore(m, msg.GetSnapshot(), f); err != nil {
			return err
		}
		f.sync = true
	}
	if len(msg.GetEntries()) > 0 {
		if err := m.log.append(f.batch, msg.GetEntries()); err != nil {
			return err
		}
		f.sync = f.sync || c.fault != faultAppendUnsynced
	}
	if hard || msg.Commit != nil && m.log.changing() && c.fault != faultCommitUnwritten {
		if err := m.log.writeHard(f.batch); err != nil {
			return err
		}
	}
	for _, r := range msg.GetResponses() {
		if m.sole && r.GetTo() == uint64(m.id) {
			_ = m.raft.Step(r)
			continue
		}
		f.promises = append(f.promises, m.promise(Message{m.group, r}))
	}
	return nil
}

// apply stages what a majority has agreed on.
func (c *core) apply(m *member, msg *raftpb.Message, f *flight) error {
	for _, e := range msg.GetEntries() {
		if err := c.applyEntry(m, e, f); err != nil {
			return err
		}
		m.log.applied = place{e.GetIndex(), e.GetTerm()}
		m.moved = true
	}
	for _, r := range msg.GetResponses() {
		_ = m.raft.Step(r)
	}
	return nil
}

func (c *core) applyEntry(m *member, e *raftpb.Entry, f *flight) error {
	switch {
	case e.GetType() != raftpb.EntryNormal:
		change, err := m.changed(e)
		if err != nil {
			return err
		}
		c.changeDone(m, change, f)
		if !m.live(m.id) {
			c.leaders[m.group].Store(0)
		}
		f.sync = true
		f.changed = append(f.changed, m)
		m.changing++
		if c.fault == faultMembersUnwritten {
			return nil
		}
		return m.log.writeMembers(f.batch)
	case len(e.GetData()) == 0:
		if m.leading != 0 && m.leading == e.GetTerm() {
			// Not a leader's first: Raft put it in the place of a change.
			m.changeRefused(f)
			return nil
		}
		if st := m.raft.BasicStatus(); st.RaftState == raft.StateLeader && st.HardState.GetTerm() == e.GetTerm() {
			m.leading = e.GetTerm()
			f.leads = append(f.leads, lead{m, m.leading})
			f.sync = f.sync || m.sole
		}
		return nil
	}
	t, held, body, err := entryTicket(e.GetData())
	if err != nil {
		return err
	}
	var waiting []*Proposal
	if t.boot == c.opt.Boot {
		waiting = m.held[t.number]
		delete(m.held, t.number)
	}
	if waiting == nil {
		if held {
			return errEntry("an entry without its commits came back")
		}
		return c.stage(m, e.GetTerm(), body, f)
	}
	for _, p := range waiting {
		if p.outcome, err = f.round.Stage(m.group, c.epoch(e.GetTerm(), p.commit), p.commit); err != nil {
			return err
		}
	}
	f.answered = append(f.answered, waiting...)
	f.sync = f.sync || m.sole
	if c.fault == faultSoleUnsynced {
		f.sync = false
	}
	return nil
}

// epoch is what a commit in an entry of the given term must have been made under.
func (c *core) epoch(term uint64, commit *recordpb.Commit) chat.Epoch {
	if c.fault == faultStaleAccepted {
		return chat.Epoch(commit.Epoch)
	}
	return chat.Epoch(term)
}

// stage stages an entry that nobody here waits for.
func (c *core) stage(m *member, term uint64, body []byte, f *flight) error {
	commits, err := entryCommits(body)
	for _, commit := range commits {
		if err == nil {
			_, err = f.round.Stage(m.group, c.epoch(term, commit), commit)
		}
	}
	return err
}
