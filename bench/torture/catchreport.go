package torture

import (
	"fmt"
	"strings"
	"time"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// CatchUp is what became of a node that missed commits.
type CatchUp struct {
	// Misses counts how often it was made to miss some, Missed the commits that
	// the others' metrics counted meanwhile, MissedMost the most at once.
	Misses     int64 `json:"misses"`
	Missed     int64 `json:"missed_commits"`
	MissedMost int64 `json:"missed_at_once_max"`
	// Kills counts deaths by step of taking in a snapshot, Unreached starts that
	// came to an end without meeting theirs.
	Kills     map[string]int64 `json:"kills"`
	Unreached map[string]int64 `json:"unreached,omitempty"`
	// Snapshots are those that a sender was told of being installed.
	Snapshots     int64 `json:"snapshots_installed"`
	SnapshotBytes int64 `json:"snapshot_bytes_sent"`
	// Last is the catch-up that was not disturbed.
	Last LastCatchUp `json:"last"`
	// Memory is the most that processes needed, by phase.
	Memory []Peak `json:"memory,omitempty"`
}

// LastCatchUp is how a node caught up that nobody killed.
type LastCatchUp struct {
	// Took is from the start of the process to a whole cluster.
	Took      time.Duration `json:"took_ns"`
	Snapshots int64         `json:"snapshots"`
	Bytes     int64         `json:"bytes"`
	// Commits and Acked are the traffic's meanwhile: commits of the others, and
	// webhooks acknowledged.
	Commits int64 `json:"commits"`
	Acked   int64 `json:"acknowledged"`
}

func newCatchUp() *CatchUp { return &CatchUp{Kills: map[string]int64{}, Unreached: map[string]int64{}} }

func (c *CatchUp) missed(commits int64) {
	c.Misses++
	c.Missed += commits
	c.MissedMost = max(c.MissedMost, commits)
}

// killed is the number of deaths at a step.
func (c *CatchUp) killed() int64 {
	n := int64(0)
	for _, k := range c.Kills {
		n += k
	}
	return n
}

// add adds up; of the last catch-ups the slowest stays.
func (c *CatchUp) add(other *CatchUp) {
	c.Misses += other.Misses
	c.Missed += other.Missed
	c.MissedMost = max(c.MissedMost, other.MissedMost)
	for p, n := range other.Kills {
		c.Kills[p] += n
	}
	for p, n := range other.Unreached {
		c.Unreached[p] += n
	}
	c.Snapshots += other.Snapshots
	c.SnapshotBytes += other.SnapshotBytes
	if other.Last.Took > c.Last.Took {
		c.Last = other.Last
	}
	for _, p := range other.Memory {
		c.Memory = highest(c.Memory, p)
	}
}

// lackingCatchUp lists what a run that made a node catch up must have met and has
// not: without a snapshot nothing was tested.
func (r *Report) lackingCatchUp(o Options) []string {
	c := r.Cluster.CatchUp
	if c == nil {
		return []string{"catch-up"}
	}
	var out []string
	for _, p := range failpoint.ClusterPoints() {
		if c.Kills[string(p)] == 0 {
			out = append(out, string(p))
		}
	}
	for _, must := range []struct {
		what        string
		least, most int64
	}{{"kills", int64(o.CatchUp), c.killed()}, {"missed commits", int64(o.Missed), c.MissedMost}, {"snapshots", 1, c.Snapshots},
		{"snapshots of the last catch-up", 1, c.Last.Snapshots}} {
		if must.most < must.least {
			out = append(out, fmt.Sprintf("%d %s", must.least, must.what))
		}
	}
	return out
}

const mib = 1 << 20

func (c *CatchUp) text(b *strings.Builder) {
	fmt.Fprintf(b, "  a node missed %d commits in %d times, %d at once, and was killed %d times taking in snapshots\n",
		c.Missed, c.Misses, c.MissedMost, c.killed())
	for _, p := range failpoint.ClusterPoints() {
		fmt.Fprintf(b, "  kill     %-20s %5d", p, c.Kills[string(p)])
		if missed := c.Unreached[string(p)]; missed > 0 {
			fmt.Fprintf(b, "  (%d times not reached)", missed)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "  %d snapshots installed and answered for, %d MiB sent; each group keeps %d entries\n", c.Snapshots, c.SnapshotBytes/mib, catchUpLog)
	if l := c.Last; l.Took > 0 {
		fmt.Fprintf(b, "  the last catch-up took %v: %d snapshots, %d MiB, while %.0f commits a second were made and %.0f webhooks acknowledged\n",
			l.Took.Round(10*time.Millisecond), l.Snapshots, l.Bytes/mib, float64(l.Commits)/l.Took.Seconds(), float64(l.Acked)/l.Took.Seconds())
	}
	for _, p := range c.Memory {
		fmt.Fprintf(b, "  memory   %-20s %-12s resident at most %4d MiB, anonymous %4d MiB\n", p.Phase, p.Side, p.RSS/mib, p.Anon/mib)
	}
}
