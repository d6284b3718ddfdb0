package replica

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

const (
	// readyEntries is how far behind a learner may be to get a vote, or a voter to
	// get the leadership: a second of a busy group, which it makes up for while
	// nobody waits for it.
	readyEntries = 1000
	// changeElections is how many election times a change of members may take: the
	// group may look for another leader meanwhile, and the next tick sees.
	changeElections = 5
	// stepsMax bounds the steps of one group in one tick. A move takes a handful.
	stepsMax = 16
)

// verb is what one step does to a member.
type verb uint8

const (
	rest     verb = iota // nothing now
	admit                // make it a learner
	promote              // give it a vote
	demote               // take its vote, keep it as a learner
	remove               // take it out
	handOver             // make it leader
)

func (v verb) String() string {
	return [...]string{"rest", "admit", "promote", "demote", "remove", "hand over to"}[v]
}

// step is what a leader does next to bring its group to where it shall be.
type step struct {
	verb verb
	node chat.NodeID
}

// next decides the next step of the group that s describes, on the node self. In
// order:
//
//	who shall be a member and is none becomes a learner
//	a learner that shall vote, and is ready, gets its vote
//	learners that shall be no members go
//	once all that shall vote do: voters that shall not lose their votes, the silent
//	ones first, each only if a majority of those who remain answers
//	a leader that shall not vote hands over; the next one removes it
//
// A sole voter that shall become one of several waits for two learners to be ready:
// two voters fail when either does, and learners have the copies already.
func next(s Status, want persistence.Placement, self chat.NodeID) step {
	if s.Leader != self || s.Behind == nil || len(want.Voters) == 0 {
		return step{}
	}
	t := tending{s, want, self}
	for _, id := range slices.Concat(want.Voters, want.Learners) {
		if !slices.Contains(s.Voters, id) && !slices.Contains(s.Learners, id) {
			return step{admit, id}
		}
	}
	missing := subtract(want.Voters, s.Voters)
	ready := slices.DeleteFunc(slices.Clone(missing), func(id chat.NodeID) bool { return !t.ready(id) })
	if len(ready) > 0 && (len(s.Voters) > 1 || len(ready) > 1 || len(missing) == 1) {
		return step{promote, ready[0]}
	}
	for _, id := range s.Learners {
		if !slices.Contains(want.Voters, id) && !slices.Contains(want.Learners, id) {
			return step{remove, id}
		}
	}
	if len(missing) > 0 {
		return step{}
	}
	return t.dismiss()
}

// tending is a group, where it shall be, and the node that leads it.
type tending struct {
	Status
	want persistence.Placement
	self chat.NodeID
}

// ready reports whether a member has nearly all and takes the rest as it comes.
func (t *tending) ready(id chat.NodeID) bool { return t.Following[id] && t.Behind[id] <= readyEntries }

// dismiss takes a vote from one that shall not have it. REQUIRES: all that shall
// vote do.
func (t *tending) dismiss() step {
	unwanted := subtract(t.Voters, t.want.Voters)
	slices.SortStableFunc(unwanted, func(a, b chat.NodeID) int { return cmp.Compare(t.heard(a), t.heard(b)) })
	for _, id := range unwanted {
		if id == t.self || !t.works(subtract(t.Voters, []chat.NodeID{id})) {
			continue
		}
		if slices.Contains(t.want.Learners, id) {
			return step{demote, id}
		}
		return step{remove, id}
	}
	if !slices.Contains(unwanted, t.self) {
		return step{}
	}
	heirs := slices.DeleteFunc(slices.Clone(t.want.Voters), func(id chat.NodeID) bool { return !t.ready(id) })
	if len(heirs) == 0 {
		return step{}
	}
	return step{handOver, slices.MinFunc(heirs, func(a, b chat.NodeID) int {
		return cmp.Or(cmp.Compare(t.Behind[a], t.Behind[b]), cmp.Compare(a, b))
	})}
}

// works reports whether a majority of voters answers.
func (t *tending) works(voters []chat.NodeID) bool {
	n := 0
	for _, id := range voters {
		n += t.heard(id)
	}
	return 2*n > len(voters)
}

// heard is 1 for this node and others that the leader has heard lately.
func (t *tending) heard(id chat.NodeID) int {
	if id == t.self || t.Heard[id] {
		return 1
	}
	return 0
}

// subtract is list without those in other.
func subtract(list, other []chat.NodeID) []chat.NodeID {
	return slices.DeleteFunc(slices.Clone(list), func(id chat.NodeID) bool { return slices.Contains(other, id) })
}

// Tend moves the groups that this node leads to where want says they shall be,
// until ctx ends. It looks every so often, at once the first time; a group that
// want does not name stays as it is. What does not succeed is logged, each reason
// once, and tried again. Every node of a cluster tends: leaders change as groups
// move.
func (n *Node) Tend(ctx context.Context, every time.Duration, want func() []persistence.Placement) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	said := map[chat.Group]*string{}
	for {
		n.tendAll(ctx, want(), said)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-n.stop:
			return
		}
	}
}

// tendAll takes the steps of one tick. Groups do not wait for each other: a change
// of one that has lost its majority takes until its time is over.
func (n *Node) tendAll(ctx context.Context, list []persistence.Placement, said map[chat.Group]*string) {
	want := map[chat.Group]persistence.Placement{}
	for _, p := range list {
		want[p.Group] = p
	}
	var work sync.WaitGroup
	defer work.Wait()
	for _, s := range n.Status() {
		p, ok := want[s.Group]
		if !ok || next(s, p, n.opt.ID).verb == rest {
			continue
		}
		last := said[s.Group]
		if last == nil {
			last = new(string)
			said[s.Group] = last
		}
		work.Go(func() { n.tend(ctx, s, p, last) })
	}
}

// tend takes steps of one group until there is nothing to do now. said is what was
// logged last.
func (n *Node) tend(ctx context.Context, s Status, want persistence.Placement, said *string) {
	for range stepsMax {
		do := next(s, want, n.opt.ID)
		switch do.verb {
		case rest:
			return
		case handOver:
			n.Transfer(s.Group, do.node)
			return
		}
		if err := n.take(ctx, s.Group, do); err != nil {
			if text := err.Error(); ctx.Err() == nil && text != *said {
				*said = text
				n.opt.Logger.Warn("a group did not move to where it shall be; the next tick tries again",
					"group", s.Group, "step", do.verb.String(), "node", do.node, "err", err)
			}
			return
		}
		*said = ""
		n.opt.Logger.Info("a group moved", "group", s.Group, "step", do.verb.String(), "node", do.node)
		var ok bool
		if s, ok = n.statusOf(s.Group); !ok {
			return
		}
	}
}

// take carries out a step that changes the members.
func (n *Node) take(ctx context.Context, g chat.Group, do step) error {
	patience := changeElections * time.Duration(n.opt.ElectionTicks) * n.opt.Tick
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	kind := raftpb.ConfChangeAddLearnerNode
	switch do.verb {
	case promote:
		kind = raftpb.ConfChangeAddNode
	case remove:
		kind = raftpb.ConfChangeRemoveNode
	}
	return n.Change(ctx, g, &raftpb.ConfChangeV2{Changes: []*raftpb.ConfChangeSingle{
		{Type: kind.Enum(), NodeId: new(uint64(do.node))}}})
}
