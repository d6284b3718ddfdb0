package persistence

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

func numbered(n int) chat.Address {
	return chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", n)}
}

// reachedRows counts the rows of a store's portfolios by kind.
func reachedRows(t testing.TB, s *Store) map[byte]int {
	n := map[byte]int{}
	mustPut(t, s.scan(appendSection(nil, groupMeta, sectionPortfolio), func(key, _ []byte) error {
		n[key[4]]++
		return nil
	}))
	return n
}

// written is a message to somebody and when it may have been at Meta.
type written struct {
	who int
	at  time.Time
}

// mostInADay is the most persons who were written to within any 24 hours that end
// after from. It knows nothing of quarters.
func mostInADay(list []written, from time.Time) (most int) {
	slices.SortFunc(list, func(a, b written) int { return a.at.Compare(b.at) })
	within, first := map[int]int{}, 0
	for _, w := range list {
		within[w.who]++
		for ; w.at.Sub(list[first].at) >= 24*time.Hour; first++ {
			if within[list[first].who]--; within[list[first].who] == 0 {
				delete(within, list[first].who)
			}
		}
		if w.at.After(from) {
			most = max(most, len(within))
		}
	}
	return most
}

// The nodes of a cluster count one portfolio at once, lag, lose answers and repeat:
// in no 24 hours more persons than the limit are written to, and nearly as many
// are. Who counts no more is forgotten.
func TestPortfolios_RacingNodesStayBelowTheLimit(t *testing.T) {
	ctx := t.Context()
	const limit, regulars, people = 60, 20, 3000
	f := newFleet(t, 3)
	ds := f.directories()
	following, stop := context.WithCancel(ctx)
	var follow sync.WaitGroup
	for _, s := range f.ships {
		follow.Go(func() {
			for {
				grown := f.grown.wait()
				f.catchUp(s)
				select {
				case <-grown:
				case <-following.Done():
					return
				}
			}
		})
	}
	var mu sync.Mutex
	var list []written
	raced := 0
	rs := make([]*rand.Rand, len(ds))
	for i := range rs {
		rs[i] = rand.New(rand.NewPCG(uint64(i), 7))
	}
	now := func() time.Time { return epoch0.Add(time.Duration(f.past.Load())) }
	for now().Before(epoch0.Add(73 * time.Hour)) {
		f.past.Add(rs[0].Int64N(int64(10 * time.Minute)))
		before := len(f.log)
		var work sync.WaitGroup
		for i, d := range ds {
			work.Go(func() {
				r := rs[i]
				who, persons := make([]int, 1+r.IntN(8)), []chat.Address(nil)
				for j := range who {
					if who[j] = r.IntN(people); r.IntN(3) == 0 {
						who[j] = r.IntN(regulars)
					}
					persons = append(persons, numbered(who[j]))
				}
				if r.IntN(20) == 0 {
					f.mu.Lock()
					f.ships[i].forget = true
					f.mu.Unlock()
				}
				granted, frees, err := d.Portfolios().Reserve(ctx, "77", limit, persons)
				if chat.KindOf(err) == chat.KindUnknown {
					granted, frees, err = d.Portfolios().Reserve(ctx, "77", limit, persons)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				for j, ok := range granted {
					if ok {
						list = append(list, written{who[j], now().Add(time.Duration(r.Int64N(int64(chat.ReserveSpan))))})
					} else if !frees.After(now()) {
						t.Errorf("refused until %v, and now is %v", frees, now())
					}
				}
			})
		}
		work.Wait()
		f.mu.Lock()
		if len(f.log)-before > len(ds) {
			raced++
		}
		f.mu.Unlock()
	}
	stop()
	follow.Wait()
	most := mostInADay(list, epoch0.Add(48*time.Hour))
	t.Logf("%d messages, at most %d persons in a day of %d allowed, %d rounds with a race", len(list), most, limit, raced)
	if all := mostInADay(list, time.Time{}); all > limit || most < limit*9/10 {
		t.Errorf("at most %d persons in a day, %d in the last, the limit is %d", all, most, limit)
	}
	if raced < 20 {
		t.Errorf("only %d rounds met a race", raced)
	}
	for i, s := range f.ships {
		f.catchUp(s)
		if n, frees, err := ds[i].Portfolios().Reached("77", limit); err != nil || n > limit || (n == limit) != frees.After(now()) {
			t.Errorf("node %d: %d persons count, the next place frees at %v: %v", i, n, frees, err)
		}
		if n := reachedRows(t, s.Store); n[rowReached] > limit+limit/2 || n[rowReached] != n[rowReachedIn] || n[rowReach] != 1 {
			t.Errorf("node %d keeps %v", i, n)
		}
		mustCheck(t, s.Store)
	}
}

// One person is one person, whoever asks and however often; portfolios share
// nothing.
func TestPortfolios_CountPersonsOnce(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 1)
	p := f.directories()[0].Portfolios()
	reserve := func(portfolio string, want string, people ...int) {
		t.Helper()
		var persons []chat.Address
		for _, n := range people {
			persons = append(persons, numbered(n))
		}
		granted, frees, err := p.Reserve(ctx, portfolio, 2, persons)
		if fmt.Sprint(granted) != want || err != nil {
			t.Errorf("%v: %v until %v, want %s (%v)", people, granted, frees, want, err)
		}
	}
	reserve("77", "[true true true]", 1, 2, 1)
	written := len(f.log)
	reserve("77", "[true false true]", 2, 3, 1)
	reserve("77", "[true]", 2)
	if len(f.log) != written {
		t.Error("who is counted in this quarter was written again")
	}
	reserve("88", "[true]", 3)
	f.past.Add(int64(23 * time.Hour))
	reserve("77", "[true false]", 1, 3) // 1 moves on
	f.past.Add(int64(90 * time.Minute))
	reserve("77", "[true false]", 3, 2) // 2 has gone, 1 has not
	f.past.Add(int64(23 * time.Hour))
	reserve("77", "[true false]", 2, 4)
	mustCheck(t, f.ships[0].Store)
}

