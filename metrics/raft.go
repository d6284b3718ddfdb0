package metrics

import "github.com/prometheus/client_golang/prometheus"

// Raft is what the replicas of a node report about the groups they are members of.
// Groups and nodes are not labels: `chumi cluster status` tells which.
type Raft struct {
	// Groups is groups by what this node is in them: leading, following, leaderless
	// (nobody is known to lead).
	Groups *prometheus.GaugeVec
	// Changes counts groups that this node began to lead or ceased to.
	Changes prometheus.Counter
	// Term is the highest of all groups.
	Term prometheus.Gauge
	// Behind is the most entries that a member of a group led here lacks; Silent is
	// members of groups led here that are not heard of.
	Behind, Silent prometheus.Gauge
	// Unapplied is the most entries that a group here has and did not apply; Log the most
	// that one keeps.
	Unapplied, Log prometheus.Gauge
	// Waiting is commits that wait for their entry.
	Waiting prometheus.Gauge
}

func newRaft(reg prometheus.Registerer) Raft {
	r := Raft{
		Groups:    gauges(reg, "chumi_raft_groups", "Groups by what this node is in them.", "state"),
		Changes:   counter(reg, "chumi_raft_leader_changes_total", "Groups that this node began to lead or ceased to."),
		Term:      gauge(reg, "chumi_raft_term", "The highest term of all groups."),
		Behind:    gauge(reg, "chumi_raft_follower_behind_entries", "Most entries that a member of a group led here lacks."),
		Silent:    gauge(reg, "chumi_raft_followers_silent", "Members of groups led here that are not heard of."),
		Unapplied: gauge(reg, "chumi_raft_unapplied_entries", "Most entries that a group here has and did not apply."),
		Log:       gauge(reg, "chumi_raft_log_entries", "Most entries that the log of a group here keeps."),
		Waiting:   gauge(reg, "chumi_commits_waiting", "Commits that wait to be proposed."),
	}
	for _, state := range []string{"leading", "following", "leaderless"} {
		r.Groups.WithLabelValues(state)
	}
	return r
}
