package actors

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// Budget is how the money of a tenant's present month stands.
func (a *Assistants) Budget(_ context.Context, t chat.TenantID) (b chat.BudgetView, err error) {
	if b.Allowance, err = a.allowance(t); err != nil {
		return b, err
	}
	s := a.sys.opt.Directory.Settings(t).Allowing(b.Allowance)
	b.Bound, b.Soft, b.Fallback = s.Budget, s.BudgetSoft, s.Broke
	counter := chat.BudgetCounter(a.sys.core.now(a.sys.opt.Leadership.Group(t)))
	b.Month, _ = chat.BudgetMonth(counter)
	if a.sys.opt.Counters != nil {
		n, err := a.sys.opt.Counters.Counter(t, counter)
		b.Counted = chat.Money(n)
		return b, err
	}
	return b, nil
}

func (a *Assistants) allowance(t chat.TenantID) (chat.Allowance, error) {
	value, _, err := a.sys.opt.Documents.Doc(t, chat.DocAllowance, chat.AllowanceKey)
	return chat.AllowanceOf(value), err
}

// SetAllowance changes what the tenant lets its assistants spend. It is refused when
// something answers whose price is not known: no budget could bound that.
func (a *Assistants) SetAllowance(ctx context.Context, t chat.TenantID, f chat.SetAllowance) (chat.Verdict, error) {
	wrong := f.Allowance.Check()
	if wrong == nil && f.Allowance.PerMonth != nil {
		var err error
		if wrong, err = a.bounded(ctx, t); err != nil {
			return chat.Verdict{}, err
		}
	}
	if wrong != nil {
		return invalidAssistant(wrong), nil
	}
	return a.change(ctx, t, f)
}

// bounded reports a model without a price that answers for the tenant.
func (a *Assistants) bounded(ctx context.Context, t chat.TenantID) (*chat.LimitError, error) {
	heads, err := a.Heads(ctx, t)
	if err != nil {
		return nil, err
	}
	configured := true
	for _, h := range heads {
		if h.Published == 0 {
			continue
		}
		v, _, err := a.Version(t, h.Ref())
		if err != nil {
			return nil, err
		}
		if wrong := a.unpriced(t, v.Models); wrong != nil {
			return wrong, nil
		}
		configured = configured && h.ID != chat.DefaultAssistant
	}
	if configured {
		return a.unpriced(t, nil), nil
	}
	return nil, nil
}

// unpriced reports the first of the models whose price is not known.
func (a *Assistants) unpriced(t chat.TenantID, models []chat.ModelRef) *chat.LimitError {
	if a.sys.opt.Prices == nil || a.sys.opt.Directory.Settings(t).Simulated {
		return nil
	}
	for _, m := range a.sys.opt.Prices.Unpriced(models) {
		return &chat.LimitError{Param: "models", Code: "model_unpriced", Message: "The price list has no price for the model " + m.Model +
			", and a budget cannot bound what it costs: add a price, take another model, or set no limit of money."}
	}
	return nil
}

// Past is what prompts of the tenant's calls were made of, beside its journals.
func (a *Assistants) Past(ctx context.Context, t chat.TenantID) (*chat.Past, error) {
	var docs []chat.Doc
	for _, noun := range [...]chat.DocNoun{chat.DocVersion, chat.DocTool, chat.DocToolText} {
		some, err := a.sys.opt.Documents.Docs(ctx, t, noun)
		if err != nil {
			return nil, err
		}
		docs = append(docs, some...)
	}
	return chat.ReadPast(docs), nil
}
