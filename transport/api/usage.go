package api

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// usageDaysMax bounds the days of one answer.
const usageDaysMax = 366

// usageSum is what was counted, as the API shows it.
type usageSum struct {
	MessagesIn   int64  `json:"messages_in"`
	MessagesOut  int64  `json:"messages_out"`
	Turns        int64  `json:"turns"`
	Calls        int64  `json:"model_calls"`
	CallsLost    int64  `json:"model_calls_lost"`
	Tools        int64  `json:"tool_calls"`
	TokensPrompt int64  `json:"prompt_tokens"`
	TokensOutput int64  `json:"output_tokens"`
	Cost         string `json:"cost"`
}

func showUsage(s chat.UsageSum) usageSum {
	return usageSum{MessagesIn: s.MessagesIn, MessagesOut: s.MessagesOut, Turns: s.Turns, Calls: s.Calls, CallsLost: s.CallsLost,
		Tools: s.Tools, TokensPrompt: s.TokensPrompt, TokensOutput: s.TokensOutput, Cost: s.Cost.String()}
}

// usageRow is what was counted of a day, a channel and a version, as far as those are
// asked for.
type usageRow struct {
	Day       *string `json:"day,omitempty"`
	Channel   *string `json:"channel_id,omitempty"`
	Assistant *string `json:"assistant,omitempty"`
	usageSum
}

// showUsageOf is GET /v1/usage.
func (r *call) showUsageOf() *failure {
	from, to, fail := r.days()
	if fail != nil {
		return fail
	}
	by, fail := r.grouping()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	sums, err := r.opt.Usage.Usage(ctx, r.principal.Tenant, from, to)
	if err != nil {
		return r.failed(err)
	}
	var total chat.UsageSum
	grouped := map[chat.UsageKey]chat.UsageSum{}
	for key, s := range sums {
		total.Plus(s)
		if !by["day"] {
			key.Day = ""
		}
		if !by["channel"] {
			key.Channel = ""
		}
		if !by["assistant"] {
			key.Assistant = ""
		}
		g := grouped[key]
		g.Plus(s)
		grouped[key] = g
	}
	keys := slices.SortedFunc(maps.Keys(grouped), func(a, b chat.UsageKey) int {
		return cmp.Or(cmp.Compare(a.Day, b.Day), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Assistant, b.Assistant))
	})
	rows := make([]usageRow, len(keys))
	for i, key := range keys {
		rows[i].usageSum = showUsage(grouped[key])
		for word, to := range map[string]**string{"day": &rows[i].Day, "channel": &rows[i].Channel, "assistant": &rows[i].Assistant} {
			if by[word] {
				text := map[string]string{"day": key.Day, "channel": string(key.Channel), "assistant": string(key.Assistant)}[word]
				*to = &text
			}
		}
	}
	return r.answerJSON(map[string]any{"from": from, "to": to, "currency": r.opt.Currency, "prices_as_of": r.opt.PricesAsOf,
		"total": showUsage(total), "data": rows})
}

// days are the first and the last day asked for: by default this month's so far.
func (r *call) days() (from, to string, fail *failure) {
	args := r.ctx.QueryArgs()
	today := time.Now().UTC()
	first, last := time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC), today
	for _, p := range []struct {
		name string
		to   *time.Time
	}{{"to", &last}, {"from", &first}} {
		text := string(args.Peek(p.name))
		if text == "" {
			continue
		}
		day, err := time.Parse(time.DateOnly, text)
		if err != nil {
			return "", "", invalid("parameter_invalid", p.name, p.name+" must be a day such as 2026-11-27.")
		}
		*p.to = day
	}
	if args.Has("to") && !args.Has("from") {
		first = time.Date(last.Year(), last.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	if last.Before(first) || last.Sub(first) > usageDaysMax*24*time.Hour {
		return "", "", invalid("parameter_invalid", "from", "from must be before to, by at most 366 days.")
	}
	return first.Format(time.DateOnly), last.Format(time.DateOnly), nil
}

// grouping is what the counts are told apart by.
func (r *call) grouping() (map[string]bool, *failure) {
	by := map[string]bool{}
	words := string(r.ctx.QueryArgs().Peek("by"))
	if words == "" {
		words = "day"
	}
	for _, w := range strings.Split(words, ",") {
		if w != "day" && w != "channel" && w != "assistant" {
			return nil, invalid("parameter_invalid", "by", "by must be of day, channel and assistant, with commas between them.")
		}
		by[w] = true
	}
	return by, nil
}

// budgetBound is a budget as the API shows it; null for none.
type budgetBound struct {
	PerMonth *string `json:"per_month"`
	Soft     *string `json:"soft"`
	Fallback string  `json:"fallback"`
}

// showBudget is GET /v1/budget.
func (r *call) showBudget() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	b, err := r.opt.Budgets.Budget(ctx, r.principal.Tenant)
	if err != nil {
		return r.failed(err)
	}
	text := func(m chat.Money) *string {
		if m <= 0 {
			return nil
		}
		s := m.String()
		return &s
	}
	own := budgetBound{Fallback: string(b.Allowance.Fallback)}
	for from, to := range map[*chat.Money]**string{b.Allowance.PerMonth: &own.PerMonth, b.Allowance.Soft: &own.Soft} {
		if from != nil {
			s := from.String()
			*to = &s
		}
	}
	out := map[string]any{"version": b.Allowance.Version, "month": b.Month, "counted": max(b.Counted, 0).String(),
		"currency": r.opt.Currency, "prices_as_of": r.opt.PricesAsOf, "own": own,
		"effective": budgetBound{PerMonth: text(b.Bound), Soft: text(b.Soft), Fallback: string(b.Fallback)}}
	if b.Allowance.Version > 0 {
		out["changed_at"], out["changed_by"] = b.Allowance.Changed.UTC().Format(timeLayout), b.Allowance.By
	}
	return r.answerJSON(out)
}

var errBudgetChanged = failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "budget_changed", param: "version",
	message: "The budget has another version by now; read it again and change that."}

// changeBudget is PUT /v1/budget: what is left out is as the configuration says.
func (r *call) changeBudget() *failure {
	var in struct {
		Version  *int64  `json:"version"`
		PerMonth *string `json:"per_month"`
		Soft     *string `json:"soft"`
		Fallback string  `json:"fallback"`
	}
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	if in.Version == nil {
		return missing("version")
	}
	a := chat.Allowance{Version: *in.Version, By: r.principal.Key, Fallback: chat.BudgetFallback(in.Fallback)}
	for _, p := range []struct {
		name string
		text *string
		to   **chat.Money
	}{{"per_month", in.PerMonth, &a.PerMonth}, {"soft", in.Soft, &a.Soft}} {
		if p.text == nil {
			continue
		}
		m, err := chat.ParseMoney(*p.text)
		if err != nil {
			return invalid("parameter_invalid", p.name, p.name+" must be an amount such as 12.50.")
		}
		*p.to = &m
	}
	ctx, cancel := r.writing()
	defer cancel()
	v, err := r.opt.Budgets.SetAllowance(ctx, r.principal.Tenant, chat.SetAllowance{Allowance: a})
	if err == nil && v.Reason == "version_conflict" {
		return &errBudgetChanged
	}
	if fail := r.changed(v, err); fail != nil {
		return fail
	}
	return r.showBudget()
}
