package torture

import (
	"reflect"
	"testing"
	"time"
)

func TestDeck_DealsEveryKindInEachDeck(t *testing.T) {
	size := len(FaultKinds()) + len(often)
	d := newDeck(3)
	for range 20 {
		seen := map[FaultKind]int{}
		for range size {
			seen[d.next().Kind]++
		}
		for _, k := range FaultKinds() {
			if seen[k] == 0 {
				t.Errorf("%s is not in the deck", k)
			}
		}
	}
}

func TestDeck_IsTheSeedsAlone(t *testing.T) {
	deal := func(seed uint64) (out []Fault) {
		d := newDeck(seed)
		for range 100 {
			out = append(out, d.next())
		}
		return out
	}
	if !reflect.DeepEqual(deal(7), deal(7)) {
		t.Error("one seed, two plans")
	}
	if reflect.DeepEqual(deal(7), deal(8)) {
		t.Error("two seeds, one plan")
	}
}

func TestDeck_KeepsWithinBounds(t *testing.T) {
	d := newDeck(1)
	var pauses, short, overlaps int
	for range 5000 {
		f := d.next()
		if f.Lasts < 100*time.Millisecond || f.Lasts > pauseMax || f.Rest < time.Second {
			t.Fatalf("%+v is out of bounds", f)
		}
		if f.Kind == PauseNode {
			pauses++
			if f.Lasts < 5*time.Second {
				short++
			}
		}
		if f.With == nil {
			continue
		}
		overlaps++
		if f.With.Lasts > f.Lasts || f.With.With != nil {
			t.Fatalf("%+v outlasts %+v", f.With, f)
		}
		switch {
		case f.Kind == TwoDown || f.Kind == WipeDisk || f.Kind == Transfer:
			t.Fatalf("%s is not alone", f.Kind)
		case f.With.Kind != Transfer && f.With.Kind != KillNode:
			t.Fatalf("%s beside %s", f.With.Kind, f.Kind)
		}
	}
	if short < pauses/2 || short == pauses {
		t.Errorf("%d of %d pauses are short: most shall be, not all", short, pauses)
	}
	if overlaps == 0 {
		t.Error("faults never overlap")
	}
}
