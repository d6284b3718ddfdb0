package main

import (
	"io"
	"log/slog"
	"os"

	"github.com/chumiai/chumi/metrics"
)

// newLog builds the engine's log: text on a terminal and JSON elsewhere, unless
// the configuration says otherwise. Secrets and personal data are cut out.
func newLog(w io.Writer, c LogConfig) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo,
		"warn": slog.LevelWarn, "error": slog.LevelError}
	text := c.Format == "text" || c.Format == "auto" && isTerminal(w)
	return slog.New(metrics.NewLogHandler(w, text, levels[c.Level]))
}

// isTerminal reports whether w is a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
