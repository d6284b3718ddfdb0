package bench

import "testing"

// climb runs a search against a server that keeps up to limit, and returns what it
// found and how many tries that took.
func climb(begin, limit float64, tries int) (found float64, exact bool, took int) {
	l := newLadder(rungAt(begin), tries)
	for {
		rate, more := l.next()
		if !more {
			found, exact = l.found()
			return found, exact, took
		}
		took++
		l.tell(rate <= limit)
	}
}

func TestLadder_FindsTheHighestRateThatPasses(t *testing.T) {
	for _, limit := range []float64{100, 119, 900, 3333, 20000, 87654, 900000} {
		for _, begin := range []float64{1, 500, 4000, 30000, 1e9} {
			found, exact, took := climb(begin, limit, 100)
			if want := rungRate(rungAt(limit)); found != want || !exact {
				t.Errorf("from %v with limit %v: found %v, exact %v; want %v", begin, limit, found, exact, want)
			}
			if took > 18 {
				t.Errorf("from %v with limit %v it took %d tries", begin, limit, took)
			}
		}
	}
}

func TestLadder_FromTheLastResultTakesTwoTries(t *testing.T) {
	if found, exact, took := climb(5000, 5000, 3); !exact || took != 2 || found != rungRate(rungAt(5000)) {
		t.Errorf("found %v, exact %v, after %d tries", found, exact, took)
	}
}

func TestLadder_SaysWhenTheTriesRanOut(t *testing.T) {
	if found, exact, took := climb(1000, 50000, 3); exact || took != 3 || found >= 50000 || found < 1000 {
		t.Errorf("found %v, exact %v, after %d tries: three tries cannot know that", found, exact, took)
	}
	if found, exact, _ := climb(1000, 10, 3); exact || found != 0 {
		t.Errorf("nothing passed, and yet it found %v, exact %v", found, exact)
	}
	if found, exact, _ := climb(150, 10, 30); !exact || found != 0 {
		t.Errorf("the lowest rung failed, and yet it found %v, exact %v", found, exact)
	}
}

func TestRungs_AreAFifthApart(t *testing.T) {
	for k := range rungLast {
		if step := rungRate(k+1) / rungRate(k); step < 1.19 || step > 1.21 {
			t.Errorf("rung %d is %.3f times rung %d", k+1, step, k)
		}
		if rungAt(rungRate(k)) != k {
			t.Errorf("rung %d is found as %d", k, rungAt(rungRate(k)))
		}
	}
}

func TestBar_IsMetas(t *testing.T) {
	good := Round{Acks: 1000, Ack: Quantiles{P50: 250, P99: 1000}, Backlog: 0.1}
	if !meetsBar(&good) {
		t.Error("a round exactly at the bar does not meet it")
	}
	for name, spoil := range map[string]func(*Round){
		"a median above 250 ms":          func(r *Round) { r.Ack.P50 = 251 },
		"more than 1 % above 1 s":        func(r *Round) { r.Ack.P99 = 1001 },
		"a backlog at the end":           func(r *Round) { r.Backlog = 0.11 },
		"an answer other than 200":       func(r *Round) { r.Refused = map[int]int64{503: 1} },
		"an exchange without an answer":  func(r *Round) { r.Broken = 1 },
		"no acknowledged message at all": func(r *Round) { r.Acks = 0 },
	} {
		r := good
		spoil(&r)
		if meetsBar(&r) {
			t.Errorf("%s meets the bar", name)
		}
	}
}
