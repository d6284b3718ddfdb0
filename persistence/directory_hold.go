package persistence

import (
	"context"
	"time"

	"github.com/chumiai/chumi/persistence/recordpb"
)

// Hold says that a store was restored and must not act: what it owes may have been
// done since by the one it is a copy of. It takes in what comes, and nothing leaves.
type Hold struct {
	// Since is when it was restored.
	Since time.Time
	// Backup is what it was restored from.
	Backup string
}

func (h Hold) record() *recordpb.DirectoryHeld {
	return &recordpb.DirectoryHeld{SinceMs: millis(h.Since), Backup: h.Backup}
}

// Hold reports whether, and since when, the store must not act.
func (d *Directory) Hold() (Hold, bool) {
	h := d.table.Load().held
	return h, h != Hold{}
}

// Release lets a restored store act, for good and on every node. One that is not
// held stays as it is.
func (d *Directory) Release(ctx context.Context) error {
	return d.Change(ctx, func(c *Change) error {
		stored := c.old.held != Hold{}
		c.next.held = Hold{}
		c.row(directoryRow{kind: rowHeld}, !stored, nil)
		return nil
	})
}
