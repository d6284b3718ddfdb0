package drop

import (
	"context"
	"fmt"
	"time"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// expected are the sends that must be listed when nothing is attempted any more:
// at_most_once, accepted without an answer, and nothing was said of them.
func (s *segment) expected() map[string]bool {
	ids := s.ids()
	want := map[string]bool{}
	for _, r := range s.reporter.lateOnes() {
		if r.update.Account.Kind == metasim.Instagram {
			want[ids[r.text]] = true
		}
	}
	return want
}

// ids are the engine's ids of the messages, by text.
func (s *segment) ids() map[string]string {
	ids := map[string]string{}
	for _, c := range s.chats {
		for n, id := range c.messages {
			ids[c.text(n)] = id
		}
	}
	return ids
}

// compare holds the list of sends at rest against what it must be.
func (s *segment) compare(listed map[string]bool) {
	want := s.expected()
	s.report.Unknown = int64(len(want))
	for id := range want {
		if !listed[id] {
			s.report.Unlisted++
			s.report.found("%s may have arrived and is not listed", id)
		}
	}
	for id := range listed {
		if !want[id] {
			s.report.Overlisted++
			s.report.found("%s is listed as unknown, its end is known", id)
		}
	}
}

// settle posts the reports that were kept back and waits until the list is empty.
func (s *segment) settle(ctx context.Context) error {
	ids := s.ids()
	told := map[string]time.Time{}
	late := s.reporter.lateOnes()
	for len(late) > 0 {
		n := 1
		for n < len(late) && n < 50 && late[n].update.Account.ID == late[0].update.Account.ID {
			n++
		}
		updates := make([]metasim.Update, n)
		for i := range updates {
			updates[i] = late[i].update
		}
		if err := post(ctx, s.graph, updates...); err != nil {
			return err
		}
		for _, r := range late[:n] {
			if r.update.Account.Kind == metasim.Instagram {
				told[ids[r.text]] = time.Now()
			}
		}
		late = late[n:]
	}
	for len(told) > 0 {
		left := map[string]bool{}
		looked := time.Now()
		for _, t := range s.world.Tenants {
			if _, err := s.api.sends(ctx, t.ID, left); err != nil {
				return err
			}
		}
		for id, at := range told {
			switch took := looked.Sub(at); {
			case !left[id]:
				s.report.Settled++
				s.report.SettleMax = max(s.report.SettleMax, time.Since(at))
				delete(told, id)
			case took > SettleMax:
				s.report.Unsettled++
				s.report.found("%s is still listed %v after its echo", id, took.Round(time.Second))
				delete(told, id)
			}
		}
		if len(told) > 0 && !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}

// judge compares Graph's ledger with what members wrote.
func (s *segment) judge() {
	accepted := map[string]int{}
	for _, e := range s.graph.Sends() {
		if e.Accepted {
			accepted[e.Text]++
		}
		if e.Fault == metasim.FaultDropped {
			class := AtLeastOnce
			if e.Kind == metasim.Instagram {
				class = AtMostOnce
			}
			s.report.ByClass[class].Dropped++
		}
	}
	for _, c := range s.chats {
		t := s.report.ByClass[c.class()]
		for n := range c.messages {
			t.Messages++
			switch times := accepted[c.text(n)]; {
			case times == 0:
				t.Missing++
				s.report.found("%s of %s: %q never reached Graph", c.messages[n], c.tenant, c.text(n))
			case times > 1:
				t.Doubles++
				if c.class() == AtMostOnce {
					s.report.found("%s of %s: %q was accepted %d times", c.messages[n], c.tenant, c.text(n), times)
				}
			}
		}
	}
	for limit, n := range s.graph.Over() {
		s.report.Over[string(limit)] += n
	}
}

// export checks the store, and that it says of every message that it was accepted.
func (s *segment) export(ctx context.Context) error {
	if err := child.Check(ctx, s.start); err != nil {
		s.report.CheckFailed++
		s.report.found("%v", err)
	}
	ended := map[string]bool{}
	for _, t := range s.world.Tenants {
		err := child.Export(ctx, s.start, t.ID, func(e *child.Event) error {
			if e.Kind == child.KindAccepted {
				ended[e.MessageID()] = true
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("drop: %w", err)
		}
	}
	for _, c := range s.chats {
		for _, id := range c.messages {
			if !ended[id] {
				s.report.Unended++
				s.report.found("%s of %s is not accepted at last", id, c.tenant)
			}
		}
	}
	return nil
}
