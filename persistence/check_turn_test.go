package persistence

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// step decides about a fact as an activation does, and appends that.
func (k *talker) step(t testing.TB, set *chat.Settings, now time.Time, f chat.Fact) {
	t.Helper()
	epoch := k.store.Epoch(k.store.Group(k.state.Tenant))
	st := k.state.Clone()
	d := chat.Step(&st, chat.Input{Now: now, Epoch: epoch, Settings: set, Fact: f})
	for _, e := range d.Events {
		st.Apply(e)
	}
	st.Armed = d.Due
	r, err := k.store.Append(context.Background(), chat.Commit{Tenant: st.Tenant, Channel: "wa", Conversation: k.place.Conversation, Epoch: epoch,
		Expected: k.state.Seq, Now: now, Events: d.Events, Rows: d.Rows, Claims: d.Claims, Reserve: d.Reserve, State: &st})
	if err != nil || r.Answer != chat.Applied {
		t.Fatalf("%T: %v, %v", f, r.Answer, err)
	}
	k.state = st
}

// tooled is a conversation whose turn has one result of a tool and waits for another,
// as checked and sound.
func tooled(t testing.TB, s *Store) *talker {
	t.Helper()
	set := &chat.Settings{Assistant: true, CallCost: chat.CallCost{Prompt: 70, Output: 30}, Budget: 5000,
		Profile: &chat.Assistant{ID: "main", Version: 2, Tools: []chat.ToolGrant{{Name: "look"}, {Name: "pay"}}},
		Tools:   map[string]chat.Tool{"look": {Name: "look"}, "pay": {Name: "pay", Acts: true}}}
	set.EnsureDefaults()
	k := newTalker(t, s, "acme", 1)
	k.say(t, "one")
	now := epoch0.Add(10 * time.Second)
	calls := func(n int) chat.Fact {
		return chat.ModelAnswered{Turn: k.state.TurnID(), Call: n, Answer: chat.Answer{Model: "m", Cost: 20,
			Calls: []chat.ToolCall{{ID: "1", Name: "look"}, {ID: "2", Name: "pay"}}}}
	}
	k.step(t, set, now, chat.Tick{})
	k.step(t, set, now, chat.Summarized{Summary: chat.Summary{UpTo: 2, Text: "they talked", Cost: 3}})
	k.step(t, set, now, calls(1))
	for _, id := range []string{"1", "2"} {
		k.step(t, set, now, chat.ToolFinished{Turn: k.state.TurnID(), Call: id, Result: chat.ToolResult{Content: "found"}})
	}
	mustCheck(t, s)
	k.step(t, set, now, calls(2))
	k.step(t, set, now, chat.ToolFinished{Turn: k.state.TurnID(), Call: "1", Result: chat.ToolResult{Content: "found"}})
	mustCheck(t, s)
	return k
}

// rewrite changes the last event of a kind where it stands.
func (v *vandal) rewrite(kind chat.EventKind, change func(*chat.Event)) {
	v.Helper()
	events, err := v.s.Events("acme", v.k.place.Conversation, 0, 100)
	mustPut(v.T, err)
	slices.Reverse(events)
	i := slices.IndexFunc(events, func(e chat.Event) bool { return e.Kind == kind })
	if i < 0 {
		v.Fatalf("no %v", kind)
	}
	e := events[i]
	change(&e)
	key, found, err := v.s.storedKey(v.tenant, v.person)
	if err != nil || !found {
		v.Fatal(found, err)
	}
	at := v.r.event(nil, v.conv, e.Seq)
	record, err := encodeEvent(new(arena), &e, v.person[:], key.box, appendEventPlace(nil, "acme", v.conv, e.Seq))
	mustPut(v.T, err)
	v.put(at, append(binary.BigEndian.AppendUint64(nil, uint64(e.Pos)), record...))
}

// TestCheck_NamesTheBrokenTurn damages a turn that uses tools, and expects the check to
// name the rule that this breaks.
func TestCheck_NamesTheBrokenTurn(t *testing.T) {
	for name, c := range map[string]struct {
		want  Invariant
		wreck func(v *vandal)
	}{
		"work forgotten": {InvariantTurn, func(v *vandal) {
			v.restate(func(c *chat.Conversation) { c.Work = nil })
		}},
		"work of nothing": {InvariantTurn, func(v *vandal) {
			v.rewrite(chat.TurnCalled, func(e *chat.Event) { e.Kind = chat.TurnAbandoned })
		}},
		"call forgotten": {InvariantTool, func(v *vandal) {
			v.restate(func(c *chat.Conversation) { w := *c.Work; w.Calls = nil; c.Work = &w })
		}},
		"result forgotten": {InvariantTool, func(v *vandal) {
			v.rewrite(chat.ToolEnded, func(e *chat.Event) { e.Tool.Late = true })
		}},
		"two results": {InvariantTool, func(v *vandal) {
			v.rewrite(chat.ToolStarted, func(e *chat.Event) {
				e.Kind, e.Tool.ID, e.Tool.N, e.Tool.Result = chat.ToolEnded, "1", 0, &chat.ToolResult{}
			})
		}},
		"made again": {InvariantTool, func(v *vandal) {
			v.rewrite(chat.ToolEnded, func(e *chat.Event) {
				e.Kind, e.Tool = chat.ToolStarted, &chat.ToolRecord{Turn: e.Tool.Turn, ID: "2", Name: "pay", N: 2, Acts: true}
			})
		}},
		"asked by nobody": {InvariantTool, func(v *vandal) {
			v.rewrite(chat.TurnCalled, func(e *chat.Event) { e.Turn.Calls[0].ID = "9" })
		}},
		"budget": {InvariantBudget, func(v *vandal) {
			v.put(v.r.counter(nil, chat.BudgetCounter(epoch0)), binary.BigEndian.AppendUint64(nil, 62))
		}},
		"budget lost": {InvariantBudget, func(v *vandal) { v.remove(v.r.counter(nil, chat.BudgetCounter(epoch0))) }},
		"cost changed": {InvariantBudget, func(v *vandal) {
			v.rewrite(chat.TurnCalled, func(e *chat.Event) { e.Turn.Cost-- })
		}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			s := storeOn(t, vfs.NewMem())
			ensure(t, s, "acme")
			k := tooled(t, s)
			tn, err := s.tenantAt("acme")
			mustPut(t, err)
			v := &vandal{T: t, s: s, k: k, b: s.db.NewBatch(), tenant: tn, r: tn.realm}
			v.conv, _ = conversationBytes(k.place.Conversation)
			v.person, _ = contactBytes(k.place.Contact)
			c.wreck(v)
			mustPut(t, v.b.Commit(pebble.Sync))
			report, err := s.Check(t.Context(), nil)
			mustPut(t, err)
			if !slices.ContainsFunc(report.Violations, func(x Violation) bool { return x.Invariant == c.want }) {
				t.Errorf("%s is not named; got %v", c.want, report.Violations)
			}
		})
	}
}

// An erased conversation takes what its calls cost out of the journal and not out of
// the counter.
func TestCheck_BudgetOfTheErased(t *testing.T) {
	s := openMem(t, "acme")
	mustPut(t, directoryOf(t, s).PutTenant(t.Context(), chat.Tenant{ID: "acme"}))
	k := tooled(t, s)
	if _, err := s.Erase(t.Context(), "acme", k.place.Contact); err != nil {
		t.Fatal(err)
	}
	mustCheck(t, s)
}
