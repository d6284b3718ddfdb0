package metrics

import "github.com/prometheus/client_golang/prometheus"

// SelfCheck is what a running node finds when it holds what it has stored against its
// promises, and what it owes. All but Overdue, Oldest and Rows are of the latest pass
// over every group that the node leads.
type SelfCheck struct {
	// Violations is conversations that break a promise by its word: accept_outcome,
	// intent_end, turn_bill, silence; stored is of everything else that is.
	Violations *prometheus.GaugeVec
	// Passed is when the latest pass ended, Pass how long it took.
	Passed, Pass prometheus.Gauge
	// Rows counts rows looked at.
	Rows prometheus.Counter
	// Owed is what is owed by kind: turn, send, unknown_send, file.
	Owed *prometheus.GaugeVec
	// Overdue is due rows of the agenda, counted up to a bound; Oldest is how late the
	// first one is.
	Overdue, Oldest prometheus.Gauge
}

// Promises are the words of SelfCheck.Violations, Debts those of SelfCheck.Owed.
var (
	Promises = []string{"accept_outcome", "intent_end", "turn_bill", "silence", "stored"}
	Debts    = []string{"turn", "send", "unknown_send", "file"}
)

func newSelfCheck(reg prometheus.Registerer) SelfCheck {
	c := SelfCheck{
		Violations: gauges(reg, "chumi_selfcheck_violations", "Conversations that break a promise, by promise, in the latest pass.", "invariant"),
		Passed:     gauge(reg, "chumi_selfcheck_last_pass_timestamp_seconds", "When the latest pass of the self-check ended, in Unix time; 0 before the first."),
		Pass:       gauge(reg, "chumi_selfcheck_pass_seconds", "How long the latest pass of the self-check took."),
		Rows:       counter(reg, "chumi_selfcheck_rows_total", "Rows that the self-check looked at."),
		Owed:       gauges(reg, "chumi_owed", "What is owed to customers by kind, in the latest pass of the self-check.", "kind"),
		Overdue:    gauge(reg, "chumi_agenda_overdue", "Conversations whose due time has passed, counted up to 1,000 of each group."),
		Oldest:     gauge(reg, "chumi_agenda_oldest_overdue_seconds", "How late the oldest due row is; 0 when nothing is due."),
	}
	for _, p := range Promises {
		c.Violations.WithLabelValues(p)
	}
	for _, d := range Debts {
		c.Owed.WithLabelValues(d)
	}
	return c
}
