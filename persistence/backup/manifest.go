package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// manifestFormat numbers what a manifest means. A newer one is refused.
const manifestFormat = 1

// Manifest is what belongs to one backup.
type Manifest struct {
	Format int    `json:"format"`
	ID     string `json:"id"`
	// Made is when it was begun: what was durable then is in it.
	Made time.Time `json:"made"`
	// KEK is the fingerprint of the key-encryption key that opens what is in it.
	KEK string `json:"kek"`
	// Bucket names where files of messages are that are not part of the backup;
	// empty when they are.
	Bucket string `json:"bucket,omitempty"`
	// State is one sum over the state of all groups.
	State string `json:"state"`
	Parts []Part `json:"parts"`
}

// Part is what one node gives to a backup.
type Part struct {
	// Node is its number, 0 for a node that is in no cluster; Store the identity of
	// its store.
	Node  chat.NodeID `json:"node"`
	Store string      `json:"store"`
	// Groups are those that are taken from this part, with what each adds up to.
	Groups []Group `json:"groups"`
	// Files are those of the store, Media those beside it.
	Files []File `json:"files"`
	Media []File `json:"media,omitempty"`
}

// Group is a group of a part.
type Group struct {
	Group chat.Group `json:"group"`
	Sum   string     `json:"sum"`
}

// File is one file of a part and where its content lies.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Object string `json:"object"`
}

// Bytes is the size of all files.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Parts {
		for _, list := range [][]File{m.Parts[i].Files, m.Parts[i].Media} {
			for _, f := range list {
				n += f.Size
			}
		}
	}
	return n
}

// sums are the groups' sums by group.
func (m *Manifest) sums() (map[chat.Group]persistence.StateSum, error) {
	sums := map[chat.Group]persistence.StateSum{}
	for _, p := range m.Parts {
		for _, g := range p.Groups {
			b, err := hex.DecodeString(g.Sum)
			if _, twice := sums[g.Group]; err != nil || len(b) != len(persistence.StateSum{}) || twice {
				return nil, fmt.Errorf("backup %s: %w", m.ID, chat.E("backup", chat.KindCorrupt, "the sum of group "+strconv.Itoa(int(g.Group))+" is missing or there twice", nil))
			}
			sums[g.Group] = persistence.StateSum(b)
		}
	}
	return sums, nil
}

// idTime is how a backup's id begins: in order of time, as text.
const idTime = "20060102T150405Z"

// NewID names a backup that is begun at a time.
func NewID(now time.Time) string {
	return now.UTC().Format(idTime) + "-" + strings.ToLower(rand.Text()[:6])
}

// ValidID reports whether NewID made an id.
func ValidID(id string) bool {
	_, err := time.Parse(idTime, id[:min(len(id), len(idTime))])
	return err == nil && len(id) == len(idTime)+7 && !strings.ContainsAny(id, "/\\.")
}

func (t *Target) manifestName(id string) string {
	return backupsDir + "/" + id + "/manifest-" + t.key.fingerprint
}

func (t *Target) partName(id string, n chat.NodeID) string {
	return backupsDir + "/" + id + "/part-" + strconv.FormatUint(uint64(n), 10) + "-" + t.key.fingerprint
}

// putJSON stores a value under a name, sealed.
func (t *Target) putJSON(ctx context.Context, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.put(ctx, name, bytes.NewReader(b))
}

// getJSON reads what putJSON stored.
func (t *Target) getJSON(ctx context.Context, name string, v any) error {
	r, err := t.get(ctx, name)
	if err != nil {
		return err
	}
	err = json.NewDecoder(r).Decode(v)
	if err == nil {
		// Only the end proves that nothing is cut off.
		_, err = io.Copy(io.Discard, r)
	}
	var form *json.SyntaxError
	if errors.As(err, &form) {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return errors.Join(err, r.Close())
}

// Entry is a backup in a list.
type Entry struct {
	ID   string
	Made time.Time
	// Key is the fingerprint of the key it is sealed with.
	Key string
	// Whole is false for one that was begun and has no manifest.
	Whole bool
}

// List lists the backups of the target, the oldest first, those of other keys and
// those that were interrupted too.
func (t *Target) List(ctx context.Context) ([]Entry, error) {
	names, err := t.under(ctx, backupsDir)
	if err != nil {
		return nil, err
	}
	found := map[string]Entry{}
	for name := range names {
		parts := strings.Split(name, "/")
		if len(parts) != 3 || !ValidID(parts[1]) {
			continue
		}
		made, _ := time.Parse(idTime, parts[1][:len(idTime)])
		e := found[parts[1]]
		e.ID, e.Made = parts[1], made
		what, key, _ := strings.Cut(parts[2], "-")
		if what == "manifest" {
			e.Whole, e.Key = true, key
		}
		found[e.ID] = e
	}
	var list []Entry
	for _, e := range found {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// Manifest reads the manifest of a backup; of the newest one when id is empty.
func (t *Target) Manifest(ctx context.Context, id string) (*Manifest, error) {
	const op = "backup.Manifest"
	list, err := t.List(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(e Entry) bool { return !e.Whole || id != "" && e.ID != id })
	if len(list) == 0 {
		what := "no whole backup"
		if id != "" {
			what = "no whole backup " + id
		}
		return nil, chat.E(op, chat.KindNotFound, "there is "+what+" in "+t.name, nil)
	}
	e := list[len(list)-1]
	if e.Key != t.key.fingerprint {
		return nil, chat.E(op, chat.KindInvalid, "backup "+e.ID+" is sealed with key "+e.Key+", the key given leads to "+t.key.fingerprint+
			": name the key-encryption key, or the file of backup.key_file, that it was made with", nil)
	}
	m := new(Manifest)
	if err := t.getJSON(ctx, t.manifestName(e.ID), m); err != nil {
		return nil, err
	}
	if m.Format > manifestFormat || m.ID != e.ID {
		return nil, chat.E(op, chat.KindInvalid, "backup "+e.ID+" has format "+strconv.Itoa(m.Format)+", this binary knows up to "+strconv.Itoa(manifestFormat), nil)
	}
	return m, nil
}
