package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/persistence/seal"
)

var now = time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)

// world is a store that serves, its media and a target.
type world struct {
	*testing.T
	options persistence.Options
	store   *persistence.Store
	media   *blob.Dir
	root    string
	place   blob.Place
	target  *backup.Target
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, options: persistencetest.Options(t), root: filepath.Join(t.TempDir(), "target")}
	w.options.Dir, w.options.FS = "data", vfs.NewMem()
	w.store = w.serve(w.options)
	d, err := persistence.OpenDirectory(t.Context(), w.store, chat.Settings{})
	w.must(err, d.PutTenant(t.Context(), chat.Tenant{ID: "acme"}))
	w.media, err = blob.OpenDir(vfs.NewMem(), "media", 0)
	w.must(err)
	w.place, err = blob.OpenDir(nil, w.root, 0)
	w.must(err)
	w.target = backup.NewTarget(w.place, w.root, backup.NewKey(w.options.KEK))
	return w
}

func (w *world) serve(o persistence.Options) *persistence.Store {
	w.Helper()
	s, err := persistence.Open(o)
	w.must(err)
	w.Cleanup(func() { w.must(s.Close()) })
	_, err = replica.Start(s, replica.Options{Logger: slog.New(slog.DiscardHandler)})
	w.must(err)
	return s
}

func (w *world) must(errs ...error) {
	w.Helper()
	for _, err := range errs {
		if err != nil {
			w.Fatal(err)
		}
	}
}

// say has a person write.
func (w *world) say(s *persistence.Store, person int, text string, times int) *persistencetest.Person {
	w.Helper()
	p, err := persistencetest.NewPerson(s, "acme", person)
	w.must(err)
	if p.Place.Found {
		p.State, _, err = s.Load("acme", p.Place.Conversation)
		w.must(err)
	}
	for range times {
		c := p.Message(text)
		r, err := s.Append(w.Context(), c)
		w.must(err)
		if r.Answer != chat.Applied {
			w.Fatal(r.Answer)
		}
		p.Adopt(c)
	}
	return p
}

// backUp makes a whole backup.
func (w *world) backUp(at time.Time) (*backup.Manifest, backup.Progress) {
	w.Helper()
	m, last, err := w.tryBackUp(w.Context(), at)
	w.must(err)
	return m, last
}

func (w *world) tryBackUp(ctx context.Context, at time.Time) (*backup.Manifest, backup.Progress, error) {
	var last backup.Progress
	known, err := w.target.Manifest(ctx, "")
	if err != nil && chat.KindOf(err) != chat.KindNotFound {
		return nil, last, err
	}
	m := &backup.Manifest{ID: backup.NewID(at), Made: at, KEK: w.store.KeyFingerprint()}
	image, err := w.store.NewImage()
	w.must(err)
	defer func() { w.must(image.Drop()) }()
	s, err := w.store.OpenImage(image)
	w.must(err)
	defer func() { w.must(s.Close()) }()
	p, err := w.target.WritePart(ctx, backup.Source{FS: w.options.FS, Dir: image.Dir, Store: s, Identity: w.store.Identity(),
		Groups: s.GroupIDs(), Media: w.media}, known, func(p backup.Progress) { last = p })
	if err != nil {
		return nil, last, err
	}
	m.Parts = []backup.Part{*p}
	return m, last, w.target.Finish(ctx, m, s.GroupIDs())
}

// restore restores into a directory of its own.
func (w *world) restore(m *backup.Manifest, media blob.Place) (persistence.Options, error) {
	o := persistencetest.Options(w)
	o.Groups, o.Dir, o.FS = 0, "copy", vfs.NewMem()
	_, err := w.target.Restore(w.Context(), m, backup.RestoreOptions{Store: o, Media: media, Now: now})
	return o, err
}

func (w *world) keep(name, content string) {
	w.Helper()
	w.must(w.media.Put(w.Context(), name, func(d io.Writer) error { _, err := io.WriteString(d, content); return err }))
}

