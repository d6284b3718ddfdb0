package replica

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"

	"github.com/chumiai/chumi/chat"
)

// stream is Node.sendSnapshot and the receiver's ReceiveSnapshot.
func (n *simNode) stream(m Message) {
	s, life, to := n.sim, n.life, chat.NodeID(m.GetTo())
	report := func(err error) {
		s.after(s.between(time.Millisecond, 5*time.Millisecond), func() {
			if n.life != life || !n.up {
				return
			}
			n.whenAwake(func() {
				status := raft.SnapshotFinish
				if err != nil {
					status = raft.SnapshotFailure
				}
				s.note("n%d g%d hears of its snapshot for n%d: %v", n.id, m.Group, to, err)
				g := n.core.members[m.Group]
				g.raft.ReportSnapshot(m.GetTo(), status)
				n.core.touch(g)
				n.poke()
			})
		})
	}
	s.after(s.between(0, 20*time.Millisecond), func() {
		if n.life != life || !n.up {
			return
		}
		var body bytes.Buffer
		view := snapshotView(n.store, m.Group)
		header, err := snapshotHeader(view, n.store.Format(), m)
		if err == nil {
			err = writeRows(&body, view, m.Group)
		}
		if err = errors.Join(err, view.Close()); err != nil {
			s.violate("n%d: cannot read a snapshot: %v", n.id, err)
			return
		}
		s.note("n%d g%d streams a snapshot to n%d, %d bytes", n.id, m.Group, to, body.Len())
		s.after(s.between(time.Millisecond, 60*time.Millisecond), func() {
			r := s.node(to)
			if !r.up || !s.reachable(n.id, to) || s.chance(s.net.lost) {
				report(errDown)
				return
			}
			life := r.life
			s.after(max(0, r.paused-s.now), func() {
				if !r.up || r.life != life {
					report(errDown)
					return
				}
				r.receive(header, body.Bytes(), report)
			})
		})
	})
}

func (n *simNode) receive(header, body []byte, report func(error)) {
	m, _, err := readSnapshotHeader(header)
	if err != nil {
		report(err)
		return
	}
	n.sim.number++
	in := &incoming{message: m, done: make(chan error, 1),
		dir: n.store.FS().PathJoin(n.store.Dir(), incomingDir, fmt.Sprintf("%d-%d", m.Group, n.sim.number))}
	if err := in.receive(n.store.FS(), n.store.TableOptions(), bytes.NewReader(body)); err != nil {
		report(err)
		return
	}
	n.crashNext = !n.sim.plan.calm && !n.sim.healed && n.sim.chance(30)
	if n.received != nil {
		n.received(m)
	}
	n.core.stepSnapshot(in)
	n.receiving = append(n.receiving, offered{in, report})
	n.tell()
	n.poke()
}
