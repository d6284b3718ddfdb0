package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// brood is the children of one actor, in order of last use. It is the only
// sender of mail to them, which is what makes stopping one safe.
type brood struct {
	// spawn starts the actor of a key under its parent, named by the key.
	spawn func(ctx actor.Context, key string) *actor.PID
	// stop makes a child finish its queue and end.
	stop func(ctx actor.Context, pid *actor.PID)
	// heldMax bounds the mail held for one leaving child.
	heldMax int

	children       map[string]*child
	oldest, newest *child
}

// child is one entry of a brood. 40 bytes: a node holds 100,000 of them.
type child struct {
	pid          *actor.PID // its id ends in the child's key
	older, newer *child
	// held is mail that came while the child was leaving; nil for none.
	held *[]any
	// seconds of the clock at the last mail.
	seen    int32
	leaving bool
}

func newBrood(heldMax int, spawn func(actor.Context, string) *actor.PID, stop func(actor.Context, *actor.PID)) brood {
	return brood{spawn: spawn, stop: stop, heldMax: heldMax, children: make(map[string]*child)}
}

// deliver hands msg to the child of key, starting it if need be. started tells
// whether it did.
func (b *brood) deliver(ctx actor.Context, key string, msg any, now time.Time) (started bool) {
	c, ok := b.children[key]
	if !ok {
		c = b.start(ctx, key)
	}
	c.seen = int32(now.Unix())
	b.touch(c)
	if c.leaving {
		b.hold(c, msg)
		return false
	}
	ctx.Send(c.pid, msg)
	return !ok
}

func (b *brood) start(ctx actor.Context, key string) *child {
	pid := b.spawn(ctx, key)
	c := &child{pid: pid}
	b.children[keyOf(pid)] = c
	return c
}

// keyOf is the last segment of a child's id: the key it was started for.
func keyOf(pid *actor.PID) string { return pid.Id[strings.LastIndexByte(pid.Id, '/')+1:] }

func (b *brood) hold(c *child, msg any) {
	if c.held == nil {
		c.held = new([]any)
	}
	if m, ok := msg.(refusable); ok && len(*c.held) >= b.heldMax {
		m.refuse(errBusy)
		return
	}
	*c.held = append(*c.held, msg)
}

// leave makes a child stop after its queue.
func (b *brood) leave(ctx actor.Context, c *child) {
	if c.leaving {
		return
	}
	c.leaving = true
	b.stop(ctx, c.pid)
}

// leaveAll makes every child stop.
func (b *brood) leaveAll(ctx actor.Context) {
	for _, c := range b.children {
		b.leave(ctx, c)
	}
}

// ended forgets a child that has ended; ok is false for a stranger. The mail
// that was held for it is returned, to be delivered or refused.
func (b *brood) ended(pid *actor.PID) (c *child, held []any, ok bool) {
	c, ok = b.children[keyOf(pid)]
	if !ok || !c.pid.Equal(pid) {
		return nil, nil, false
	}
	delete(b.children, keyOf(pid))
	b.unlink(c)
	if c.held != nil {
		held = *c.held
	}
	return c, held, true
}

// idle calls f for children in order of last use, longest ago first, until f
// returns false. Leaving children are skipped. f may make the child leave.
func (b *brood) idle(f func(c *child) bool) {
	for c := b.oldest; c != nil; {
		next := c.newer
		if !c.leaving && !f(c) {
			return
		}
		c = next
	}
}

func (b *brood) touch(c *child) {
	if b.newest == c {
		return
	}
	if c.older != nil || c.newer != nil {
		b.unlink(c)
	}
	c.older = b.newest
	if b.newest != nil {
		b.newest.newer = c
	}
	b.newest = c
	if b.oldest == nil {
		b.oldest = c
	}
}

func (b *brood) unlink(c *child) {
	if c.older != nil {
		c.older.newer = c.newer
	} else if b.oldest == c {
		b.oldest = c.newer
	}
	if c.newer != nil {
		c.newer.older = c.older
	} else if b.newest == c {
		b.newest = c.older
	}
	c.older, c.newer = nil, nil
}
