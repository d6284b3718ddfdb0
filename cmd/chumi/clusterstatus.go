package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/persistence"
)

func (c *cli) clusterStatusCommand() *cobra.Command {
	var asJSON bool
	var wait time.Duration
	return c.operatorCommand("status", "Show the nodes, who leads each group and who holds it",
		`status asks all nodes what they know of the groups. With --wait it looks again until the
cluster is whole: every node up, every group led and where it shall be, and on every
member all that there was when the command began. Exit code 1, with what is missing,
when the time is over before that: the step between two nodes of a rolling restart.`,
		func(cmd *cobra.Command) {
			cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
			cmd.Flags().DurationVar(&wait, "wait", 0, "look again for so long until the cluster is whole: --wait 2m")
		},
		func(cmd *cobra.Command, o operator) error {
			var s *cluster.Status
			began := wholeness{}
			lacking := retried(cmd.Context(), wait, func() (err error) {
				if s, err = o.status(); err != nil || wait == 0 {
					return err
				}
				return began.lacking(s)
			})
			if s == nil {
				return lacking
			}
			if asJSON {
				return errors.Join(json.NewEncoder(c.stdout).Encode(s), lacking)
			}
			if err := errors.Join(printStatus(c.stdout, s), lacking); err != nil || wait == 0 {
				return err
			}
			_, err := fmt.Fprintln(c.stdout, "\nthe cluster is whole: every node is up, every group is led, nobody lacks anything")
			return err
		})
}

// wholeness is what each group had applied when it was first seen: its members must
// come to have that. Under traffic none of them ever has all that there is.
type wholeness map[chat.Group]uint64

// lacking says why a cluster is not whole; nil when it is.
func (w wholeness) lacking(s *cluster.Status) error {
	var all []string
	for _, n := range s.Nodes {
		switch {
		case n.Leaving:
			all = append(all, fmt.Sprintf("node %d is leaving", n.ID))
		case !n.Live:
			all = append(all, fmt.Sprintf("node %d is down", n.ID))
		}
	}
	for _, g := range s.Groups {
		began, seen := w[g.Group]
		if !seen {
			began = g.Applied
			w[g.Group] = began
		}
		switch name := groupName(g.Group); {
		case g.Leader == 0:
			all = append(all, "group "+name+" has no leader")
		case moving(g) != "":
			all = append(all, "group "+name+" moves "+moving(g))
		default:
			for id, n := range g.Behind {
				if g.Applied < began+n {
					all = append(all, fmt.Sprintf("node %d lacks %d entries of group %s", id, n, name))
				}
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	return errors.New("the cluster is not whole: " + strings.Join(all, "; "))
}

func groupName(g chat.Group) string {
	if g == persistence.MetaGroup {
		return "meta"
	}
	return strconv.Itoa(int(g))
}

func printStatus(w io.Writer, s *cluster.Status) error {
	var b strings.Builder
	fmt.Fprintf(&b, "cluster %s, as node %d sees it\n%s\n\n%-6s%-24s%-9s%-9s%s\n", s.Cluster, s.Node, s.FormatLine(), "node", "address", "state", "formats", "leads")
	for _, n := range s.Nodes {
		state := "up"
		switch {
		case n.Leaving:
			state = "leaving"
		case !n.Live:
			state = "DOWN"
		}
		fmt.Fprintf(&b, "%-6d%-24s%-9s%-9s%d\n", n.ID, n.Addr, state, formatsWord(n), n.Leads)
	}
	fmt.Fprintf(&b, "\n%-7s%-8s%-7s%-10s%-15s%-12s%s\n", "group", "leader", "term", "applied", "voters", "learners", "on its way")
	for _, g := range s.Groups {
		leader := "NONE"
		if g.Leader != 0 {
			leader = strconv.FormatUint(uint64(g.Leader), 10)
		}
		fmt.Fprintf(&b, "%-7s%-8s%-7d%-10d%-15s%-12s%s\n", groupName(g.Group), leader, g.Term, g.Applied, words(g.Voters), words(g.Learners), moving(g))
	}
	for _, warning := range s.Warnings {
		fmt.Fprintf(&b, "\nwarning: %s\n", warning)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// formatsWord is what a node's build can write, "-" when it did not say.
func formatsWord(n cluster.NodeState) string {
	if !n.Live {
		return "-"
	}
	return n.Formats.Oldest.String() + "-" + n.Formats.Newest.String()
}

func words(ids []chat.NodeID) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = strconv.FormatUint(uint64(id), 10)
	}
	return strings.Join(list, ",")
}

// moving says where a group is going, "" for one that is there.
func moving(g cluster.GroupState) string {
	if slices.Equal(g.Voters, g.WantVoters) && slices.Equal(g.Learners, g.WantLearners) {
		return ""
	}
	to := "to " + words(g.WantVoters)
	if len(g.WantLearners) > 0 {
		to += ", learning " + words(g.WantLearners)
	}
	return to
}
