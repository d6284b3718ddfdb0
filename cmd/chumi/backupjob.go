package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/seal"
	"github.com/chumiai/chumi/transport/edge"
)

// backups makes backups of a node that serves. One step is under way at a time; a
// stop of the node ends it.
type backups struct {
	config *Config
	store  *persistence.Store
	// node is the number of the node, 0 for one in no cluster; current brings the groups
	// that it holds up to what is committed.
	node    chat.NodeID
	current func(ctx context.Context, skip []chat.Group) ([]chat.Group, error)
	log     *slog.Logger

	life context.Context
	end  context.CancelFunc
	work sync.WaitGroup

	mu    sync.Mutex // guards state
	state edge.BackupState
}

func newBackups(s *Server, ctx context.Context) *backups {
	b := &backups{config: s.opt.Config, store: s.store, log: s.opt.Log}
	b.life, b.end = context.WithCancel(context.WithoutCancel(ctx))
	b.current = func(_ context.Context, skip []chat.Group) ([]chat.Group, error) {
		return without(s.store.GroupIDs(), skip), nil
	}
	if s.node != nil {
		b.node, b.current = s.node.Self(), s.node.Current
	}
	return b
}

func without(list, skip []chat.Group) (left []chat.Group) {
	skipped := map[chat.Group]bool{}
	for _, g := range skip {
		skipped[g] = true
	}
	for _, g := range list {
		if !skipped[g] {
			left = append(left, g)
		}
	}
	return left
}

// close ends a step under way.
func (b *backups) close() error {
	b.end()
	b.work.Wait()
	return nil
}

// State implements edge.Backups.
func (b *backups) State() edge.BackupState {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Begin implements edge.Backups.
func (b *backups) Begin(r edge.BackupRequest) error {
	const op = "backup.Begin"
	if !backup.ValidID(r.ID) {
		return chat.E(op, chat.KindInvalid, "the id of the backup is none: chumi backup makes one", nil)
	}
	kek, err := loadKey(b.config)
	if err != nil {
		return err
	}
	target, err := openTarget(b.config, r.To, kek)
	if err != nil {
		return chat.E(op, chat.KindInvalid, err.Error(), nil)
	}
	return b.begin(edge.BackupState{ID: r.ID, To: target.String()}, func() error {
		if r.Finish {
			return b.finish(r, target, kek)
		}
		return b.part(r, target)
	}, "backup", r.ID, "to", target.String(), "finished", r.Finish)
}

// begin begins a step, of which one is under way at a time. attrs are for the log.
func (b *backups) begin(state edge.BackupState, step func() error, attrs ...any) error {
	const op = "backup.Begin"
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state.ID != "" && !b.state.Ended {
		return chat.E(op, chat.KindConflict, "backup or archive "+b.state.ID+" of this node is under way", nil)
	}
	if b.life.Err() != nil {
		return chat.E(op, chat.KindUnavailable, "the node is stopping", nil)
	}
	b.state = state
	b.state.Doing, b.state.At = "beginning", time.Now().UTC()
	b.work.Go(func() {
		err := step()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.state.Ended = true
		if err != nil {
			b.state.Error = err.Error()
			b.log.Error("a backup or an archive failed; what was there before is as it was", append(attrs, "err", err)...)
			return
		}
		b.log.Info("a step of a backup, or an archive, is done", append(attrs, "groups", len(b.state.Groups),
			"stored", b.state.Stored, "same", b.state.Same)...)
	})
	return nil
}

func (b *backups) tell(p backup.Progress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.Doing, b.state.Done, b.state.Total = p.Doing, p.Done, p.Total
	b.state.Bytes, b.state.Stored, b.state.Same = p.Bytes, p.Stored, p.Same
}

// part gives what this node has to a backup.
func (b *backups) part(r edge.BackupRequest, target *backup.Target) (err error) {
	groups, err := b.current(b.life, r.Skip)
	if err != nil {
		return err
	}
	media, bucket, err := mediaPlace(b.config)
	if err != nil {
		return err
	}
	b.mu.Lock()
	b.state.Groups, b.state.Notes = groups, mediaNotes(b.config, bucket)
	b.mu.Unlock()
	image, err := b.store.NewImage()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, image.Drop()) }()
	store, err := b.store.OpenImage(image)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	known, err := target.Manifest(b.life, "")
	if chat.KindOf(err) == chat.KindCorrupt {
		b.log.Warn("the newest backup cannot be read; its media are read again", "err", err)
	} else if err != nil && chat.KindOf(err) != chat.KindNotFound && chat.KindOf(err) != chat.KindInvalid {
		return err
	}
	p, err := target.WritePart(b.life, backup.Source{Node: b.node, FS: b.store.FS(), Dir: image.Dir, Store: store,
		Identity: b.store.Identity(), Groups: groups, Media: media}, known, b.tell)
	if err != nil {
		return err
	}
	if err := remember(b.life, target, store); err != nil {
		return err
	}
	return target.PutPart(b.life, r.ID, p)
}

// Erasures implements edge.Backups.
func (b *backups) Erasures(ctx context.Context) ([]byte, error) {
	r, err := erasuresOf(ctx, b.store)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

// erasuresOf is who was erased, as far as a store knows.
func erasuresOf(ctx context.Context, s *persistence.Store) (backup.Record, error) {
	until := time.Now().UTC()
	list, err := s.Tombstones(ctx)
	return backup.Record{Until: until, List: list}, err
}

// remember tells the target who was erased, as far as a store knows.
func remember(ctx context.Context, target *backup.Target, s *persistence.Store) error {
	r, err := erasuresOf(ctx, s)
	if err != nil {
		return err
	}
	return target.Remember(ctx, r)
}

// finish makes the backup whole, and prunes.
func (b *backups) finish(r edge.BackupRequest, target *backup.Target, kek *seal.KEK) error {
	parts, err := target.Parts(b.life, r.ID)
	if err != nil {
		return err
	}
	_, bucket, err := mediaPlace(b.config)
	if err != nil {
		return err
	}
	m := &backup.Manifest{ID: r.ID, Made: madeAt(r.ID), KEK: kek.Fingerprint(), Bucket: bucket, Parts: parts}
	keep := r.Keep
	if keep == 0 {
		keep = b.config.Backup.Keep
	}
	var pruned backup.Pruned
	if err = target.Finish(b.life, m, b.store.GroupIDs()); err == nil {
		pruned, err = target.Prune(b.life, keep, time.Now())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state.State = m.State
	if pruned.Backups > 0 {
		b.state.Notes = append(b.state.Notes, fmt.Sprintf("%d older backups were removed", pruned.Backups))
	}
	return err
}

// madeAt is the time in a backup's id.
func madeAt(id string) time.Time {
	t, _ := time.Parse("20060102T150405Z", id[:16])
	return t
}

// mediaNotes say which files are not in a backup.
func mediaNotes(c *Config, bucket string) []string {
	switch {
	case bucket != "":
		return []string{"files of messages stay in " + bucket + " and are not part of the backup: keep that bucket, with versions of its own"}
	case c.Cluster.On():
		return []string{"files of messages lie on the node that fetched them: name every node with --ops-addr, or set media.s3"}
	}
	return nil
}
