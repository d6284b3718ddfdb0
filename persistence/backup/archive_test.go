package backup_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
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

// town is a store with its directory and files, all on one file system.
type town struct {
	*testing.T
	options   persistence.Options
	store     *persistence.Store
	directory *persistence.Directory
	media     *blob.Dir
}

// newTown opens a town on a file system. number makes its key-encryption key and its
// number of groups.
func newTown(t *testing.T, fs vfs.FS, number int) *town {
	t.Helper()
	o := persistencetest.Options(t)
	kek, err := seal.NewKEK(bytes.Repeat([]byte{byte(number)}, seal.KeyLen))
	w := &town{T: t, options: o}
	w.must(err)
	w.options.Dir, w.options.FS, w.options.KEK, w.options.Groups = "data", fs, kek, number
	w.store, err = persistence.Open(w.options)
	w.must(err)
	_, err = replica.Start(w.store, replica.Options{Logger: slog.New(slog.DiscardHandler)})
	w.must(err)
	w.directory, err = persistence.OpenDirectory(t.Context(), w.store, chat.Settings{})
	w.must(err)
	w.media, err = blob.OpenDir(fs, "media", 0)
	w.must(err)
	return w
}

func (w *town) must(errs ...error) {
	w.Helper()
	for _, err := range errs {
		if err != nil {
			w.Fatal(err)
		}
	}
}

// close checks the store and closes it.
func (w *town) close() {
	w.Helper()
	report, err := w.store.Check(context.WithoutCancel(w.Context()), nil)
	w.must(err, w.store.Close())
	for _, v := range report.Violations {
		w.Error(v)
	}
}

var archiveKey = func() backup.Key {
	kek, err := seal.NewKEK(bytes.Repeat([]byte{99}, seal.KeyLen))
	if err != nil {
		panic(err)
	}
	return backup.NewKey(kek)
}()

const theApp = chat.AppID("the-app")

func (w *town) putApp() {
	w.Helper()
	w.must(w.directory.PutApp(w.Context(), chat.App{ID: theApp, Secrets: []chat.Secret{"s"}, VerifyTokens: []chat.Secret{"v"}}))
}

// settle makes a tenant with a channel, an API key and a member.
func (w *town) settle(id chat.TenantID, account string) {
	w.Helper()
	w.must(w.directory.PutTenant(w.Context(), chat.Tenant{ID: id, Name: "The " + string(id)}),
		w.directory.PutChannel(w.Context(), chat.Channel{ID: chat.ChannelID(id + "-wa"), Tenant: id, App: theApp, Kind: chat.WhatsApp,
			Account: account, WABA: "7" + account, Token: "token-of-" + chat.Secret(id)}),
		w.directory.PutAPIKey(w.Context(), id, "key-of-"+chat.Secret(id), []string{"*"}),
		w.directory.PutMember(w.Context(), persistence.Member{Tenant: id, Email: "ada@" + string(id) + ".test", Role: "owner"}, "a password"))
}

// say has a person write, and returns them.
func (w *town) say(id chat.TenantID, person int, text string, times int) *persistencetest.Person {
	w.Helper()
	p, err := persistencetest.NewPerson(w.store, id, person)
	w.must(err)
	if p.Place.Found {
		p.State, _, err = w.store.Load(id, p.Place.Conversation)
		w.must(err)
	}
	for range times {
		c := p.Message(text)
		c.Docs = []chat.Doc{{Noun: chat.DocTemplate, ID: fmt.Sprint("template ", person), Value: []byte(`{"name":"hello"}`)}}
		r, err := w.store.Append(w.Context(), c)
		w.must(err)
		if r.Answer != chat.Applied {
			w.Fatal(r.Answer)
		}
		p.Adopt(c)
	}
	return p
}

// keep stores a file of a conversation, and returns what opens it.
func (w *town) keep(id chat.TenantID, p *persistencetest.Person, content string) chat.Kept {
	w.Helper()
	stem, ok := chat.MediaStem(chat.MessageIDAt(p.Place.Conversation, 2), 0)
	if !ok {
		w.Fatal("a message has no stem")
	}
	k, err := blob.New(w.media).Keep(w.Context(), id, stem, strings.NewReader(content))
	w.must(err)
	return k
}

