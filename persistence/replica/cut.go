package replica

import (
	"context"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// cutLook is how often CutLog looks whether the log was cut.
const cutLook = 20 * time.Millisecond

// CutLog implements persistence.Proposer. A leader keeps what a follower that it hears
// of still lacks: then CutLog waits. One that it does not hear of gets a snapshot when it
// is back.
func (n *Node) CutLog(ctx context.Context, g chat.Group) error {
	s, ok := n.statusOf(g)
	if !ok {
		return errUnled(g)
	}
	to := s.Applied
	look := time.NewTicker(cutLook)
	defer look.Stop()
	for {
		if s, ok = n.statusOf(g); !ok {
			return errUnled(g)
		}
		if s.First > to {
			// The pass that cut it may be on its way.
			_, closer, err := n.store.DB().Get(persistence.AppendLogEntry(nil, g, to))
			switch {
			case errors.Is(err, pebble.ErrNotFound):
				return nil
			case err == nil:
				err = closer.Close()
			}
			if err != nil {
				return chat.E("replica.CutLog", chat.KindOther, "cannot read a log", err)
			}
		}
		n.do(func(c *core) {
			m := c.members[g]
			m.cutTo = max(m.cutTo, to)
			c.touch(m)
		})
		select {
		case <-look.C:
		case <-ctx.Done():
			return chat.E("replica.CutLog", chat.KindUnavailable, "a node that is behind still needs the log of the group", context.Cause(ctx))
		}
	}
}

// cut drops entries that nobody needs up to where it was asked to.
func (m *member) cut(b *pebble.Batch) error {
	if m.cutTo == 0 {
		return nil
	}
	to := min(m.cutTo, m.log.applied.index)
	if m.raft.BasicStatus().RaftState == raft.StateLeader {
		m.raft.WithProgress(func(id uint64, _ raft.ProgressType, p tracker.Progress) {
			if id != uint64(m.id) && p.RecentActive {
				to = min(to, p.Match)
			}
		})
	}
	if m.cutTo <= max(to, m.log.truncated.index) {
		m.cutTo = 0
	}
	return m.log.trim(b, to)
}
