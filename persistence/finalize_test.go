package persistence

import (
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// The builds of an upgrade: the next one knows a format that this one does not.
var (
	thisBuild = Formats{FormatOldest, FormatNewest}
	nextBuild = Formats{FormatOldest, FormatNewest + 1}
)

// upgraded are the options of a store that the next build opens.
func upgraded(t testing.TB, fs vfs.FS) Options {
	o := testOptions(t, fs)
	o.Formats = nextBuild
	return o
}

// foundHome makes the store one of a cluster.
func foundHome(t testing.TB, d *Directory) {
	t.Helper()
	mustPut(t, d.Change(t.Context(), func(c *Change) error {
		return c.PutCluster(Cluster{ID: "home", KEK: testKEK(t).Fingerprint(), Groups: 4})
	}))
}

func finalizeTo(v FormatVersion) func(*Change) error {
	return func(c *Change) error { return c.Finalize(v) }
}

// formatIs expects the active format, in the store and in the directory.
func formatIs(t *testing.T, s *Store, d *Directory, want FormatVersion) {
	t.Helper()
	stored, _, err := readFormat(s.db)
	cl, _ := d.Cluster()
	if err != nil || s.Format() != want || stored != want || cl.Format != want {
		t.Errorf("format %d, in the store %d, of the cluster %d, %v; want %d", s.Format(), stored, cl.Format, err, want)
	}
}

// TestFinalize_EndsTheWayBack: the next build writes the format of before until it is
// told otherwise, so that this one can have the store back; then it cannot.
func TestFinalize_EndsTheWayBack(t *testing.T) {
	fs := vfs.NewMem()
	o, before := upgraded(t, fs), testOptions(t, fs)
	s := openTest(t, before)
	foundHome(t, directoryOf(t, s))
	mustPut(t, s.Close())

	s = openTest(t, o)
	d := directoryOf(t, s)
	ensure(t, s, "acme")
	newTalker(t, s, "acme", 1).say(t, "by the next build")
	formatIs(t, s, d, FormatNewest)
	mustPut(t, s.Close())
	s = openTest(t, before)
	newTalker(t, s, "acme", 2).say(t, "by this one again")
	mustCheck(t, s)
	mustPut(t, s.Close())

	s = openTest(t, o)
	d = directoryOf(t, s)
	mustPut(t, d.Change(t.Context(), finalizeTo(FormatNewest+1)), d.Change(t.Context(), finalizeTo(FormatNewest)))
	formatIs(t, s, d, FormatNewest+1)
	if err := d.Change(t.Context(), finalizeTo(FormatNewest+2)); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("finalized to what the build does not know: %v", err)
	}
	newTalker(t, s, "acme", 3).say(t, "in the new format")
	mustCheck(t, s)
	mustPut(t, s.Close())
	refused(t, before, chat.KindInvalid, "format 7", "up to 6", "newer binary")
	s = openTest(t, o)
	formatIs(t, s, directoryOf(t, s), FormatNewest+1)
	mustPut(t, s.Close())
}

// TestFinalize_OfANodeAlone: a new store has the oldest format that its build can
// write, and one of before is brought to the newest on demand only.
func TestFinalize_OfANodeAlone(t *testing.T) {
	o := upgraded(t, vfs.NewMem())
	s := openTest(t, o)
	if s.Format() != FormatOldest {
		t.Errorf("a new store has format %d", s.Format())
	}
	mustPut(t, s.Finalize(), s.Finalize(), s.Close())
	s = openTest(t, o)
	if s.Format() != nextBuild.Newest || s.Writable() != nil {
		t.Errorf("format %d after it was finalized, %v", s.Format(), s.Writable())
	}
	mustPut(t, s.Close())
	o.Formats = Formats{nextBuild.Newest + 1, nextBuild.Newest + 2}
	s = openTest(t, o)
	if err := s.Writable(); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("a build that cannot write the store's format may: %v", err)
	}
	mustPut(t, s.Finalize(), s.Writable(), s.Close())
}