func (w *town) export(id chat.TenantID) []byte {
	w.Helper()
	var out bytes.Buffer
	_, err := backup.WriteArchive(w.Context(), &out, archiveKey, backup.ArchiveSource{Store: w.store, Tenant: id, Media: w.media, Made: now})
	w.must(err)
	return out.Bytes()
}

// take imports an archive.
func (w *town) take(ctx context.Context, archive []byte, erased ...persistence.Tombstone) (int, error) {
	a, err := backup.OpenArchive(ctx, bytes.NewReader(archive), "acme.archive", archiveKey, nil)
	if err != nil {
		return 0, err
	}
	return a.Import(ctx, backup.ImportOptions{Directory: w.directory, Media: w.media, Erased: erased})
}

func (w *town) sum(id chat.TenantID) string {
	w.Helper()
	sum, err := w.store.TenantSum(w.Context(), id)
	w.must(err)
	return sum.String()
}

// source is a town with tenant acme, whose archives are above a few pieces.
func source(t *testing.T) (*town, *persistencetest.Person) {
	w := newTown(t, vfs.NewMem(), 4)
	t.Cleanup(w.close)
	w.putApp()
	w.settle("acme", "1001")
	w.settle("bolt", "1002")
	p := w.say("acme", 1, "canary "+strings.Repeat("x", 1000), 120)
	for n := 2; n < 9; n++ {
		w.say("acme", n, strings.Repeat("y", 1000), 10)
	}
	w.say("bolt", 1, "of bolt", 3)
	return w, p
}

// settled is a town with a tenant beside, where an archive can go.
func settled(t *testing.T, fs vfs.FS) *town {
	w := newTown(t, fs, 9)
	w.putApp()
	w.settle("beside", "2001")
	w.say("beside", 1, "of somebody else", 5)
	return w
}

// A tenant that was exported and imported, into a store with another key and other
// groups, adds up to the same, is held, and goes on where it was; who is beside it stays
// as they were.
func TestArchive_BringsTheSameTenant(t *testing.T) {
	from, p := source(t)
	kept := from.keep("acme", p, strings.Repeat("picture", 100_000))
	archive := from.export("acme")
	for _, word := range []string{"canary", "token-of-acme", "ada@acme", p.Address.Value} {
		if bytes.Contains(archive, []byte(word)) {
			t.Errorf("the archive shows %q", word)
		}
	}
	to := settled(t, vfs.NewMem())
	defer to.close()
	beside := to.sum("beside")
	if n, err := to.take(t.Context(), archive); err != nil || n != 0 {
		t.Fatalf("%d %v", n, err)
	}
	if got, want := to.sum("acme"), from.sum("acme"); got != want {
		t.Errorf("the state is %s, where it comes from %s", got, want)
	}
	if to.sum("beside") != beside {
		t.Error("the tenant beside it changed")
	}
	if held, came := to.directory.Arrivals()["acme"]; !held || !came || len(to.directory.Arrivals()) != 1 {
		t.Errorf("arrivals are %v", to.directory.Arrivals())
	}

	// What reads it finds what there was.
	if ch, ok := to.directory.Channel(theApp, chat.WhatsApp, "1001", ""); !ok || ch.Tenant != "acme" || ch.Token != "token-of-acme" {
		t.Errorf("the channel is %+v", ch)
	}
	if k, ok := to.directory.Authenticate("key-of-acme"); !ok || k.Tenant != "acme" {
		t.Error("the API key does not open")
	}
	wrote := func(w *town) (all []string) {
		w.must(w.store.Export("acme", func(e chat.Event) error {
			all = append(all, fmt.Sprint(e.Pos, e.Seq, e.Kind, e.Conversation, e.Message))
			return nil
		}))
		page, _, err := w.store.Views().Conversations(t.Context(), "acme", "", 100)
		w.must(err)
		for _, c := range page {
			all = append(all, fmt.Sprintf("%+v", c))
		}
		for n := chat.Group(0); int(n) < w.store.Groups(); n++ {
			rows, _, err := w.store.Due(n, now.Add(1000*time.Hour), nil, 1000)
			w.must(err)
			for _, o := range rows {
				if o.Tenant == "acme" {
					all = append(all, fmt.Sprint("due ", o.Conversation, o.At))
				}
			}
		}
		return all
	}
	if got, want := wrote(to), wrote(from); !slices.Equal(got, want) || len(want) < 200 {
		t.Errorf("%d lines, where it comes from %d", len(got), len(want))
	}
	r, err := blob.New(to.media).Open(t.Context(), "acme", kept.Blob, kept.Key, 0)
	to.must(err)
	if b, err := io.ReadAll(r); err != nil || string(b) != strings.Repeat("picture", 100_000) {
		t.Errorf("the file came with %d bytes: %v", len(b), err)
	}

	// It goes on, and is exported again.
	to.must(to.directory.ReleaseTenant(t.Context(), "acme"), to.directory.ReleaseTenant(t.Context(), "acme"))
	if to.directory.Arrivals()["acme"] {
		t.Error("it is held after its release")
	}
	last := p.State.Seq
	if p := to.say("acme", 1, "it goes on", 1); p.State.Seq != last+1 {
		t.Errorf("the conversation went on at %d after %d", p.State.Seq, last)
	}
	third := settled(t, vfs.NewMem())
	defer third.close()
	_, err = third.take(t.Context(), to.export("acme"))
	third.must(err)
	if third.sum("acme") != to.sum("acme") {
		t.Error("the export of an import has another state")
	}
}

