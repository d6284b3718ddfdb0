package actors

import (
	"sync"

	"github.com/chumiai/chumi/chat"
)

// purse takes notice of money that was counted. It does not block.
type purse interface {
	counted(t chat.TenantID, g chat.Group, counter string, s *chat.Settings, refused bool)
}

// alarms tells tenants when the money of a month reaches a bound. What it remembers
// only saves the asking: the tenant's own journal makes the news come once. Safe for
// concurrent use.
type alarms struct {
	sys *System

	mu sync.Mutex // guards told
	// told holds the bounds that were told of in a tenant's latest month.
	told map[chat.TenantID]alarm
}

type alarm struct {
	month      string
	soft, hard chat.Money
}

func newAlarms(s *System) *alarms { return &alarms{sys: s, told: map[chat.TenantID]alarm{}} }

// counted looks at a counter that a commit changed, or that refused one.
func (a *alarms) counted(t chat.TenantID, g chat.Group, counter string, s *chat.Settings, refused bool) {
	month, ok := chat.BudgetMonth(counter)
	if !ok || !refused && s.BudgetSoft <= 0 || a.knows(t, month, s, refused) {
		return
	}
	n, err := a.sys.opt.Counters.Counter(t, counter)
	if err != nil {
		a.sys.opt.Logger.Warn("the money of a tenant cannot be read", "tenant", t, "error", err)
		return
	}
	news := chat.BudgetNews{Level: chat.BudgetSoft, Month: month, Counted: chat.Money(n), Bound: s.BudgetSoft}
	if refused {
		news.Level, news.Bound = chat.BudgetHard, s.Budget
	}
	if news.Counted < news.Bound && !refused || !a.first(t, news) {
		return
	}
	a.sys.workers.run(func() {
		a.sys.insistOn(func() *mail {
			return &mail{tenant: t, group: g, items: []item{{fact: chat.BudgetSeen{News: news}}}}
		})
	})
}

func (a *alarms) knows(t chat.TenantID, month string, s *chat.Settings, refused bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.told[t]
	return told.month == month && (refused && told.hard == s.Budget || !refused && told.soft == s.BudgetSoft)
}

// first reports whether nobody here has told of it, and takes it on.
func (a *alarms) first(t chat.TenantID, n chat.BudgetNews) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.told[t]
	if told.month != n.Month {
		told = alarm{month: n.Month}
	}
	at := &told.soft
	if n.Level == chat.BudgetHard {
		at = &told.hard
	}
	if *at == n.Bound {
		return false
	}
	*at = n.Bound
	a.told[t] = told
	return true
}

// money shows the counters of money of a commit to the purse.
func (a *activation) money(d *draft) {
	for i := range d.commit.Reserve {
		a.counted(d, d.commit.Reserve[i].Counter, false)
	}
}

func (a *activation) counted(d *draft, counter string, refused bool) {
	if a.core.purse != nil {
		a.core.purse.counted(a.state.Tenant, a.group, counter, d.settings, refused)
	}
}
