package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

const (
	// MaxAge is the longest that a backup is kept: an erasure is complete when every
	// backup of before is gone.
	MaxAge = chat.BackupLife
	// objectLife is how old an object must be that no backup names before it is
	// pruned: a backup under way may be about to name it.
	objectLife = 24 * time.Hour
)

// PutPart leaves a part in the target, for Parts.
func (t *Target) PutPart(ctx context.Context, id string, p *Part) error {
	return t.putJSON(ctx, t.partName(id, p.Node), p)
}

// Parts reads the parts that nodes have left for a backup.
func (t *Target) Parts(ctx context.Context, id string) (parts []Part, err error) {
	names, err := t.under(ctx, backupsDir+"/"+id)
	if err != nil {
		return nil, err
	}
	for name := range names {
		if base := strings.TrimPrefix(name, backupsDir+"/"+id+"/"); !strings.HasPrefix(base, "part-") {
			continue
		}
		var p Part
		if err := t.getJSON(ctx, name, &p); err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b Part) int { return int(a.Node) - int(b.Node) })
	return parts, nil
}

// Finish makes a backup of parts: it is there when Finish returns. groups are all
// there are; each is in exactly one part.
func (t *Target) Finish(ctx context.Context, m *Manifest, groups []chat.Group) error {
	const op = "backup.Finish"
	m.Format = manifestFormat
	sums, err := m.sums()
	if err != nil {
		return err
	}
	for _, g := range groups {
		if _, ok := sums[g]; !ok {
			return chat.E(op, chat.KindInvalid, fmt.Sprintf("no node of this backup holds group %d: name more nodes with --ops-addr", g), nil)
		}
	}
	if len(sums) != len(groups) {
		return chat.E(op, chat.KindInvalid, "the parts hold groups that there are not", nil)
	}
	m.State = persistence.SumOf(sums).String()
	// Somebody may have pruned meanwhile what this backup found there.
	have, err := t.under(ctx, objectsDir)
	if err != nil {
		return err
	}
	for name := range m.objects() {
		if _, ok := have[name]; !ok {
			return chat.E(op, chat.KindConflict, "an object was pruned while the backup was made; make it again", nil)
		}
	}
	return t.putJSON(ctx, t.manifestName(m.ID), m)
}

// objects are the names of what a backup is made of.
func (m *Manifest) objects() map[string]bool {
	all := map[string]bool{}
	for i := range m.Parts {
		for _, list := range [][]File{m.Parts[i].Files, m.Parts[i].Media} {
			for _, f := range list {
				all[f.Object] = true
			}
		}
	}
	return all
}

// Pruned is what Prune removed.
type Pruned struct{ Backups, Objects int }

// Prune removes all but the newest keep backups, every one older than MaxAge, what
// interrupted ones have left, and the objects that nobody names any more. keep is at
// least 1. When a manifest cannot be read, no object is removed: it may name any.
func (t *Target) Prune(ctx context.Context, keep int, now time.Time) (p Pruned, err error) {
	list, err := t.List(ctx)
	if err != nil {
		return p, err
	}
	var kept []Entry
	whole := 0
	for _, e := range slices.Backward(list) {
		old := now.Sub(e.Made) > MaxAge
		switch {
		case e.Whole && !old && whole < max(keep, 1):
			whole++
			kept = append(kept, e)
			continue
		case !e.Whole && now.Sub(e.Made) < objectLife:
			continue
		}
		if err := t.drop(ctx, e.ID); err != nil {
			return p, err
		}
		p.Backups++
	}
	named := map[string]bool{}
	for _, e := range kept {
		if e.Key != t.key.fingerprint {
			return p, nil // of another key: what it names is not known
		}
		m := new(Manifest)
		if err := t.getJSON(ctx, t.manifestName(e.ID), m); err != nil {
			return p, fmt.Errorf("nothing of other backups was removed: %w", err)
		}
		for name := range m.objects() {
			named[name] = true
		}
	}
	objects, err := t.under(ctx, objectsDir)
	if err != nil {
		return p, err
	}
	for name, modified := range objects {
		if named[name] || now.Sub(modified) < objectLife {
			continue
		}
		if err := t.place.Delete(ctx, name); err != nil {
			return p, err
		}
		p.Objects++
	}
	return p, t.pruneErasures(ctx, kept, now)
}

// drop removes a backup, the manifest first: what is left of a drop that was
// interrupted is no backup.
func (t *Target) drop(ctx context.Context, id string) error {
	names, err := t.under(ctx, backupsDir+"/"+id)
	if err != nil {
		return err
	}
	var errs []error
	for _, manifest := range []bool{true, false} {
		for name := range names {
			if strings.HasPrefix(name, backupsDir+"/"+id+"/manifest-") == manifest {
				errs = append(errs, t.place.Delete(ctx, name))
			}
		}
	}
	return errors.Join(errs...)
}
