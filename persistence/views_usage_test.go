package persistence

import (
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// TestViews_UsageOfDays reads what events of some days added up to, by version.
func TestViews_UsageOfDays(t *testing.T) {
	s := openMem(t, "acme", "rival")
	day := func(month time.Month, n int) time.Time { return time.Date(2026, month, n, 23, 59, 0, 0, time.UTC) }
	put := func(tenant chat.TenantID, at time.Time, version chat.AssistantRef, cost chat.Money) {
		t.Helper()
		k := newTalker(t, s, tenant, int(cost))
		c := k.next("hello")
		for i := range c.Events {
			c.Events[i].Time = at
		}
		last := c.Events[len(c.Events)-1]
		turn := chat.Event{Seq: last.Seq + 1, Kind: chat.TurnStarted, Time: at, Tenant: last.Tenant, Channel: last.Channel, Conversation: last.Conversation,
			Turn: &chat.TurnRecord{ID: chat.TurnIDAt(last.Conversation, last.Seq+1), Call: 2, Version: version, Cost: cost}}
		c.Events = append(c.Events, turn)
		c.State.Seq++
		if r, err := s.Append(t.Context(), c); err != nil || r.Answer != chat.Applied {
			t.Fatal(r, err)
		}
	}
	put("acme", day(10, 31), "main@1", 1)
	put("acme", day(11, 1), "main@1", 2)
	put("acme", day(11, 1), "main@2", 3)
	put("acme", day(11, 30), "", 4)
	put("acme", day(12, 1), "main@2", 5)
	put("rival", day(11, 1), "main@1", 6)
	sums, err := s.Views().Usage(t.Context(), "acme", "2026-11-01", "2026-11-30")
	if err != nil {
		t.Fatal(err)
	}
	cost := map[string]chat.Money{}
	var total chat.UsageSum
	for key, sum := range sums {
		cost[key.Day+" "+string(key.Assistant)] += sum.Cost
		total.Plus(sum)
	}
	if len(sums) != 4 || cost["2026-11-01 main@1"] != 2 || cost["2026-11-01 main@2"] != 3 || cost["2026-11-30 "] != 4 {
		t.Errorf("cost %v of %v", cost, sums)
	}
	if total.Cost != 9 || total.Calls != 3 || total.CallsLost != 3 || total.MessagesIn != 3 {
		t.Errorf("in all %+v", total)
	}
	if _, err := s.Views().Usage(t.Context(), "nobody", "2026-11-01", "2026-11-30"); err == nil {
		t.Error("usage of a tenant that does not exist")
	}
}
