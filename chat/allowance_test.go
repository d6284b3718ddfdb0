package chat_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

func TestAllowance_NeverMoreThanTheConfiguration(t *testing.T) {
	money := func(m chat.Money) *chat.Money { return &m }
	engine := &chat.Settings{Budget: 100, BudgetSoft: 80, Broke: chat.BrokeApology}
	free := &chat.Settings{Broke: chat.BrokeApology}
	for _, c := range []struct {
		name       string
		base       *chat.Settings
		a          chat.Allowance
		hard, soft chat.Money
		broke      chat.BudgetFallback
	}{
		{"nothing said", engine, chat.Allowance{}, 100, 80, chat.BrokeApology},
		{"less", engine, chat.Allowance{PerMonth: money(50)}, 50, 40, chat.BrokeApology},
		{"more", engine, chat.Allowance{PerMonth: money(500)}, 100, 80, chat.BrokeApology},
		{"told earlier", engine, chat.Allowance{Soft: money(10)}, 100, 10, chat.BrokeApology},
		{"told never", engine, chat.Allowance{Soft: money(1000)}, 100, 100, chat.BrokeApology},
		{"another end", engine, chat.Allowance{Fallback: chat.BrokeHandoff}, 100, 80, chat.BrokeHandoff},
		{"of one's own", free, chat.Allowance{PerMonth: money(50), Soft: money(5)}, 50, 5, chat.BrokeApology},
		{"nothing at all", free, chat.Allowance{PerMonth: money(0)}, 1, 0, chat.BrokeApology},
	} {
		s := c.base.Allowing(c.a)
		if s.Budget != c.hard || s.BudgetSoft != c.soft || s.Broke != c.broke {
			t.Errorf("%s: %d, told at %d, then %s", c.name, s.Budget, s.BudgetSoft, s.Broke)
		}
	}
	if engine.Allowing(chat.Allowance{PerMonth: money(500)}) != engine {
		t.Error("settings are copied that nothing changes")
	}
	for _, a := range []chat.Allowance{{PerMonth: money(-1)}, {PerMonth: money(5), Soft: money(6)}, {Fallback: "none"}, {Version: -1}} {
		if a.Check() == nil {
			t.Errorf("%+v is allowed", a)
		}
	}
}
