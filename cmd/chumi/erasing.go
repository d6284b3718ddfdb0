package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/seal"
)

// erasing erases persons on a node that serves.
type erasing struct{ *Server }

// rememberMax bounds how long an erasure waits for the place of backups to be told.
const rememberMax = 10 * time.Second

// Erase implements api.Erasures.
func (e erasing) Erase(ctx context.Context, t chat.TenantID, id chat.ContactID) (chat.Erasure, error) {
	if _, err := e.store.BeginErase(ctx, t, id); err != nil {
		return chat.Erasure{}, err
	}
	done, err := e.Erasure(ctx, t, id)
	if err != nil {
		return done, err
	}
	if err := e.tellBackups(ctx, t); err != nil {
		e.opt.Log.Warn("the place of backups was not told of an erasure; the next backup tells it", "err", err)
		done.Left = append(done.Left, "the place of backups was not told, so that a restore needs --erasures: make a backup")
	}
	return done, nil
}

// tellBackups has the place of backups know who of a tenant was erased, if there is one.
func (e erasing) tellBackups(ctx context.Context, t chat.TenantID) error {
	c := e.opt.Config
	if c.Backup.To == "" {
		return nil
	}
	kek, err := loadKey(c)
	if err != nil {
		return err
	}
	return tellTarget(ctx, c, kek, e.store, t)
}

// tellTarget tells the configured place of backups who of a tenant was erased.
func tellTarget(ctx context.Context, c *Config, kek *seal.KEK, s *persistence.Store, t chat.TenantID) error {
	target, err := openTarget(c, "", kek)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, rememberMax)
	defer cancel()
	r := backup.Record{Until: time.Now().UTC()}
	if r.List, err = s.TombstonesOf(t); err != nil {
		return err
	}
	return target.Remember(ctx, r)
}

// Erasure implements api.Erasures.
func (e erasing) Erasure(ctx context.Context, t chat.TenantID, id chat.ContactID) (chat.Erasure, error) {
	at, err := e.store.ErasedAt(t, id)
	if err != nil {
		return chat.Erasure{}, err
	}
	done := chat.Erasure{Contact: id, At: at}
	group := e.store.Group(t)
	if e.node == nil {
		if e.store.Unshredded(group) > 0 {
			done.Left = []string{"tables and logs of this node, for a moment"}
		}
		return done, nil
	}
	s, err := e.node.Status(ctx)
	if err != nil {
		return done, err
	}
	for _, g := range s.Groups {
		if g.Group != group {
			continue
		}
		for _, n := range s.Nodes {
			switch {
			case g.Unshredded[n.ID] > 0:
				done.Left = append(done.Left, fmt.Sprintf("tables and logs of node %d, for a moment", n.ID))
			case !n.Live && (slices.Contains(g.Voters, n.ID) || slices.Contains(g.Learners, n.ID)):
				done.Left = append(done.Left, fmt.Sprintf("tables and logs of node %d, until it is back or removed", n.ID))
			}
		}
	}
	return done, nil
}
