package persistence

import (
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/metrics"
)

// exit is the default Options.Fatal: the reason is in the log already.
func exit(string) { os.Exit(1) }

// engineLogger gives Pebble's messages to slog. Keys in them are printed by
// prettyKey, values never are, so no personal data passes.
type engineLogger struct {
	log   *slog.Logger
	fatal func(reason string)
	met   *metrics.Pebble
	// stalled is when writes began to stall, in nanoseconds; 0 while they do not.
	stalled atomic.Int64
}

// Infof implements pebble.Logger.
func (l *engineLogger) Infof(format string, args ...any) {
	l.log.Debug("store engine", "detail", fmt.Sprintf(format, args...))
}

// Errorf implements pebble.Logger.
func (l *engineLogger) Errorf(format string, args ...any) {
	l.log.Error("store engine", "detail", fmt.Sprintf(format, args...))
}

// Fatalf implements pebble.Logger. Pebble calls it when a write of the log
// failed: nothing may be acknowledged any more, so the process ends.
func (l *engineLogger) Fatalf(format string, args ...any) {
	reason := fmt.Sprintf(format, args...)
	l.log.Error("the store cannot go on", "detail", reason)
	l.fatal(reason)
}

// listener reports what an operator must hear of, and ends the process when
// stored bytes are not what was written.
func (l *engineLogger) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			l.log.Error("store engine: background work failed", "err", err)
		},
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			l.Fatalf("stored data is corrupt: %s", info)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			l.log.Warn("store engine: writes stall", "reason", info.Reason)
			l.met.Stalls.Inc()
			l.stalled.Store(time.Now().UnixNano())
		},
		WriteStallEnd: func() {
			l.log.Info("store engine: writes go on")
			if began := l.stalled.Swap(0); began != 0 {
				l.met.Stalled.Add(time.Since(time.Unix(0, began)).Seconds())
			}
		},
		PossibleAPIMisuse: func(info pebble.PossibleAPIMisuseInfo) {
			l.log.Error("store engine: possible misuse", "detail", info.String())
		},
	}
}