// TestRound_UnknownFormatEndsTheProcess: nothing of a format that this build does not
// know comes into its store. A finalize that another change of the directory came
// before is no such thing: the condition of plain rows means the same to every build.
func TestRound_UnknownFormatEndsTheProcess(t *testing.T) {
	s := storeOn(t, vfs.NewMem())
	ensure(t, s, "acme")
	at := appendQuarantine(nil, 0, "meta", id16{1})
	next := uint32(FormatNewest + 1)
	stage := func(c *recordpb.Commit) (Outcome, error) {
		r := s.NewRound()
		out, err := r.Stage(0, s.Epoch(0), c)
		b := s.db.NewBatch()
		mustPut(t, r.Write(b), b.Close())
		r.Applied(0)
		return out, err
	}
	if out, err := stage(&recordpb.Commit{Format: next, Writes: []*recordpb.Write{{Key: at, Value: []byte("x"), Was: []byte("y")}}}); err != nil || out.Answer != chat.Duplicate {
		t.Errorf("a condition that does not hold: %v %v", out.Answer, err)
	}
	for name, c := range map[string]*recordpb.Commit{
		"plain rows":        {Writes: []*recordpb.Write{{Key: at, Value: []byte("x")}}},
		"of an activation":  {Tenant: "acme", Epoch: uint64(s.Epoch(0))},
		"of a former epoch": {Tenant: "acme"},
	} {
		c.Format = next
		if _, err := stage(c); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.Format() != FormatNewest {
		t.Errorf("the store has format %d", s.Format())
	}
}

// TestFinalize_PowerCutAtEveryWrite: at no moment does the disk hold a finalized
// cluster in a store that says less, and what was acknowledged is there.
func TestFinalize_PowerCutAtEveryWrite(t *testing.T) {
	disk := vfs.NewCrashableMem()
	var cuts []*vfs.MemFS
	cutting := false
	fs := errorfs.Wrap(disk, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if cutting && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			for _, kept := range []int{0, 50, 100} {
				cuts = append(cuts, disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: kept, RNG: rand.New(rand.NewPCG(uint64(len(cuts)), 1))}))
			}
		}
		return nil
	}))
	s := openTest(t, upgraded(t, fs))
	d := directoryOf(t, s)
	foundHome(t, d)
	cutting = true
	mustPut(t, d.Change(t.Context(), finalizeTo(nextBuild.Newest)))
	cutting = false
	acknowledged := disk.CrashClone(vfs.CrashCloneCfg{})
	mustPut(t, s.Close())

	seen := map[FormatVersion]int{}
	for i, cut := range append(cuts, acknowledged) {
		s := openTest(t, upgraded(t, cut))
		known, err := ReadMembership(s)
		mustPut(t, err, s.Close())
		if known.Cluster.Format > s.Format() || i == len(cuts) && known.Cluster.Format != nextBuild.Newest {
			t.Errorf("cut %d: the cluster has format %d, the store %d", i, known.Cluster.Format, s.Format())
		}
		seen[known.Cluster.Format]++
		if known.Cluster.Format == nextBuild.Newest {
			refused(t, testOptions(t, cut), chat.KindInvalid, "format 7", "newer binary")
		} else {
			mustPut(t, openTest(t, testOptions(t, cut)).Close())
		}
	}
	if len(cuts) == 0 || seen[FormatNewest] == 0 || seen[nextBuild.Newest] == 0 {
		t.Errorf("%d cuts, by format of the cluster %v", len(cuts), seen)
	}
}

// TestFinalize_AnImageHasIt: what is restored has the newest format of its parts.
func TestFinalize_AnImageHasIt(t *testing.T) {
	fs := vfs.NewMem()
	var from []Source
	for i, dir := range []string{"one", "two"} {
		o := upgraded(t, fs)
		o.Dir = dir
		s := openTest(t, o)
		ensure(t, s, "acme")
		directoryOf(t, s)
		if i == 1 {
			mustPut(t, s.Finalize())
			newTalker(t, s, "acme", 1).say(t, "in the new format")
		}
		at, err := s.NewImage()
		mustPut(t, err)
		image, err := s.OpenImage(at)
		mustPut(t, err)
		from = append(from, Source{image, image.GroupIDs()[2*i : 2+3*i]})
		defer func() { mustPut(t, image.Close(), at.Drop(), s.Close()) }()
	}
	copied := upgraded(t, fs)
	copied.Dir, copied.Groups = "copy", 0
	mustPut(t, Rebuild(t.Context(), copied, from, Hold{Since: epoch0, Backup: "b"}))
	s := openTest(t, copied)
	if s.Format() != nextBuild.Newest {
		t.Errorf("what was restored has format %d", s.Format())
	}
	mustPut(t, s.Close())
	copied.Formats = thisBuild
	refused(t, copied, chat.KindInvalid, "format 7", "up to 6", "newer binary")
}
