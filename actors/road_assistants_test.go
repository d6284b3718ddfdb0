package actors_test

import (
	"testing"

	"github.com/chumiai/chumi/chat"
)

// TestRoad_Assistants drafts, publishes and rolls back on the real store, and over a
// restart.
func TestRoad_Assistants(t *testing.T) {
	r := newRoad(t)
	ctx := t.Context()
	verdict := func(v chat.Verdict, err error) chat.Verdict {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	draft := func(text string, change func(*chat.Assistant)) chat.Verdict {
		t.Helper()
		a := chat.Assistant{ID: "main", Instructions: text, Author: "key_1"}
		if change != nil {
			change(&a)
		}
		return verdict(r.sys.Assistants().Draft(ctx, "acme", chat.DraftAssistant{Draft: a}))
	}
	for want, change := range map[string]func(*chat.Assistant){
		"hours.zone": func(a *chat.Assistant) { a.Hours = &chat.Hours{Zone: "Europe/Bielefeld"} },
		"channels":   func(a *chat.Assistant) { a.Channels = map[chat.ChannelID]chat.AssistantVariant{"other": {}} },
		"tools":      func(a *chat.Assistant) { a.Tools = []chat.ToolGrant{{Name: "orders"}} },
		"models[1]":  func(a *chat.Assistant) { a.Models = []chat.ModelRef{{Model: "m"}, {Provider: "elsewhere", Model: "m"}} },
		"tone":       func(a *chat.Assistant) { a.Tone = "\xff" },
	} {
		if v := draft("x", change); v.Kind != chat.VerdictRefused || v.Limit == nil || v.Limit.Param != want {
			t.Errorf("want %s refused, got %+v", want, v)
		}
	}
	if v := draft("one", nil); v.Version != 1 || v.Kind != chat.VerdictDone {
		t.Fatalf("drafted: %+v", v)
	}
	publish := chat.PublishAssistant{ID: "main", By: "key_1"}
	if v := verdict(r.sys.Assistants().Publish(ctx, "acme", publish)); v.Version != 1 || v.Kind != chat.VerdictDone {
		t.Fatalf("published: %+v", v)
	}
	if b, err := r.sys.Assistants().Budget(ctx, "acme"); err != nil || b.Bound != 0 || b.Month == "" {
		t.Errorf("budget %+v, %v", b, err)
	}
	five := chat.Money(5e9)
	allow := chat.SetAllowance{Allowance: chat.Allowance{PerMonth: &five, By: "key_1"}}
	for _, want := range []chat.VerdictKind{chat.VerdictDone, chat.VerdictDuplicate} {
		if v := verdict(r.sys.Assistants().SetAllowance(ctx, "acme", allow)); v.Kind != want {
			t.Errorf("allowing five: %+v, want %v", v, want)
		}
	}
	allow.Allowance.By, allow.Allowance.Fallback = "key_2", chat.BrokeHandoff
	if v := verdict(r.sys.Assistants().SetAllowance(ctx, "acme", allow)); v.Reason != "version_conflict" {
		t.Errorf("allowing without having seen: %+v", v)
	}
	if b, err := r.sys.Assistants().Budget(ctx, "acme"); err != nil || b.Bound != 5e9 || b.Soft != 4e9 || b.Allowance.Version != 1 {
		t.Errorf("budget %+v, %v", b, err)
	}
	draft("two", nil)
	verdict(r.sys.Assistants().Publish(ctx, "acme", publish))
	r.stop()
	r.open()
	if v := verdict(r.sys.Assistants().RollBack(ctx, "acme", chat.RollBackAssistant{ID: "main", Previous: true, By: "key_2"})); v.Version != 1 {
		t.Fatalf("rolled back: %+v", v)
	}
	heads, err := r.sys.Assistants().Heads(ctx, "acme")
	if err != nil || len(heads) != 1 || heads[0].Published != 1 || len(heads[0].Past) != 3 {
		t.Fatalf("heads %+v, %v", heads, err)
	}
	if v, tag, err := r.sys.Assistants().Version("acme", "main@2"); err != nil || v.Instructions != "two" || tag == "" {
		t.Errorf("version 2: %+v, %q, %v", v, tag, err)
	}
	feed, err := r.store.Views().Feed(ctx, "acme", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := feed[len(feed)-1]
	if last.Kind != chat.AssistantRolledBack || last.Assistant.Before != 2 || last.Assistant.By != "key_2" || last.Conversation != "" {
		t.Errorf("the feed ends with %+v", last)
	}
	if _, _, err := r.sys.Assistants().Version("acme", "main@9"); chat.KindOf(err) != chat.KindNotFound {
		t.Errorf("a version that is not: %v", err)
	}
}
