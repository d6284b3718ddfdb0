package chat

import (
	"strconv"
	"strings"
	"time"
)

// budgetPrefix is that of the counters of money; the month follows.
const budgetPrefix = "budget/"

// BudgetMonth is the month of a counter of money, as 2026-11; ok is false for another
// counter.
func BudgetMonth(counter string) (month string, ok bool) {
	return strings.CutPrefix(counter, budgetPrefix)
}

// BudgetCounter is the tenant's counter of money for the month of a time: of what was
// spent in the month and of what is reserved.
func BudgetCounter(at time.Time) string { return budgetPrefix + at.UTC().Format(monthLayout) }

const monthLayout = "2006-01"

// BudgetLevel is a bound of the money of a month.
type BudgetLevel string

// The levels: the team is told at the first, and the second stops the assistant.
const (
	BudgetSoft BudgetLevel = "soft"
	BudgetHard BudgetLevel = "hard"
)

// BudgetNews says that the money of a month has reached a bound.
type BudgetNews struct {
	Level BudgetLevel `json:"level"`
	Month string      `json:"month"`
	// Counted is what was spent and reserved by then, Bound the bound.
	Counted Money `json:"counted_nanos"`
	Bound   Money `json:"bound_nanos"`
}

// BudgetSeen brings the news to the tenant. It belongs to no conversation.
type BudgetSeen struct{ News BudgetNews }

func (BudgetSeen) fact() {}

// Key makes the news of a bound come once in a month. A bound that was moved is
// another one.
func (f BudgetSeen) Key() string {
	return budgetPrefix + f.News.Month + "/" + string(f.News.Level) + "/" + strconv.FormatInt(int64(f.News.Bound), 10)
}

// budgetSeen tells the team once.
func (p *step) budgetSeen(f BudgetSeen) {
	month, err := time.Parse(monthLayout, f.News.Month)
	switch {
	case err != nil:
		p.refuse("no_month")
		return
	case p.in.Known.Seen:
		p.duplicate()
		return
	}
	p.d.Claims = append(p.d.Claims, Claim{Kind: ClaimDigest, Key: f.Key(), Day: Day(month.AddDate(0, 1, 0)) + ClaimDays})
	news := f.News
	p.emit(Event{Kind: BudgetReached, Budget: &news})
}
