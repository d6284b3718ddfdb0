package persistence

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Quarantine keeps, durably and sealed, the updates no tenant can be given:
// accounts without a channel, and what could not be decoded. Once a channel is
// bound its items are delivered again and removed.
//
// It lies in the group of the app and is written beside the journal: nothing of
// a tenant depends on it. Safe for concurrent use.
type Quarantine struct{ vault *vault }

// Quarantine returns the quarantine of the directory's store.
func (d *Directory) Quarantine() *Quarantine { return &Quarantine{vault: d.vault} }

// Held is one item of the quarantine.
type Held struct {
	// ID names the item within its app: 32 hexadecimal characters.
	ID     string
	App    chat.AppID
	Reason string
	Kept   time.Time
	// Inbound is the update as it was decoded, owned by the caller.
	Inbound chat.Inbound
}

// Keep stores one update. It is durable when Keep returns; keeping the same
// update again changes nothing.
func (q *Quarantine) Keep(ctx context.Context, app chat.AppID, reason string, in *chat.Inbound, now time.Time) error {
	const op = "quarantine.Keep"
	if !validWord(string(app)) {
		return chat.E(op, chat.KindInvalid, "the app id cannot stand in a key", nil)
	}
	if q.vault.store.opts.ReadOnly {
		return chat.E(op, chat.KindUnavailable, "the store is open for reading only", nil)
	}
	record := inboundRecord(in)
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(record)
	if err != nil {
		return chat.E(op, chat.KindInvalid, "an update cannot be encoded", nil)
	}
	at := q.key(app, q.vault.pepper.Hash(hashQuarantine, string(content)))
	sealed, err := q.vault.seal(at, &recordpb.QuarantineItem{
		App: string(app), Reason: reason, KeptMs: millis(now), Inbound: record})
	if err != nil {
		return err
	}
	err = q.vault.store.write(ctx, q.Group(app), []*recordpb.Write{{Key: at, Value: sealed, Fresh: true}})
	switch {
	case err == nil:
		q.vault.store.opts.Metrics.Quarantined.WithLabelValues(reason).Inc()
	case chat.KindOf(err) == chat.KindConflict:
		return nil
	}
	return err
}

// Pending returns up to max items of an app, those after the item named by
// after ("" for the first), and the name to go on from, "" at the end.
func (q *Quarantine) Pending(app chat.AppID, after string, max int) (items []Held, next string, err error) {
	const op = "quarantine.Pending"
	head := appendWord(appendSection(nil, q.Group(app), sectionQuarantine), string(app))
	lower := head
	if after != "" {
		f, err := hex.DecodeString(after)
		if err != nil || len(f) != idLen {
			return nil, "", chat.E(op, chat.KindInvalid, "not the name of an item", nil)
		}
		lower = append(append(head[:len(head):len(head)], f...), 0)
	}
	it, err := q.vault.store.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: prefixEnd(head)})
	if err != nil {
		return nil, "", chat.E(op, chat.KindOther, "cannot read the quarantine", err)
	}
	defer func() { _ = it.Close() }()
	for it.First(); it.Valid(); it.Next() {
		if len(items) == max {
			return items, items[max-1].ID, nil
		}
		h, err := q.held(it.Key(), it.Value(), len(head))
		if err != nil {
			return nil, "", err
		}
		items = append(items, h)
	}
	if err := it.Error(); err != nil {
		return nil, "", chat.E(op, chat.KindOther, "cannot read the quarantine", err)
	}
	return items, "", nil
}

// Remove forgets an item, durably. Removing one that is not there is no error.
func (q *Quarantine) Remove(ctx context.Context, app chat.AppID, id string) error {
	const op = "quarantine.Remove"
	f, err := hex.DecodeString(id)
	if err != nil || len(f) != idLen {
		return chat.E(op, chat.KindInvalid, "not the name of an item", nil)
	}
	if q.vault.store.opts.ReadOnly {
		return chat.E(op, chat.KindUnavailable, "the store is open for reading only", nil)
	}
	return q.vault.store.write(ctx, q.Group(app), []*recordpb.Write{{Key: q.key(app, id16(f)), Delete: true}})
}

// held opens one row whose fingerprint starts at byte at of its key.
func (q *Quarantine) held(key, value []byte, at int) (Held, error) {
	var r recordpb.QuarantineItem
	if err := q.vault.open(key, value, &r); err != nil {
		return Held{}, err
	}
	return Held{
		ID: hex.EncodeToString(key[at:]), App: chat.AppID(r.GetApp()), Reason: r.GetReason(),
		Kept: timeOf(r.GetKeptMs()), Inbound: inboundFrom(r.GetInbound()),
	}, nil
}

func (q *Quarantine) key(app chat.AppID, f id16) []byte {
	return appendQuarantine(nil, q.Group(app), app, f)
}

// Group is where an app's items are.
func (q *Quarantine) Group(app chat.AppID) chat.Group {
	return groupOf(app, q.vault.store.Groups())
}