func TestBackup_RestoresToTheSameState(t *testing.T) {
	w := newWorld(t)
	canary := "canary-4711"
	p := w.say(w.store, 1, canary, 30)
	w.keep("acme/ab/blob_1", "sealed picture")
	sums, err := w.store.StateSums(t.Context(), w.store.GroupIDs())
	w.must(err)
	m, _ := w.backUp(now)
	w.say(w.store, 1, "of later", 1)
	if m.State != persistence.SumOf(sums).String() {
		t.Error("the manifest names another state than the store had")
	}
	m, err = w.target.Manifest(t.Context(), m.ID)
	w.must(err)
	media, err := blob.OpenDir(vfs.NewMem(), "media", 0)
	w.must(err)
	o, err := w.restore(m, media)
	w.must(err)
	r, err := media.Get(t.Context(), "acme/ab/blob_1")
	w.must(err)
	if b, _ := io.ReadAll(r); string(b) != "sealed picture" {
		t.Errorf("the file came back as %q", b)
	}
	c := w.serve(o)
	again, err := c.StateSums(t.Context(), c.GroupIDs())
	w.must(err)
	if persistence.SumOf(again).String() != m.State {
		t.Error("the restored store has another state")
	}
	events, err := c.Events("acme", p.Place.Conversation, 0, 100)
	w.must(err)
	if len(events) != 31 || events[30].Message.Text != canary {
		t.Errorf("%d events", len(events))
	}
	w.say(c, 1, "it goes on", 1)
	for name, b := range stored(t, w.root) {
		for _, word := range []string{canary, "sealed picture", p.Address.Value, "acme"} {
			if bytes.Contains(b, []byte(word)) || strings.Contains(name, word) {
				t.Errorf("%s shows %q", name, word)
			}
		}
	}
}

func TestBackup_StoresNoFileTwice(t *testing.T) {
	w := newWorld(t)
	w.say(w.store, 1, strings.Repeat("x", 1000), 300)
	for i := range 20 {
		w.keep(fmt.Sprintf("acme/ab/blob_%d", i), fmt.Sprint("picture ", i))
	}
	_, first := w.backUp(now)
	before := stored(t, w.root)
	w.say(w.store, 2, "a little more", 1)
	m, second := w.backUp(now.Add(time.Hour))
	if first.Stored < 23 || second.Same < 21 || second.Stored > 6 {
		t.Errorf("the first stored %d objects, the second %d and found %d", first.Stored, second.Stored, second.Same)
	}
	for name, b := range before {
		if !bytes.Equal(stored(t, w.root)[name], b) {
			t.Errorf("%s was written again", name)
		}
	}
	_, err := w.restore(m, nil)
	w.must(err)
}

func TestBackup_DamageIsNamed(t *testing.T) {
	w := newWorld(t)
	w.say(w.store, 1, strings.Repeat("y", 200), 500)
	m, _ := w.backUp(now)
	table := m.Parts[0].Files[slices.IndexFunc(m.Parts[0].Files, func(f backup.File) bool { return strings.HasSuffix(f.Name, ".sst") })]
	other := m.Parts[0].Files[0]
	if other.Object == table.Object {
		other = m.Parts[0].Files[1]
	}
	path, otherPath := filepath.Join(w.root, table.Object), filepath.Join(w.root, other.Object)
	good, err := os.ReadFile(path)
	w.must(err)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	swapped, err := os.ReadFile(otherPath)
	w.must(err)
	for name, bad := range map[string][]byte{"a flipped bit": flipped, "cut": good[:len(good)-9], "cut at a piece": good[:min(len(good), 64<<10)],
		"empty": {}, "another file in its place": swapped, "longer": append(bytes.Clone(good), 1)} {
		if bytes.Equal(bad, good) {
			continue
		}
		w.must(os.WriteFile(path, bad, 0o600))
		if _, err := w.restore(m, nil); chat.KindOf(err) != chat.KindCorrupt || !strings.Contains(err.Error(), table.Name) || !strings.Contains(err.Error(), table.Object) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.must(os.Remove(path))
	if _, err := w.restore(m, nil); err == nil || !strings.Contains(err.Error(), table.Name) {
		t.Errorf("gone: %v", err)
	}
	w.must(os.WriteFile(path, good, 0o600))
	_, err = w.restore(m, nil)
	w.must(err)

	// A manifest that is not the one that was written is refused too.
	manifests, err := filepath.Glob(filepath.Join(w.root, "backups", m.ID, "manifest-*"))
	w.must(err)
	sealed, err := os.ReadFile(manifests[0])
	w.must(err)
	for _, bad := range [][]byte{sealed[:len(sealed)-1], append([]byte{sealed[0], sealed[1] ^ 1}, sealed[2:]...)} {
		w.must(os.WriteFile(manifests[0], bad, 0o600))
		if _, err := w.target.Manifest(t.Context(), m.ID); chat.KindOf(err) != chat.KindCorrupt || !strings.Contains(err.Error(), "manifest-") {
			t.Errorf("a damaged manifest: %v", err)
		}
	}
}

// A manifest that is sealed well and lies is found out by what it says of the state.
func TestBackup_AnotherStateIsRefused(t *testing.T) {
	w := newWorld(t)
	w.say(w.store, 1, "hello", 3)
	m, _ := w.backUp(now)
	for i := range m.Parts[0].Groups {
		sum := []byte(m.Parts[0].Groups[i].Sum)
		sum[0] ^= 1
		lie := *m
		lie.Parts = slices.Clone(m.Parts)
		lie.Parts[0].Groups = slices.Clone(m.Parts[0].Groups)
		lie.Parts[0].Groups[i].Sum = strings.Replace(string(sum), "`", "0", 1)
		if _, err := w.restore(&lie, nil); chat.KindOf(err) != chat.KindCorrupt {
			t.Errorf("group %d: %v", m.Parts[0].Groups[i].Group, err)
		}
	}
}

func TestBackup_OfAnotherKeyIsRefused(t *testing.T) {
	w := newWorld(t)
	m, _ := w.backUp(now)
	kek, err := seal.NewKEK(bytes.Repeat([]byte{9}, seal.KeyLen))
	w.must(err)
	if _, err := backup.NewTarget(w.place, w.root, backup.NewKey(kek)).Manifest(t.Context(), ""); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("another backup key: %v", err)
	}
	o := persistencetest.Options(t)
	o.Groups, o.Dir, o.FS, o.KEK = 0, "copy", vfs.NewMem(), kek
	if _, err := w.target.Restore(t.Context(), m, backup.RestoreOptions{Store: o}); chat.KindOf(err) != chat.KindInvalid ||
		!strings.Contains(err.Error(), w.options.KEK.Fingerprint()) {
		t.Errorf("another key-encryption key: %v", err)
	}
	for name, b := range stored(t, w.root) {
		if bytes.Contains(b, bytes.Repeat([]byte{7}, seal.KeyLen)) {
			t.Errorf("%s holds the key-encryption key", name)
		}
	}
}

