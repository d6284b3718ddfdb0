package persistence

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// stalledFS is a file system whose logs do not sync while it is stalled.
type stalledFS struct {
	vfs.FS
	gate sync.RWMutex
	// waiting receives once for each sync that meets a stall.
	waiting chan struct{}
}

type stalledFile struct {
	vfs.File
	fs *stalledFS
}

func (f *stalledFS) stall()         { f.gate.Lock() }
func (f *stalledFS) release()       { f.gate.Unlock() }
func (f *stalledFS) Unwrap() vfs.FS { return f.FS }

func (f *stalledFS) wrap(name string, file vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return file, err
	}
	return &stalledFile{file, f}, nil
}

func (f *stalledFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.wrap(name, file, err)
}

func (f *stalledFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(from, to, c)
	return f.wrap(to, file, err)
}

func (f *stalledFile) hold() {
	if f.fs.gate.TryRLock() {
		f.fs.gate.RUnlock()
		return
	}
	select {
	case f.fs.waiting <- struct{}{}:
	default:
	}
	f.fs.gate.RLock()
	f.fs.gate.RUnlock()
}

func (f *stalledFile) Sync() error     { f.hold(); return f.File.Sync() }
func (f *stalledFile) SyncData() error { f.hold(); return f.File.SyncData() }
func (f *stalledFile) SyncTo(n int64) (bool, error) {
	f.hold()
	return f.File.SyncTo(n)
}

// TestViews_ShowNothingBeforeTheDiskHasIt holds the sync of a commit that
// readers of the database could see already.
func TestViews_ShowNothingBeforeTheDiskHasIt(t *testing.T) {
	fs := &stalledFS{FS: vfs.NewMem(), waiting: make(chan struct{}, 1)}
	s := storeOn(t, fs)
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	last := k.say(t, "durable").Pos
	tn, err := s.tenantAt("acme")
	mustPut(t, err)
	conv, _ := conversationBytes(k.place.Conversation)

	fs.stall()
	c := k.next("not yet")
	appended := make(chan chat.Receipt, 1)
	go func() {
		r, err := s.Append(t.Context(), c)
		if err != nil {
			t.Error(err)
		}
		appended <- r
	}()
	<-fs.waiting
	for { // the batch is applied beside the sync, not before it
		if _, found, err := s.get(tn.realm.event(nil, conv, c.State.Seq)); err != nil {
			t.Fatal(err)
		} else if found {
			break
		}
	}
	page, err := s.Views().Feed(t.Context(), "acme", last, 10)
	if err != nil || len(page) > 0 {
		t.Errorf("the feed shows %d events that are not durable (%v)", len(page), err)
	}
	events, err := s.Events("acme", k.place.Conversation, 0, 10)
	if err != nil || len(events) != 2 {
		t.Errorf("the journal shows %d events, 2 are durable (%v)", len(events), err)
	}
	mustPut(t, s.Export("acme", func(e chat.Event) error {
		if e.Pos > last {
			t.Errorf("the export has %d, durable is %d", e.Pos, last)
		}
		return nil
	}))
	views := make(chan chat.ConversationView, 1)
	woken := make(chan error, 1)
	go func() {
		v, err := s.Views().Conversation(t.Context(), "acme", k.place.Conversation)
		if err != nil {
			t.Error(err)
		}
		views <- v
	}()
	go func() { woken <- s.Views().WaitFeed(t.Context(), "acme", last) }()
	select {
	case r := <-appended:
		t.Errorf("answered %v before the sync", r.Answer)
	case <-views:
		t.Error("a view was shown before the sync")
	case <-woken:
		t.Error("a feed reader was woken before the sync")
	default:
	}
	fs.release()
	if r := <-appended; r.Answer != chat.Applied {
		t.Errorf("answer %v", r.Answer)
	}
	mustPut(t, <-woken)
	if v := <-views; v.State.Seq != c.State.Seq {
		t.Errorf("the view is at %d, want %d", v.State.Seq, c.State.Seq)
	}
	if page, err := s.Views().Feed(t.Context(), "acme", last, 10); err != nil || len(page) != 1 {
		t.Errorf("after the sync the feed shows %d events (%v)", len(page), err)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(viewCursor{1, 2, 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := parseCursor(s)
		if ok && c.String() != s {
			t.Errorf("%q is read as %v, which is written %q", s, c, c)
		}
	})
}

// FuzzKeys holds what is read from any key against what would be written.
func FuzzKeys(f *testing.F) {
	r := realmOf(3, "acme")
	id := id16{1, 2, 3}
	for _, key := range [][]byte{
		r.meta(nil), r.event(nil, id, 7), r.feed(nil, 7), r.view(nil, 1700000000000, id), r.counter(nil, "turns/2026-11-01"),
		appendDue(nil, 3, 1700000000000, "acme", id), appendExpiry(nil, 3, 20000, "acme", id),
		appendQuarantine(nil, 3, "meta", id), appendMeta(nil), keyEpoch(3), keyFormat(), {}, {2}, {2, 0, 3, 'T', 0},
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key []byte) {
		if n := comparer.Split(key); n < 0 || n > len(key) || comparer.Split(key[:n]) != n {
			t.Errorf("Split cuts %x at %d", key, n)
		}
		if prettyKey(key).String() == "" && len(key) > 0 {
			t.Errorf("%x has no readable form", key)
		}
		if at, tenant, c, ok := parseDue(key); ok {
			if again := appendDue(nil, groupOfKey(key), at, tenant, c); key[0] == spaceGroup && !bytes.Equal(again, key) {
				t.Errorf("due %x is written %x", key, again)
			}
		}
		if day, tenant, h, ok := parseExpiry(key); ok {
			if again := appendExpiry(nil, groupOfKey(key), day, tenant, h); key[0] == spaceGroup && !bytes.Equal(again, key) {
				t.Errorf("expiry %x is written %x", key, again)
			}
		}
		if r, kind, rest, ok := splitRealm(key); ok {
			if again := append(realmOf(r.group(), r.tenant()).kind(nil, kind), rest...); !bytes.Equal(again, key) {
				t.Errorf("%x is written %x", key, again)
			}
			if active, c, ok := parseView(rest); ok && kind == kindView {
				if again := r.view(nil, active, c); !bytes.Equal(again, key) {
					t.Errorf("view %x is written %x", key, again)
				}
			}
		}
		if end := prefixEnd(key); end != nil && bytes.Compare(key, end) >= 0 {
			t.Errorf("the end %x of %x is before it", end, key)
		}
	})
}
