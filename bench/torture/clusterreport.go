package torture

import (
	"fmt"
	"strings"
	"time"
)

// ClusterTotals is what happened to clusters, beside the Tally.
type ClusterTotals struct {
	// Faults counts the harm done, by kind; Kills the nodes killed.
	Faults map[FaultKind]int64 `json:"faults"`
	Kills  int64               `json:"nodes_killed"`
	// HealMax is the longest time from a fault made good to a whole cluster that
	// takes writes.
	HealMax time.Duration `json:"heal_max_ns"`
	// Appends counts appends that were refused because their author was no
	// longer the owner, Mail what was refused before it came so far.
	Appends int64 `json:"stale_appends_refused"`
	Mail    int64 `json:"stale_mail_refused"`
	// Gaps are the times without an acknowledged write after a leader was
	// killed.
	Gaps Gaps `json:"gaps"`
	// Posted and Late are set when nothing is answered: messages begun at the rate, and those that had to wait for a customer.
	Posted int64 `json:"posted,omitempty"`
	Late   int64 `json:"late,omitempty"`
	// CatchUp is set when a node was made to catch up.
	CatchUp *CatchUp `json:"catch_up,omitempty"`
}

func newClusterTotals() *ClusterTotals { return &ClusterTotals{Faults: map[FaultKind]int64{}} }

func (c *ClusterTotals) add(other *ClusterTotals) {
	for k, n := range other.Faults {
		c.Faults[k] += n
	}
	c.Kills += other.Kills
	c.HealMax = max(c.HealMax, other.HealMax)
	c.Appends += other.Appends
	c.Mail += other.Mail
	c.Gaps.add(other.Gaps)
	c.Posted += other.Posted
	c.Late += other.Late
	if other.CatchUp != nil {
		if c.CatchUp == nil {
			c.CatchUp = newCatchUp()
		}
		c.CatchUp.add(other.CatchUp)
	}
}

// lacking lists what a finished run must have met and has not: a run without a
// partition says nothing about partitions.
func (r *Report) lacking(leadersOnly bool) []string {
	var out []string
	for _, k := range FaultKinds() {
		if r.Cluster.Faults[k] == 0 && (!leadersOnly || k == KillLeader) {
			out = append(out, string(k))
		}
	}
	if leadersOnly {
		return out
	}
	for what, n := range map[string]int64{"stale-append-refused": r.Cluster.Appends,
		"post-to-minority": r.Tally.Chances[ChanceMinority], "history": r.Tally.Chances[ChanceOperations]} {
		if n == 0 {
			out = append(out, what)
		}
	}
	return out
}

func (r *Report) textCluster(b *strings.Builder) {
	c, t := r.Cluster, r.Tally
	fmt.Fprintf(b, "chumi torture of a cluster, build %.12s (%s), seeds %v, %d segments in %v\n",
		r.Build.SHA256, r.Build.Commit, r.Seeds, r.Segments, r.Took.Round(time.Second))
	fmt.Fprintf(b, "%d nodes killed; longest start %v, longest healing %v, longest drain %v\n",
		c.Kills, r.ReadyMax.Round(time.Millisecond), c.HealMax.Round(time.Millisecond), r.DrainMax.Round(100*time.Millisecond))
	for _, k := range FaultKinds() {
		if n := c.Faults[k]; n > 0 {
			fmt.Fprintf(b, "  fault    %-18s %5d\n", k, n)
		}
	}
	if len(r.Skipped) > 0 {
		fmt.Fprintf(b, "never happened: %s\n", strings.Join(r.Skipped, ", "))
	}
	gap := func(what string, v []time.Duration) {
		if len(v) > 0 {
			fmt.Fprintf(b, "  %-28s p50 %v, p99 %v, max %v, of %d kills of leaders\n", what, quantile(v, 0.5).Round(time.Millisecond),
				quantile(v, 0.99).Round(time.Millisecond), quantile(v, 1).Round(time.Millisecond), len(v))
		}
	}
	gap("first write again after", c.Gaps.First)
	gap("every group again after", c.Gaps.Last)
	if c.Posted > 0 {
		fmt.Fprintf(b, "  %d messages posted at a rate, %d of them late because every customer waited\n", c.Posted, c.Late)
	}
	if c.CatchUp != nil {
		c.CatchUp.text(b)
	}
	fmt.Fprintf(b, "  %d operations in histories of clients\n", t.Chances[ChanceOperations])
	fmt.Fprintf(b, "  refused from earlier owners: %d appends, and %d mail before it came so far\n", c.Appends, c.Mail)
	r.textPromises(b)
}
