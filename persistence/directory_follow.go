package persistence

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Follow takes in what other nodes change, until ctx ends. What this node changes
// is seen without it.
func (d *Directory) Follow(ctx context.Context) error {
	for {
		moved := d.vault.store.meta.settled.wait()
		if err := d.reload(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return nil
		}
	}
}

// Changed returns a channel that closes when the directory changes next. Take it
// before looking at what is followed.
func (d *Directory) Changed() <-chan struct{} { return d.replaced.wait() }

// freshFor is how long a directory that was read from the metadata group passes
// for the newest. Whoever looks for what does not exist, as webhooks of unknown
// accounts do, asks the group once in that time and no more.
const freshFor = time.Second

// Refresh returns when the directory holds every change that was made up to
// freshFor before the call. barrier returns when this node has applied all that
// was committed in a group, on any node, when it was called; its errors are
// returned. One caller asks, those that come meanwhile use the answer.
func (d *Directory) Refresh(ctx context.Context, barrier func(ctx context.Context, g chat.Group) error) error {
	select {
	case d.refreshing <- struct{}{}:
		defer func() { <-d.refreshing }()
	case <-ctx.Done():
		return chat.E("directory.Refresh", chat.KindUnavailable, "the metadata group did not answer in time", context.Cause(ctx))
	}
	now := d.vault.store.opts.Clock()
	if age := now.Sub(d.asked); age >= 0 && age < freshFor {
		return nil
	}
	if err := barrier(ctx, groupMeta); err != nil {
		return err
	}
	if err := d.reload(ctx); err != nil {
		return err
	}
	d.asked = now
	return nil
}

// reload takes in the directory as this node's replica has it by now, if that is
// newer. What was read is seen once it is durable.
func (d *Directory) reload(ctx context.Context) error {
	version, err := d.vault.version()
	if err != nil || version <= d.table.Load().version {
		return err
	}
	t, err := d.vault.loadTable()
	if err != nil {
		return err
	}
	if err := d.vault.store.meta.settle(ctx); err != nil {
		return err
	}
	d.adopt(t)
	return nil
}

// adopt makes t the directory unless that is as new: what this node was answered
// may be newer than what its replica has, and the other way about.
func (d *Directory) adopt(t *table) {
	d.adopting.Lock()
	defer d.adopting.Unlock()
	if t.version <= d.table.Load().version {
		return
	}
	d.table.Store(t)
	d.replaced.wake()
}

// newer waits until this node's replica has a directory above version, and takes
// it in.
func (d *Directory) newer(ctx context.Context, version uint64) error {
	for {
		moved := d.vault.store.meta.settled.wait()
		if err := d.reload(ctx); err != nil {
			return err
		}
		if d.table.Load().version > version {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return chat.E("directory.Change", chat.KindUnavailable,
				"another node has changed the directory and this one has not learned of it; repeat", context.Cause(ctx))
		}
	}
}
