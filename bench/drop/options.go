package drop

import (
	"errors"
	"io"
	"time"
)

// Options configures Run. Share is required; the zero value of the rest is usable.
type Options struct {
	// Binary is the chumi executable; empty means this process's own. Commit is
	// what it was built from, for the report.
	Binary, Commit string
	// Dir is where data directories are made; empty means the system's temporary
	// directory. Those of red segments are kept.
	Dir string
	// Out is a file for the report as JSON; Resume one that holds the totals so
	// far and is written after every segment. Empty means none.
	Out, Resume string
	// Force takes totals of another build.
	Force bool
	// Log gets a line every few seconds. Can be nil.
	Log io.Writer

	// Share is the share of answers that are dropped, above 0 and below 1.
	Share float64
	// Messages is how many are written of each class, SegmentMessages how many of
	// them to one store.
	Messages, SegmentMessages int
	// Seed chooses whose answers are dropped.
	Seed uint64
	// ReconcileAfter is told to the engine.
	ReconcileAfter time.Duration

	// env is added to the engine's environment; tests plant bugs by it.
	env []string
}

// The defaults of Options, and what a segment is like.
const (
	DefaultMessages        = 100_000
	DefaultSegmentMessages = 20_000
	DefaultReconcileAfter  = time.Second

	// SettleMax is how long a send may be unknown after a report of it was
	// acknowledged.
	SettleMax = 60 * time.Second

	// Each tenant has a number and an account. With many the limit of what one
	// number may send does not make a run long; perConversation stays below what a
	// fresh sender grants one person in seconds.
	tenants         = 20
	perConversation = 4
	writers         = 32
	// quietMax bounds the wait for the last attempt.
	quietMax = 3 * time.Minute
)

// EnsureDefaults fills every unset field that has a default.
func (o *Options) EnsureDefaults() {
	if o.Messages == 0 {
		o.Messages = DefaultMessages
	}
	if o.SegmentMessages == 0 {
		o.SegmentMessages = DefaultSegmentMessages
	}
	o.SegmentMessages = min(o.SegmentMessages, o.Messages)
	if o.Seed == 0 {
		o.Seed = 1
	}
	if o.ReconcileAfter == 0 {
		o.ReconcileAfter = DefaultReconcileAfter
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
}

// Validate names the first option that makes no sense.
func (o *Options) Validate() error {
	switch {
	case o.Share <= 0 || o.Share >= 1:
		return errors.New("drop: the share of answers is above 0 and below 1")
	case o.Messages < 0 || o.SegmentMessages < perConversation || o.ReconcileAfter < 0:
		return errors.New("drop: messages and times are positive, and a segment has at least four messages")
	}
	return nil
}
