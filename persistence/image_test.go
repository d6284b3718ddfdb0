package persistence

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// An image holds what was durable when it was made and nothing of later, and a store
// that is rebuilt from it holds the same, under an identity of its own.
func TestImage_RebuildsToTheSameState(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	ensure(t, s, "acme", "bolt")
	k, other := newTalker(t, s, "acme", 1), newTalker(t, s, "bolt", 2)
	for range 50 {
		k.say(t, "before")
		other.say(t, "before")
	}
	at, err := s.NewImage()
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.StateSums(ctx, s.GroupIDs())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.NewImage(); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a second image at the same time: %v", err)
	}
	k.say(t, "after")
	if after, err := s.StateSums(ctx, s.GroupIDs()); err != nil || SumOf(after) == SumOf(before) {
		t.Errorf("another message, the same sum (%v)", err)
	}

	image, err := s.OpenImage(at)
	if err != nil {
		t.Fatal(err)
	}
	if sums, err := image.StateSums(ctx, image.GroupIDs()); err != nil || SumOf(sums) != SumOf(before) {
		t.Errorf("the image holds another state (%v)", err)
	}
	o := testOptions(t, fs)
	o.Dir, o.Groups = "copy", 0
	// The parts may come from several nodes.
	from := []Source{{image, image.GroupIDs()[2:]}, {image, image.GroupIDs()[:2]}}
	if err := Rebuild(ctx, o, from[:1], Hold{Since: epoch0, Backup: "b"}); chat.KindOf(err) != chat.KindCorrupt {
		t.Errorf("a store of some groups: %v", err)
	}
	mustPut(t, Rebuild(ctx, o, from, Hold{Since: epoch0, Backup: "b"}))
	mustPut(t, image.Close())
	mustPut(t, at.Drop())
	if names, _ := fs.List("data"); slices.Contains(names, imageDir) {
		t.Error("the image stays")
	}

	c := openTest(t, o)
	defer func() { mustPut(t, c.Close()) }()
	if sums, err := c.StateSums(ctx, c.GroupIDs()); err != nil || SumOf(sums) != SumOf(before) {
		t.Errorf("the copy holds another state (%v)", err)
	}
	if c.Identity() == s.Identity() {
		t.Error("the copy passes for the store it is of")
	}
	mustCheck(t, c)
	if events, err := c.Events("acme", k.place.Conversation, 0, 100); err != nil || len(events) != 51 {
		t.Errorf("%d events, %v", len(events), err)
	}
}

// What a crash leaves of an image pins tables that hold what was erased since.
func TestImage_OfACrashIsRemoved(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := storeOn(t, fs)
	ensure(t, s, "acme")
	newTalker(t, s, "acme", 1).say(t, "hello")
	if _, err := s.NewImage(); err != nil {
		t.Fatal(err)
	}
	after := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 0})
	if names, _ := after.List("data"); !slices.Contains(names, imageDir) {
		t.Fatal("the test has no image to remove")
	}
	s = storeOn(t, after)
	if names, _ := after.List("data"); slices.Contains(names, imageDir) {
		t.Error("the image stays")
	}
	mustCheck(t, s)
}

// A restored store acts only once it is let.
func TestDirectory_HoldEndsForGood(t *testing.T) {
	fs, ctx := vfs.NewMem(), t.Context()
	s := storeOn(t, fs)
	d, err := OpenDirectory(ctx, s, chat.Settings{})
	mustPut(t, err)
	mustPut(t, d.PutTenant(ctx, chat.Tenant{ID: "acme"}))
	if _, held := d.Hold(); held {
		t.Error("a store that was not restored is held")
	}
	mustPut(t, d.Release(ctx))
	at, err := s.NewImage()
	mustPut(t, err)
	image, err := s.OpenImage(at)
	mustPut(t, err)
	o := testOptions(t, fs)
	o.Dir, o.Groups = "copy", 0
	mustPut(t, Rebuild(ctx, o, []Source{{image, image.GroupIDs()}}, Hold{Since: epoch0, Backup: "b"}))
	mustPut(t, image.Close())
	for start, want := range []bool{true, true, false} {
		c := openTest(t, o)
		d, err := OpenDirectory(ctx, c, chat.Settings{})
		mustPut(t, err)
		h, held := d.Hold()
		if held != want || held && (h.Backup != "b" || !h.Since.Equal(epoch0)) {
			t.Errorf("start %d: held %v by %+v, want %v", start, held, h, want)
		}
		mustCheck(t, c)
		if start == 1 {
			mustPut(t, d.Release(ctx))
			if _, held := d.Hold(); held {
				t.Error("a store that was let act is held")
			}
		}
		mustPut(t, c.Close())
	}
}
