package metrics

import "github.com/prometheus/client_golang/prometheus"

// Journal is what persistence reports.
type Journal struct {
	// Commits counts commits by answer.
	Commits *Words
	// Append is the time a caller waits; Sync the time of one durable write.
	Append, Sync prometheus.Histogram
	// Batch is commits per durable write; BatchBytes counts bytes written to the log.
	Batch      prometheus.Histogram
	BatchBytes prometheus.Counter
	// Events counts events stored by kind.
	Events *Words
	// Quarantined counts items kept aside by reason.
	Quarantined *prometheus.CounterVec
	// DiskFree is free bytes of the data directory's file system; DiskReserved
	// is 1 while the reserve is reached and writes are refused.
	DiskFree, DiskReserved prometheus.Gauge
	// Format is the active format as this node knows it, FormatNewest the newest one
	// that its build knows.
	Format, FormatNewest prometheus.Gauge

	Pebble    Pebble
	Raft      Raft
	SelfCheck SelfCheck
}

func newJournal(reg prometheus.Registerer) Journal {
	j := Journal{
		Commits:      words(reg, "chumi_commits_total", "Commits by answer.", "answer"),
		Append:       histogram(reg, "chumi_append_seconds", "Time an append waits until it is answered."),
		Sync:         histogram(reg, "chumi_sync_seconds", "Time of one durable write."),
		BatchBytes:   counter(reg, "chumi_commit_bytes_total", "Bytes of committed batches."),
		Events:       words(reg, "chumi_events_total", "Events stored by kind.", "kind"),
		Quarantined:  counters(reg, "chumi_quarantined_total", "Items kept aside by reason.", "reason"),
		DiskFree:     gauge(reg, "chumi_disk_free_bytes", "Free bytes of the data directory's file system."),
		DiskReserved: gauge(reg, "chumi_disk_reserved", "1 while the disk reserve is reached and writes are refused."),
		Format:       gauge(reg, "chumi_format", "The format that is written: the cluster's active one, as this node knows it."),
		FormatNewest: gauge(reg, "chumi_format_newest", "The newest format that this build knows."),
		Pebble:       newPebble(reg),
		Raft:         newRaft(reg),
		SelfCheck:    newSelfCheck(reg),
	}
	j.Batch = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "chumi_commit_batch_commits", Help: "Commits per durable write.",
		Buckets: []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512}})
	reg.MustRegister(j.Batch)
	for _, a := range []string{"applied", "duplicate", "wrong_seq", "stale_epoch", "limit_reached", "unknown"} {
		j.Commits.WithLabelValues(a)
	}
	seed(j.Quarantined, "unknown_account", "panic")
	return j
}