func TestArchive_IsRefusedWhereItsNamesAreTaken(t *testing.T) {
	from, _ := source(t)
	archive := from.export("acme")
	for name, c := range map[string]struct {
		prepare func(w *town)
		want    string
	}{
		"the tenant":  {func(w *town) { w.settle("acme", "3001") }, "tenant acme exists already"},
		"the account": {func(w *town) { w.settle("other", "1001") }, "account 1001 is bound"},
		"the API key": {func(w *town) { w.must(w.directory.PutAPIKey(w.Context(), "beside", "key-of-acme", []string{"*"})) }, "this API key is another tenant's"},
		"the id of a channel": {func(w *town) {
			w.must(w.directory.PutChannel(w.Context(), chat.Channel{ID: "acme-wa", Tenant: "beside", App: theApp, Kind: chat.WhatsApp, Account: "4"}))
		}, "channel acme-wa exists already"},
		"the app is not there": {nil, `there is no app "the-app"`},
	} {
		to := newTown(t, vfs.NewMem(), 3)
		if c.prepare != nil {
			to.putApp()
			to.must(to.directory.PutTenant(t.Context(), chat.Tenant{ID: "beside"}))
			c.prepare(to)
		}
		before, err := to.store.StateSums(t.Context(), to.store.GroupIDs())
		to.must(err)
		if _, err := to.take(t.Context(), archive); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		after, err := to.store.StateSums(t.Context(), to.store.GroupIDs())
		to.must(err)
		if persistence.SumOf(before) != persistence.SumOf(after) {
			t.Errorf("%s: something was written", name)
		}
		to.close()
	}
}

// Whatever byte of an archive is not what it was, and wherever it is cut, it is refused
// by name, and nothing is written.
func TestArchive_DamageIsRefusedBeforeAnythingIsWritten(t *testing.T) {
	from, p := source(t)
	from.keep("acme", p, strings.Repeat("picture", 50_000))
	archive := from.export("acme")
	to := settled(t, vfs.NewMem())
	defer to.close()
	before, err := to.store.StateSums(t.Context(), to.store.GroupIDs())
	to.must(err)
	refused := func(what string, bad []byte) {
		t.Helper()
		if _, err := to.take(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "acme.archive") {
			t.Errorf("%s: %v", what, err)
		}
	}
	parts := map[string]bool{}
	for at := 0; at < len(archive); at += 9_973 {
		bad := bytes.Clone(archive)
		bad[at] ^= 1
		refused(fmt.Sprint("a flipped bit at ", at), bad)
		refused(fmt.Sprint("cut at ", at), archive[:at])
		_, err := backup.OpenArchive(t.Context(), bytes.NewReader(bad), "acme.archive", archiveKey, nil)
		for _, part := range []string{"first line", "the manifest", "row ", "file "} {
			parts[part] = parts[part] || strings.Contains(fmt.Sprint(err), part)
		}
	}
	for part, named := range parts {
		if !named {
			t.Errorf("no damage was named as of %s", part)
		}
	}
	refused("without its last byte", archive[:len(archive)-1])
	refused("longer", append(bytes.Clone(archive), 0))
	refused("another file", []byte("not an archive\n"))
	refused("of a newer format", bytes.Replace(bytes.Clone(archive), []byte("archive 1 "), []byte("archive 2 "), 1))
	kek, err := seal.NewKEK(bytes.Repeat([]byte{98}, seal.KeyLen))
	to.must(err)
	if _, err := backup.OpenArchive(t.Context(), bytes.NewReader(archive), "acme.archive", backup.NewKey(kek), nil); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("another key: %v", err)
	}
	after, err := to.store.StateSums(t.Context(), to.store.GroupIDs())
	to.must(err)
	if persistence.SumOf(before) != persistence.SumOf(after) {
		t.Error("something of a damaged archive was written")
	}
	if _, err := to.take(t.Context(), archive); err != nil {
		t.Errorf("the archive itself: %v", err)
	}
}

