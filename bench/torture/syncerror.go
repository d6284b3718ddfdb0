package torture

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
)

const (
	// syncsMax bounds the sync of the log that fails, startSyncsMax that of any file
	// while an engine starts.
	syncsMax, startSyncsMax = 300, 14
	// syncsIn is how long so many syncs may take.
	syncsIn = 60 * time.Second
	// endIn is how soon an engine must have ended after a sync failed.
	endIn = 10 * time.Second
	// mourning is how long POSTs are still tried at an engine that has ended.
	mourning = 300 * time.Millisecond
)

// syncError lets a sync of the log fail under load or, in every fourth trial, one
// of any file while the engine starts.
func syncError(ctx context.Context, x *ordeal) error {
	order := failpoint.Order{SyncError: 1 + x.r.Int64N(syncsMax)}
	var number int64
	starting := x.number%4 == 3
	if starting {
		order = failpoint.Order{SyncError: 1 + x.r.Int64N(startSyncsMax), AnyFile: true}
		n, err := x.orders.set(order)
		if err != nil {
			return err
		}
		number = n
	}
	died := (*child.DiedError)(nil)
	if err := x.up(ctx); err != nil && (!starting || !errors.As(err, &died)) {
		return err
	}
	if !starting {
		x.busy(ctx, 500*time.Millisecond)
		taken, err := x.orders.give(ctx, order)
		if err != nil {
			return err
		}
		number = taken.Number
	}
	failed, ok := x.orders.await(ctx, number, syncsIn, failpoint.NoteFailed)
	if !ok {
		x.v.Outcomes["the sync was never reached"]++
		x.down()
		_, err := x.orders.set(failpoint.Order{})
		return err
	}
	o := afterError{failed: failed.Time, ended: died != nil || x.gone(ctx, endIn), table: onlyTables(x.orders.notes(number))}
	pause(ctx, mourning)
	o.after = x.answers.begun(o.failed, time.Time{})
	switch {
	case died != nil:
		x.v.Outcomes["ended while it started"]++
	case o.ended:
		x.v.took("from the failed sync to the end", time.Since(failed.Time)-mourning)
		x.v.Outcomes["ended by itself under load"]++
	default:
		x.v.Outcomes["went on without a table that it can write again"]++
		x.down()
	}
	o.judge(x.out)
	_, err := x.orders.set(failpoint.Order{})
	return err
}

// onlyTables reports whether syncs failed of tables alone: what is in them is in
// the log still, and a new table is written.
func onlyTables(notes []failpoint.Note) bool {
	tables := false
	for _, n := range notes {
		if n.What != failpoint.NoteFailed {
			continue
		}
		if !strings.HasSuffix(n.File, ".sst") {
			return false
		}
		tables = true
	}
	return tables
}

// afterError is what was seen of an engine whose sync failed.
type afterError struct {
	failed time.Time
	// ended is true when the process did; table when only a table was concerned.
	ended, table bool
	// after are POSTs that began later.
	after []exchange
}

func (o *afterError) judge(t *Tally) {
	t.Chances[ChanceSyncErrors]++
	if !o.ended && !o.table {
		t.breach(Outlived, "an engine ran on %v after a sync failed", endIn)
	}
	if o.table {
		return
	}
	for _, a := range o.after {
		if a.again {
			continue
		}
		t.Chances[ChanceAfterError]++
		if a.status == 200 {
			t.breach(AckedAfterError, "posted %v after a sync had failed, and answered 200", a.began.Sub(o.failed))
		}
	}
}

// lyingDisk has syncs say that all is well, and cuts the power.
func lyingDisk(ctx context.Context, x *ordeal) error {
	x.busy(ctx, 500*time.Millisecond)
	taken, err := x.orders.give(ctx, failpoint.Order{SyncError: 1 + x.r.Int64N(20), Lie: true})
	if err != nil {
		return err
	}
	if _, ok := x.orders.await(ctx, taken.Number, syncsIn, failpoint.NoteLied); !ok {
		return errors.New("torture: the disk was not asked to sync")
	}
	pause(ctx, time.Second)
	x.down()
	if err := x.orders.powerCut(taken.Number); err != nil {
		return err
	}
	_, err = x.orders.set(failpoint.Order{})
	return err
}