// breaking fails after so many objects.
type breaking struct {
	blob.Place
	left int
}

var errBroken = errors.New("the connection broke")

func (b *breaking) Put(ctx context.Context, name string, fill func(io.Writer) error) error {
	if b.left--; b.left < 0 {
		return errBroken
	}
	return b.Place.Put(ctx, name, fill)
}

// An interrupted backup leaves those of before as they were; its objects are used by the
// next one, or pruned.
func TestBackup_InterruptedLeavesTheOneBefore(t *testing.T) {
	w := newWorld(t)
	w.say(w.store, 1, "of the first", 5)
	first, whole := w.backUp(now)
	for after := range int(whole.Stored) + 3 {
		w.say(w.store, 1, strings.Repeat("z", 100), 50)
		w.target = backup.NewTarget(&breaking{w.place, after}, w.root, backup.NewKey(w.options.KEK))
		_, _, err := w.tryBackUp(t.Context(), now.Add(time.Hour))
		if err == nil {
			break
		}
		if !errors.Is(err, errBroken) {
			t.Fatal(err)
		}
		w.target = backup.NewTarget(w.place, w.root, backup.NewKey(w.options.KEK))
		m, err := w.target.Manifest(t.Context(), "")
		w.must(err)
		if m.ID != first.ID {
			t.Fatalf("after %d objects the newest whole backup is %s", after, m.ID)
		}
		_, err = w.restore(m, nil)
		w.must(err)
	}
	w.target = backup.NewTarget(w.place, w.root, backup.NewKey(w.options.KEK))
	p, err := w.target.Prune(t.Context(), 1, time.Now().Add(25*time.Hour))
	w.must(err)
	if p.Objects == 0 {
		t.Error("the objects of interrupted backups stay")
	}
}

func TestPrune_KeepsTheNewestAndNothingOld(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	var ids []string
	for day := range 5 {
		w.say(w.store, 1, fmt.Sprint("day ", day), 1)
		m, _ := w.backUp(began.Add(time.Duration(day) * 24 * time.Hour))
		ids = append(ids, m.ID)
	}
	at := began.Add(4*24*time.Hour + time.Hour)
	listed := func() (have []string) {
		list, err := w.target.List(t.Context())
		w.must(err)
		for _, e := range list {
			have = append(have, e.ID)
		}
		return have
	}
	if p, err := w.target.Prune(t.Context(), 3, at); err != nil || p.Backups != 2 || !slices.Equal(listed(), ids[2:]) {
		t.Errorf("%+v %v, %v stay", p, err, listed())
	}
	for _, id := range ids[2:] {
		m, err := w.target.Manifest(t.Context(), id)
		w.must(err)
		_, err = w.restore(m, nil)
		w.must(err)
	}
	if p, err := w.target.Prune(t.Context(), 100, began.Add(2*24*time.Hour+backup.MaxAge+time.Minute)); err != nil || p.Backups != 1 || !slices.Equal(listed(), ids[3:]) {
		t.Errorf("what is older than it may be: %+v %v, %v stay", p, err, listed())
	}
}

func stored(t *testing.T, root string) map[string][]byte {
	all := map[string][]byte{}
	err := filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		all[strings.TrimPrefix(p, root+"/")] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
