package persistence

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

var strikeDay = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func openStrikes(t *testing.T, path string, now time.Time) *Strikes {
	t.Helper()
	s, err := OpenStrikes(path, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// abandon releases the mapping the way the end of a process does: nothing is
// cleared.
func abandon(t *testing.T, s *Strikes) {
	t.Helper()
	if err := s.region.close(); err != nil {
		t.Fatal(err)
	}
}

func strikesOf(s *Strikes, fingerprint uint64) int {
	slot, n := s.Enter(fingerprint)
	s.Leave(slot)
	return n
}

func TestStrikes_CountUncleanExitsOfWhatWasInStep(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strikes")
	for exit := range 3 {
		s := openStrikes(t, path, strikeDay)
		if _, n := s.Enter(7); n != exit {
			t.Fatalf("after %d unclean exits Enter says %d strikes", exit, n)
		}
		s.Enter(7) // twice at once is one strike
		slot, _ := s.Enter(8)
		s.Leave(slot)
		abandon(t, s)
	}
	s := openStrikes(t, path, strikeDay)
	if n := strikesOf(s, 7); n != 3 {
		t.Errorf("poison has %d strikes, want 3", n)
	}
	if n := strikesOf(s, 8); n != 0 {
		t.Errorf("an update that left Step has %d strikes, want 0", n)
	}
	abandon(t, s)
}

func TestStrikes_CloseClearsMarks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strikes")
	s := openStrikes(t, path, strikeDay)
	slot, _ := s.Enter(7)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.Leave(slot)
	if slot, _ := s.Enter(9); slot != -1 {
		t.Errorf("Enter after Close gave slot %d, want -1", slot)
	}
	s = openStrikes(t, path, strikeDay)
	if n := strikesOf(s, 7); n != 0 {
		t.Errorf("after an exit in good order: %d strikes, want 0", n)
	}
	abandon(t, s)
}

func TestStrikes_ForgottenAfterEightDays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strikes")
	s := openStrikes(t, path, strikeDay)
	s.Enter(7)
	abandon(t, s)
	s = openStrikes(t, path, strikeDay)
	abandon(t, s)
	s = openStrikes(t, path, strikeDay.Add(strikeKept-time.Hour))
	if n := strikesOf(s, 7); n != 1 {
		t.Errorf("within eight days: %d strikes, want 1", n)
	}
	abandon(t, s)
	s = openStrikes(t, path, strikeDay.Add(strikeKept+time.Hour))
	if n := strikesOf(s, 7); n != 0 {
		t.Errorf("after eight days: %d strikes, want 0", n)
	}
	abandon(t, s)
}

func TestStrikes_FullTableForgetsTheOldest(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strikes")
	s := openStrikes(t, path, strikeDay)
	s.Enter(1 << 40)
	abandon(t, s)
	s = openStrikes(t, path, strikeDay)
	for f := range uint64(slotMax) {
		if slot, _ := s.Enter(f); slot < 0 {
			t.Fatalf("slot %d is missing", f)
		}
	}
	if slot, _ := s.Enter(1 << 41); slot != -1 {
		t.Errorf("with every slot taken Enter gave %d, want -1", slot)
	}
	abandon(t, s)
	s = openStrikes(t, path, strikeDay.Add(time.Hour))
	if n := strikesOf(s, 1<<40); n != 0 {
		t.Errorf("the oldest of a full table has %d strikes, want 0", n)
	}
	if n := strikesOf(s, 5); n != 1 {
		t.Errorf("a newer one has %d strikes, want 1", n)
	}
	abandon(t, s)
}

func TestStrikes_ForeignBytesAreThrownAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "strikes")
	junk := make([]byte, 5000)
	for i := range junk {
		junk[i] = byte(i*7 + 1)
	}
	if err := os.WriteFile(path, junk, 0o600); err != nil {
		t.Fatal(err)
	}
	s := openStrikes(t, path, strikeDay)
	if len(s.struck) != 0 {
		t.Errorf("%d strikes read from foreign bytes", len(s.struck))
	}
	abandon(t, s)
}

func TestStrikes_ConcurrentSlotsAreDistinct(t *testing.T) {
	s := openStrikes(t, filepath.Join(t.TempDir(), "strikes"), strikeDay)
	var wg sync.WaitGroup
	for g := range uint64(8) {
		wg.Go(func() {
			for i := range uint64(500) {
				slot, _ := s.Enter(g<<32 | i)
				s.Leave(slot)
			}
		})
	}
	wg.Wait()
	if len(s.free) != slotMax {
		t.Errorf("%d slots free afterwards, want %d", len(s.free), slotMax)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
