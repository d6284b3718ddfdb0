package cluster

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// Status is the cluster as one of its nodes sees it.
type Status struct {
	Cluster string      `json:"cluster"`
	Node    chat.NodeID `json:"node"`
	Nodes   []NodeState `json:"nodes"`
	// Format is the active format; FormatNext is the newest one that any node knows,
	// when that is above it: what finalize moves to.
	Format     persistence.FormatVersion `json:"format"`
	FormatNext persistence.FormatVersion `json:"format_next,omitempty"`
	// FormatLacking names the nodes that do not know FormatNext, or do not answer.
	FormatLacking []chat.NodeID `json:"format_lacking,omitempty"`
	// Groups are by number; the metadata group comes last, with the number 65535.
	Groups []GroupState `json:"groups"`
	// Warnings is what an operator should know of the answering node's configuration.
	Warnings []string `json:"warnings,omitempty"`
}

// NodeState is a member of the cluster.
type NodeState struct {
	ID      chat.NodeID `json:"id"`
	Addr    string      `json:"addr"`
	Leaving bool        `json:"leaving"`
	// Live is true when the node answered.
	Live bool `json:"live"`
	// Leads counts the groups it leads.
	Leads int `json:"leads"`
	// Format is what is active as far as the node knows, Formats what its build can
	// write; zero for one that did not answer.
	Format  persistence.FormatVersion `json:"format"`
	Formats persistence.Formats       `json:"formats"`
}

// GroupState is a group by the account of its leader, or of who knows most where
// no leader answered.
type GroupState struct {
	Group    chat.Group    `json:"group"`
	Leader   chat.NodeID   `json:"leader"`
	Term     uint64        `json:"term"`
	Applied  uint64        `json:"applied"`
	Voters   []chat.NodeID `json:"voters"`
	Learners []chat.NodeID `json:"learners"`
	// WantVoters and WantLearners are where the directory wants it.
	WantVoters   []chat.NodeID `json:"want_voters"`
	WantLearners []chat.NodeID `json:"want_learners"`
	// Unshredded are the members that may still hold bytes of persons who were erased,
	// with how many tenants those are of.
	Unshredded map[chat.NodeID]int `json:"unshredded,omitempty"`
	// Behind is how many entries the others lack.
	Behind map[chat.NodeID]uint64 `json:"behind,omitempty"`
}

// report is what one node knows.
type report struct {
	Format  persistence.FormatVersion `json:"format"`
	Formats persistence.Formats       `json:"formats"`
	Groups  []replica.Status          `json:"groups"`
}

// report is this node's.
func (n *Node) report() report {
	return report{n.opt.Store.Format(), n.opt.Store.Formats(), n.replica.Status()}
}

// collect asks all members what they know of the groups; one that does not answer
// is missing.
func (n *Node) collect(ctx context.Context, d *persistence.Directory) map[chat.NodeID]report {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	reports := map[chat.NodeID]report{n.self: n.report()}
	for _, m := range d.Nodes() {
		if m.ID == n.self {
			continue
		}
		wg.Go(func() {
			status, text, err := n.call(ctx, m.ID, fasthttp.MethodGet, pathStatus, nil)
			var r report
			if err != nil || status != fasthttp.StatusOK || json.Unmarshal(text, &r) != nil {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			reports[m.ID] = r
		})
	}
	wg.Wait()
	return reports
}

// Status asks every member and puts together what they say.
func (n *Node) Status(ctx context.Context) (*Status, error) {
	d, err := n.attended()
	if err != nil {
		return nil, err
	}
	return n.gather(d, n.collect(ctx, d)), nil
}

// gather makes one status of what the members say: of two accounts of a group the
// one of the later term counts, in a term that of the leader, else the one that has
// applied more.
func (n *Node) gather(d *persistence.Directory, reports map[chat.NodeID]report) *Status {
	known, _ := d.Cluster()
	s := &Status{Cluster: known.ID, Node: n.self, Warnings: n.opt.Warnings}
	best := map[chat.Group]GroupState{}
	unshredded := map[chat.Group]map[chat.NodeID]int{}
	for id, report := range reports {
		for _, r := range report.Groups {
			if r.Unshredded > 0 {
				if unshredded[r.Group] == nil {
					unshredded[r.Group] = map[chat.NodeID]int{}
				}
				unshredded[r.Group][id] = r.Unshredded
			}
			g, seen := best[r.Group]
			leads := r.Leader == id
			if seen && (g.Term > r.Term || g.Term == r.Term && g.Leader != 0) {
				continue
			}
			next := GroupState{Group: r.Group, Term: r.Term, Applied: r.Applied, Voters: r.Voters, Learners: r.Learners}
			if leads {
				next.Leader, next.Behind = id, r.Behind
			}
			if seen && !leads && g.Term == r.Term && g.Applied >= r.Applied {
				continue
			}
			best[r.Group] = next
		}
	}
	led := map[chat.NodeID]int{}
	want := placesOf(d)
	for _, g := range n.opt.Store.GroupIDs() {
		state, ok := best[g]
		if !ok {
			state.Group = g
		}
		state.Unshredded = unshredded[g]
		state.WantVoters, state.WantLearners = want[g].Voters, want[g].Learners
		if state.Leader != 0 {
			led[state.Leader]++
		}
		for _, list := range []*[]chat.NodeID{&state.Voters, &state.Learners, &state.WantVoters, &state.WantLearners} {
			if *list == nil {
				*list = []chat.NodeID{}
			}
		}
		s.Groups = append(s.Groups, state)
	}
	for _, m := range d.Nodes() {
		r, live := reports[m.ID]
		s.Nodes = append(s.Nodes, NodeState{ID: m.ID, Addr: m.Addr, Leaving: m.Leaving, Live: live, Leads: led[m.ID],
			Format: r.Format, Formats: r.Formats})
	}
	s.Format = known.Format
	s.FormatNext, s.FormatLacking = next(s)
	return s
}

// leaves reports whether nothing is left of a node that is leaving: no group has it
// as a member, by the account of all its members, and all who stay gave theirs.
//
// A node may come back under the same number with an empty disk. Whoever had not
// applied its removal by then would count it as the voter it was.
func leaves(s *Status, reports map[chat.NodeID]report, id chat.NodeID) bool {
	for _, m := range s.Nodes {
		if m.ID != id && !m.Live {
			return false
		}
	}
	for from, report := range reports {
		for _, r := range report.Groups {
			if from != id && !r.Left(from) && !r.Left(id) {
				return false
			}
		}
	}
	return true
}
