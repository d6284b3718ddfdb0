package persistence

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// direct is a proposer for tests of the store alone: one round per commit or
// per commits that wait, synced before it is told. Every group leads under the
// epoch that follows the one it had at the last opening.
type direct struct {
	store *Store
	mu    sync.Mutex // guards closed
	done  bool
	queue chan *directCommit
	ended sync.WaitGroup
}

type directCommit struct {
	group   chat.Group
	commit  *recordpb.Commit
	outcome Outcome
	done    chan struct{}
}

// serveDirect makes s take commits, queueLen of them at a time.
func serveDirect(s *Store, queueLen int) error {
	d := &direct{store: s, queue: make(chan *directCommit, queueLen)}
	b := s.db.NewBatch()
	for _, g := range s.GroupIDs() {
		epoch, err := s.EpochBefore(g)
		if err != nil {
			return err
		}
		if err := b.Set(keyEpoch(g), binary.BigEndian.AppendUint64(nil, epoch+1), nil); err != nil {
			return err
		}
		s.Lead(g, chat.Epoch(epoch+1))
	}
	if err := b.Commit(pebble.Sync); err != nil {
		return err
	}
	d.ended.Go(d.run)
	s.Serve(d)
	return nil
}

func (d *direct) Propose(ctx context.Context, g chat.Group, c *recordpb.Commit) (Outcome, error) {
	p := &directCommit{group: g, commit: c, done: make(chan struct{})}
	d.mu.Lock()
	if d.done {
		d.mu.Unlock()
		return Outcome{}, chat.E("direct.Propose", chat.KindUnavailable, "closed", nil)
	}
	select {
	case d.queue <- p:
		d.mu.Unlock()
	default:
		d.mu.Unlock()
		return Outcome{}, chat.E("direct.Propose", chat.KindBusy, "too many commits wait", nil)
	}
	select {
	case <-p.done:
		return p.outcome, nil
	case <-ctx.Done():
		return Outcome{Answer: chat.Unknown}, nil
	}
}

func (d *direct) run() {
	for p := range d.queue {
		list := []*directCommit{p}
		for n := len(d.queue); n > 0; n-- {
			list = append(list, <-d.queue)
		}
		if !d.round(list) {
			return
		}
	}
}

func (d *direct) round(list []*directCommit) bool {
	s := d.store
	r := s.NewRound()
	var err error
	for _, p := range list {
		if p.outcome, err = r.Stage(p.group, s.Epoch(p.group), p.commit); err != nil {
			s.Fail("a commit cannot be staged", err)
			return false
		}
	}
	b := s.db.NewBatch()
	if err = r.Write(b); err == nil && !b.Empty() {
		err = s.db.ApplyNoSyncWait(b, pebble.Sync)
	}
	r.Applied(b.Len())
	if err == nil && !b.Empty() {
		err = b.SyncWait()
	}
	if err != nil || s.Failed() {
		s.Fail("a round did not become durable", err)
		return false
	}
	r.Landed()
	for _, p := range list {
		close(p.done)
	}
	return true
}

// CutLog implements Proposer: there is no log.
func (d *direct) CutLog(context.Context, chat.Group) error { return nil }

// Close implements Proposer.
func (d *direct) Close() error {
	d.mu.Lock()
	closed := d.done
	d.done = true
	if !closed {
		close(d.queue)
	}
	d.mu.Unlock()
	d.ended.Wait()
	return nil
}
