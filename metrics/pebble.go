package metrics

import "github.com/prometheus/client_golang/prometheus"

// Pebble is what the store engine reports. The gauges are looked at now and then.
type Pebble struct {
	// L0Files and L0Sublevels are of the level that flushes fill; ReadAmp is how many
	// tables a look-up may have to ask.
	L0Files, L0Sublevels, ReadAmp prometheus.Gauge
	// Debt is bytes that compactions have still to move; Compactions is those under way.
	Debt, Compactions prometheus.Gauge
	// Disk is bytes of all files, Log those of the write-ahead log, MemTables those in
	// memory that are not flushed, Cache those of cached blocks.
	Disk, Log, MemTables, Cache prometheus.Gauge
	// Stalls counts the times that writes had to wait for flushes or compactions;
	// Stalled the time they did.
	Stalls, Stalled prometheus.Counter
}

func newPebble(reg prometheus.Registerer) Pebble {
	return Pebble{
		L0Files:     gauge(reg, "chumi_pebble_l0_files", "Tables in the level that flushes fill."),
		L0Sublevels: gauge(reg, "chumi_pebble_l0_sublevels", "Layers of overlapping tables in that level."),
		ReadAmp:     gauge(reg, "chumi_pebble_read_amplification", "Tables that a look-up may have to ask."),
		Debt:        gauge(reg, "chumi_pebble_compaction_debt_bytes", "Bytes that compactions have still to move."),
		Compactions: gauge(reg, "chumi_pebble_compactions_in_flight", "Compactions under way."),
		Disk:        gauge(reg, "chumi_pebble_disk_bytes", "Bytes of all files of the store."),
		Log:         gauge(reg, "chumi_pebble_log_bytes", "Bytes of the write-ahead log on the disk."),
		MemTables:   gauge(reg, "chumi_pebble_memtable_bytes", "Bytes in memory that are not flushed."),
		Cache:       gauge(reg, "chumi_pebble_cache_bytes", "Bytes of cached blocks."),
		Stalls:      counter(reg, "chumi_pebble_write_stalls_total", "Times that writes had to wait for flushes or compactions."),
		Stalled:     counter(reg, "chumi_pebble_write_stall_seconds_total", "Time that writes had to wait for flushes or compactions."),
	}
}
