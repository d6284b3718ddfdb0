package persistence

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// After a settled stop the logs hold nothing that the tables do not.
func TestStore_SettleLeavesNothingToTheLogs(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(t, fs)
	s := openTest(t, o)
	ensure(t, s, "acme")
	k := newTalker(t, s, "acme", 1)
	for range 20 {
		k.say(t, "hello")
	}
	want := mustCheck(t, s).Events
	if err := s.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := fs.List(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	emptied := 0
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		f, err := fs.Create(fs.PathJoin(o.Dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		emptied++
	}
	again := openTest(t, o)
	defer again.Close()
	if got := mustCheck(t, again).Events; got != want || want < 20 || emptied == 0 {
		t.Errorf("%d events without the %d logs, %d with them", got, emptied, want)
	}
}