// What was committed and not answered is counted once, by whoever repeats it.
func TestPortfolios_RepeatWhatIsUnknown(t *testing.T) {
	ctx := t.Context()
	f := newFleet(t, 2)
	ds := f.directories()
	f.ships[1].forget = true
	if _, _, err := ds[1].Portfolios().Reserve(ctx, "77", 1, []chat.Address{numbered(1)}); chat.KindOf(err) != chat.KindUnknown {
		t.Fatalf("got %v", err)
	}
	f.catchUp(f.ships[1])
	granted, frees, err := ds[1].Portfolios().Reserve(ctx, "77", 1, []chat.Address{numbered(1), numbered(2)})
	if err != nil || !granted[0] || granted[1] || frees.Sub(epoch0) < 24*time.Hour {
		t.Errorf("repeated: %v until %v, %v", granted, frees, err)
	}
	f.ships[1].refuse = chat.E("test", chat.KindUnavailable, "nobody leads", nil)
	if granted, _, err := ds[1].Portfolios().Reserve(ctx, "88", 1, []chat.Address{numbered(3)}); chat.KindOf(err) != chat.KindUnavailable || granted != nil {
		t.Errorf("without a leader: %v %v", granted, err)
	}
	// A node that has not heard of another's count cannot count by what it knows.
	f.ships[1].refuse = nil
	if granted, _, err := ds[0].Portfolios().Reserve(ctx, "99", 1, []chat.Address{numbered(1)}); err != nil || !granted[0] {
		t.Fatal(granted, err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if granted, _, err := ds[1].Portfolios().Reserve(short, "99", 1, []chat.Address{numbered(2)}); err == nil {
		t.Errorf("a node that lags granted %v", granted)
	}
	f.catchUp(f.ships[1])
	mustCheck(t, f.ships[1].Store)
}