// Who was erased does not come back: neither who was erased before the archive was made,
// nor who was since.
func TestArchive_WhoWasErasedStaysErased(t *testing.T) {
	from, first := source(t)
	second, err := persistencetest.NewPerson(from.store, "acme", 2)
	from.must(err)
	_, err = from.store.Erase(t.Context(), "acme", first.Place.Contact)
	from.must(err)
	archive := from.export("acme")
	_, err = from.store.Erase(t.Context(), "acme", second.Place.Contact)
	from.must(err)
	erased, err := from.store.Tombstones(t.Context())
	from.must(err)
	to := settled(t, vfs.NewMem())
	defer to.close()
	n, err := to.take(t.Context(), archive, append(erased, persistence.Tombstone{Tenant: "beside", Contact: first.Place.Contact, At: now})...)
	to.must(err)
	if n != 1 {
		t.Errorf("%d persons were erased again, want the one who was since", n)
	}
	for who, p := range map[string]*persistencetest.Person{"before": first, "since": second} {
		events, err := to.store.Events("acme", p.Place.Conversation, 0, 1000)
		to.must(err)
		for _, e := range events {
			if e.Message != nil {
				t.Errorf("a message of who was erased %s came back", who)
				break
			}
		}
		if _, err := to.store.ErasedAt("acme", p.Place.Contact); err != nil || len(events) == 0 {
			t.Errorf("who was erased %s has %d events and %v", who, len(events), err)
		}
		again, err := persistencetest.NewPerson(to.store, "acme", map[string]int{"before": 1, "since": 2}[who])
		to.must(err)
		if again.Place.Found || again.Place.Contact == p.Place.Contact {
			t.Errorf("who writes from the address of who was erased %s is the same person", who)
		}
	}
}

// syncing tells of every sync before it is made.
type syncing struct {
	vfs.FS
	tell func()
}

type syncingFile struct {
	vfs.File
	tell func()
}

func (f syncingFile) Sync() error     { f.tell(); return f.File.Sync() }
func (f syncingFile) SyncData() error { f.tell(); return f.File.SyncData() }

func (s syncing) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, c)
	return syncingFile{f, s.tell}, err
}

func (s syncing) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.ReuseForWrite(old, name, c)
	return syncingFile{f, s.tell}, err
}

