package persistence

import (
	"context"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
)

// Usage sums what was counted from the day from until the day to, both included, as
// 2026-11-27 in UTC.
func (v *Views) Usage(ctx context.Context, id chat.TenantID, from, to string) (map[chat.UsageKey]chat.UsageSum, error) {
	t, err := v.store.tenantAt(id)
	if err != nil {
		return nil, err
	}
	sums := map[chat.UsageKey]chat.UsageSum{}
	for _, word := range chat.UsageWords {
		// Every counter of a day is before the one of a day and a byte above the slash.
		lower, upper := t.realm.counter(nil, word+"/"+from), t.realm.counter(nil, word+"/"+to+"0")
		if err := v.counters(ctx, lower, upper, len(t.realm.counter(nil, "")), func(name string, n int64) {
			parts := strings.SplitN(name, "/", 4)
			if len(parts) < 3 {
				return
			}
			key := chat.UsageKey{Day: parts[1], Channel: chat.ChannelID(parts[2])}
			if len(parts) == 4 {
				key.Assistant = chat.AssistantRef(parts[3])
			}
			sum := sums[key]
			sum.Add(word, n)
			sums[key] = sum
		}); err != nil {
			return nil, err
		}
	}
	return sums, t.group.settle(ctx)
}

// counters visits counters between two keys.
func (v *Views) counters(ctx context.Context, lower, upper []byte, head int, visit func(name string, n int64)) error {
	const op = "views.Usage"
	it, err := v.store.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return chat.E(op, chat.KindOther, "cannot read the counters", err)
	}
	defer func() { _ = it.Close() }()
	for it.First(); it.Valid(); it.Next() {
		if ctx.Err() != nil {
			return chat.E(op, chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
		}
		n, err := readCounter(it.Value())
		if err != nil {
			return err
		}
		visit(string(it.Key()[head:]), n)
	}
	if err := it.Error(); err != nil {
		return chat.E(op, chat.KindOther, "cannot read the counters", err)
	}
	return nil
}
