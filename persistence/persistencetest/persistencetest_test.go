package persistencetest

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/persistence"
)

func TestStore_InMemory(t *testing.T) {
	Test(t, func(t testing.TB) persistence.Options {
		o := Options(t)
		o.FS, o.Dir = vfs.NewMem(), "data"
		return o
	})
}

func TestStore_OnDisk(t *testing.T) {
	Test(t, func(t testing.TB) persistence.Options {
		o := Options(t)
		o.Dir = t.TempDir()
		return o
	})
}
