package backup

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/chumiai/chumi/persistence"
)

// Record is who was known to be erased at a time.
type Record struct {
	// Until is the time: whoever was erased before is in a record of then or earlier.
	Until time.Time               `json:"until"`
	List  []persistence.Tombstone `json:"erased"`
}

// Remember stores in the target who was erased. It may be told of somebody twice.
func (t *Target) Remember(ctx context.Context, r Record) error {
	at := r.Until.UTC()
	name := erasuresDir + "/" + at.Format("200601") + "/" + at.Format(idTime) + "-" + strings.ToLower(rand.Text()[:6]) + "-" + t.key.fingerprint
	return t.putJSON(ctx, name, r)
}

// Erased reads who was erased, by all that the target was told, and until when it was
// told.
func (t *Target) Erased(ctx context.Context) (list []persistence.Tombstone, until time.Time, err error) {
	names, err := t.under(ctx, erasuresDir)
	if err != nil {
		return nil, until, err
	}
	for name := range names {
		if !strings.HasSuffix(name, "-"+t.key.fingerprint) {
			continue // of another key, and so of other backups
		}
		var r Record
		if err := t.getJSON(ctx, name, &r); err != nil {
			return nil, until, err
		}
		if r.Until.After(until) {
			until = r.Until
		}
		list = append(list, r.List...)
	}
	return list, until, nil
}

// pruneErasures removes what every backup that is kept holds itself.
func (t *Target) pruneErasures(ctx context.Context, kept []Entry, now time.Time) error {
	oldest := now
	for _, e := range kept {
		if e.Made.Before(oldest) {
			oldest = e.Made
		}
	}
	names, err := t.under(ctx, erasuresDir)
	if err != nil {
		return err
	}
	for name := range names {
		base := name[strings.LastIndexByte(name, '/')+1:]
		at, err := time.Parse(idTime, base[:min(len(base), len(idTime))])
		// A day more: clocks of nodes differ, and a backup takes a while.
		if err == nil && at.Before(oldest.Add(-objectLife)) {
			if err := t.place.Delete(ctx, name); err != nil {
				return err
			}
		}
	}
	return nil
}
