//go:build torture

package persistence

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/metrics/failpoint"
)

// spoil has an order stand until the test ends.
func spoil(t *testing.T, o failpoint.Order) {
	t.Helper()
	failpoint.Take(o)
	t.Cleanup(func() { failpoint.Take(failpoint.Order{}) })
}

func wrote(t *testing.T, f vfs.File, text string) {
	t.Helper()
	if _, err := f.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.ReadFile(name); err != nil || string(got) != want {
		t.Errorf("%s holds %q (%v), want %q", filepath.Base(name), got, err, want)
	}
}

func TestSpoiledFS_ThrowsAwayWhatASyncThatFailedDidNotReach(t *testing.T) {
	name := filepath.Join(t.TempDir(), "1.log")
	f, err := systemFS().Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	wrote(t, f, "synced")
	if err := f.SyncData(); err != nil {
		t.Fatal(err)
	}
	spoil(t, failpoint.Order{SyncError: 2})
	wrote(t, f, ", too")
	if err := f.SyncData(); err != nil {
		t.Fatalf("the first sync is not the second: %v", err)
	}
	wrote(t, f, ", lost")
	content(t, name, "synced, too, lost")
	if err := f.SyncData(); !errors.Is(err, syscall.EIO) {
		t.Errorf("the second sync: %v, want EIO", err)
	}
	content(t, name, "synced, too")
}

func TestSpoiledFS_Lies(t *testing.T) {
	name := filepath.Join(t.TempDir(), "1.log")
	f, err := systemFS().Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spoil(t, failpoint.Order{SyncError: 1, Lie: true})
	wrote(t, f, "as if")
	if err := f.Sync(); err != nil {
		t.Errorf("a lie is no error: %v", err)
	}
	content(t, name, "as if")
}

func TestSpoiledFS_IsFull(t *testing.T) {
	dir := t.TempDir()
	f, err := systemFS().Create(filepath.Join(dir, "1.log"), vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	spoil(t, failpoint.Order{Full: true, Scarce: true})
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("write: %v, want ENOSPC", err)
	}
	if _, err := systemFS().Create(filepath.Join(dir, "2.log"), vfs.WriteCategoryUnspecified); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("create: %v, want ENOSPC", err)
	}
	if u, err := systemFS().GetDiskUsage(dir); err != nil || u.AvailBytes != 0 {
		t.Errorf("%d bytes are free (%v)", u.AvailBytes, err)
	}
}

// A step of the wall clock leaves the monotonic one alone, as in no time that a
// test could make otherwise.
func TestSweep_NoticesThatTheClockWasSetAhead(t *testing.T) {
	failpoint.Take(failpoint.Order{})
	watch := newStepWatch(failpoint.Now(), time.Now())
	for _, by := range []time.Duration{2 * time.Hour, -2 * time.Hour, 9 * 24 * time.Hour} {
		spoil(t, failpoint.Order{Clock: by})
		if ahead := watch.ahead(failpoint.Now(), time.Now()); (ahead - by).Abs() > time.Minute {
			t.Errorf("the clock was set %v ahead, and was found to be %v", by, ahead)
		}
	}
}
