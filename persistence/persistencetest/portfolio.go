package persistencetest

import (
	"fmt"
	"sync"

	"github.com/chumiai/chumi/chat"
)

// portfoliosCount: callers who count one portfolio at once stay below its limit
// together, and it is known after the store was opened again.
func portfoliosCount(s *site) {
	const limit, each = 20, 4
	person := func(n int) chat.Address { return chat.Address{Kind: chat.BSUID, Value: fmt.Sprint("DE.", n)} }
	var mu sync.Mutex
	var work sync.WaitGroup
	counted := map[int]bool{}
	for caller := range 8 {
		work.Go(func() {
			for n := caller * each; n < (caller+1)*each; n++ {
				granted, _, err := s.directory.Portfolios().Reserve(s.Context(), "77", limit, []chat.Address{person(n)})
				if err != nil {
					s.Error(err)
					return
				}
				mu.Lock()
				counted[n] = granted[0]
				mu.Unlock()
			}
		})
	}
	work.Wait()
	check := func(when string) {
		s.Helper()
		persons := make([]chat.Address, 8*each)
		for n := range persons {
			persons[n] = person(n)
		}
		granted, frees, err := s.directory.Portfolios().Reserve(s.Context(), "77", limit, persons)
		s.must(err)
		yes := 0
		for n, ok := range granted {
			if ok {
				yes++
			}
			if ok != counted[n] {
				s.Errorf("%s: person %d: %v, counted before: %v", when, n, ok, counted[n])
			}
		}
		if yes != limit || frees.IsZero() {
			s.Errorf("%s: %d of %d persons count, the next place frees at %v", when, yes, limit, frees)
		}
	}
	check("at once")
	s.reopen()
	check("after reopening")
	if n, frees, err := s.directory.Portfolios().Reached("77", limit); err != nil || n != limit || frees.IsZero() {
		s.Errorf("reached %d until %v: %v", n, frees, err)
	}
	if n, frees, err := s.directory.Portfolios().Reached("88", limit); err != nil || n != 0 || !frees.IsZero() {
		s.Errorf("another portfolio reached %d until %v: %v", n, frees, err)
	}
}