// An import whose process dies, at whatever write, leaves nobody who can be seen, or the
// whole tenant, held; repeated it comes to its end, and to the same.
func TestArchive_ImportSurvivesPowerCuts(t *testing.T) {
	from, p := source(t)
	from.keep("acme", p, "a picture")
	archive, want := from.export("acme"), from.sum("acme")
	mem := vfs.NewCrashableMem()
	var mu sync.Mutex
	var cuts []vfs.FS
	watching := false
	to := settled(t, syncing{mem, func() {
		mu.Lock()
		defer mu.Unlock()
		if watching {
			cuts = append(cuts, mem.CrashClone(vfs.CrashCloneCfg{}))
		}
	}})
	beside := to.sum("beside")
	mu.Lock()
	watching = true
	mu.Unlock()
	_, err := to.take(t.Context(), archive)
	mu.Lock()
	watching = false
	mu.Unlock()
	to.must(err)
	to.close()
	seen := map[string]int{}
	for n, fs := range append(cuts, mem.CrashClone(vfs.CrashCloneCfg{})) {
		w := newTown(t, fs, 9)
		report, err := w.store.Check(t.Context(), nil)
		w.must(err)
		if report.Broken > 0 {
			t.Errorf("cut %d: %v", n, report.Violations)
		}
		if tenants := w.directory.Tenants(); len(tenants) == 1 {
			seen["nobody"]++
			if _, ok := w.directory.Authenticate("key-of-acme"); ok {
				t.Errorf("cut %d: nobody is there and an API key opens", n)
			}
			if err := w.directory.PutTenant(t.Context(), chat.Tenant{ID: "acme"}); w.directory.Arrivals()["acme"] && chat.KindOf(err) != chat.KindConflict {
				t.Errorf("cut %d: a tenant is made in the middle of its import: %v", n, err)
			} else if err == nil {
				w.must(w.store.Close()) // nothing of the import was there yet
				continue
			}
			_, err := w.take(t.Context(), archive)
			w.must(err)
		} else {
			seen["held"]++
		}
		if w.sum("acme") != want || w.sum("beside") != beside || !w.directory.Arrivals()["acme"] {
			t.Errorf("cut %d: the tenant is not what it was, or not held, or the one beside it changed", n)
		}
		w.close()
	}
	if seen["nobody"] < 8 || seen["held"] < 1 {
		t.Errorf("of %d cuts %v", len(cuts), seen)
	}
}

// What an import that was given up still has under way changes nothing.
func TestArchive_ALateImportWritesNothing(t *testing.T) {
	from, _ := source(t)
	var records []persistence.Piece
	var keys []byte
	var row persistence.Piece
	from.must(from.store.TenantPieces(t.Context(), "acme", func(p persistence.Piece) error {
		p.Key, p.Value = bytes.Clone(p.Key), bytes.Clone(p.Value)
		switch p.Kind {
		case persistence.PieceRecord:
			records = append(records, p)
		case persistence.PieceKeys:
			keys = p.Value
		default:
			row = p
		}
		return nil
	}))
	to := settled(t, vfs.NewMem())
	defer to.close()
	late, err := to.directory.Import(t.Context(), "the archive", records, keys)
	to.must(err)
	// Rows enough that some are there, and in no archive.
	for n := range 4 {
		to.must(late.Put(t.Context(), persistence.Piece{Kind: persistence.PieceRow, Key: fmt.Appendf(nil, "Tustray%d", n), Value: bytes.Repeat([]byte{1}, 40_000)}))
	}
	_, err = to.take(t.Context(), from.export("acme"))
	to.must(err)
	row.Value = []byte("late")
	to.must(late.Put(t.Context(), row))
	if _, err := late.Finish(t.Context(), persistence.StateSum{}, nil); chat.KindOf(err) != chat.KindConflict {
		t.Errorf("a late import: %v", err)
	}
	if to.sum("acme") != from.sum("acme") {
		t.Error("a late import changed the tenant")
	}
}

// TestArchive_WaitsForItsFormat: rows of a newer format must not come into a store where
// nodes that do not know it still have a place.
func TestArchive_WaitsForItsFormat(t *testing.T) {
	from, _ := source(t)
	to := settled(t, vfs.NewMem())
	a, err := backup.OpenArchive(t.Context(), bytes.NewReader(from.export("acme")), "acme.archive", archiveKey, nil)
	to.must(err)
	if a.Manifest.Store != from.store.Format() {
		t.Errorf("an archive of format %d", a.Manifest.Store)
	}
	a.Manifest.Store = to.store.Format() + 1
	_, err = a.Import(t.Context(), backup.ImportOptions{Directory: to.directory})
	if chat.KindOf(err) != chat.KindConflict || !strings.Contains(err.Error(), "format 7, 6 is written here: run chumi cluster finalize") {
		t.Errorf("imported: %v", err)
	}
	if slices.ContainsFunc(to.directory.Tenants(), func(t chat.Tenant) bool { return t.ID == "acme" }) {
		t.Error("something of the archive came in")
	}
}
