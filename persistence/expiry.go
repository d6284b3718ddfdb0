package persistence

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

const (
	// sweepEvery is how often claims are looked at; they expire by the day.
	sweepEvery = time.Hour
	// sweepMax bounds the claims forgotten in one commit.
	sweepMax = 1000
	// clockJump is how far the wall clock may run away from the monotonic one
	// before forgetting stops: a clock set to next month must not drop a dedupe
	// row that is still needed.
	clockJump = time.Hour
)

// sweepClaims forgets claims past their day until the store closes.
func (s *Store) sweepClaims() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	watch := newStepWatch(s.opts.Clock(), time.Now())
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		now := s.opts.Clock()
		if ahead := watch.ahead(now, time.Now()); ahead > clockJump {
			s.opts.Logger.Error("the clock jumped ahead; nothing is forgotten until a restart", "by", ahead)
			return
		}
		if err := s.forgetClaims(ctx, now); err != nil {
			s.opts.Logger.Warn("claims were not forgotten; the next sweep tries again", "err", err)
		}
	}
}

// stepWatch tells a wall clock that was set from time that passed.
type stepWatch struct {
	// wall is what the wall clock said, without a monotonic reading: with one, times
	// are subtracted by that, and no step of the clock would show. from has it.
	wall, from time.Time
}

func newStepWatch(wall, from time.Time) stepWatch { return stepWatch{wall.Round(0), from} }

// ahead is how much further the wall clock went than time did.
func (w stepWatch) ahead(wall, now time.Time) time.Duration {
	return wall.Round(0).Sub(w.wall) - now.Sub(w.from)
}

// forgetClaims deletes the claims whose last day is over at now, in the groups that
// this node leads. The deletions are fenced: another node may have forgotten a
// claim that was made again since, and one that lags would take the new one for
// the old.
func (s *Store) forgetClaims(ctx context.Context, now time.Time) error {
	today := now.Unix() / (24 * 60 * 60)
	if today <= 0 {
		return nil
	}
	for _, g := range s.groups {
		for epoch := g.epoch.Load(); epoch != 0; {
			rows, err := s.expired(g.id, uint32(today), sweepMax)
			if err != nil {
				return err
			}
			if len(rows) == 0 {
				break
			}
			if err := g.write(ctx, &recordpb.Commit{Epoch: epoch, Writes: rows}); err != nil {
				return err
			}
		}
	}
	return nil
}

// expired lists deletions of up to max claims of g with a day before today,
// each with its index row.
func (s *Store) expired(g chat.Group, today uint32, max int) ([]*recordpb.Write, error) {
	const op = "persistence.expired"
	lower := appendExpiryPrefix(nil, g)
	upper := binary.BigEndian.AppendUint32(appendExpiryPrefix(nil, g), today)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, chat.E(op, chat.KindOther, "cannot read the expiry index", err)
	}
	defer it.Close()
	var rows []*recordpb.Write
	for ok := it.First(); ok && len(rows) < 2*max; ok = it.Next() {
		_, tenant, h, fine := parseExpiry(it.Key())
		if !fine {
			return nil, chat.E(op, chat.KindCorrupt, "an expiry row is unreadable", nil)
		}
		rows = append(rows,
			&recordpb.Write{Key: realmOf(g, tenant).claim(nil, h), Delete: true},
			&recordpb.Write{Key: append([]byte(nil), it.Key()...), Delete: true})
	}
	if err := it.Error(); err != nil {
		return nil, chat.E(op, chat.KindCorrupt, "cannot read the expiry index", err)
	}
	return rows, nil
}
