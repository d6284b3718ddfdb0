package chat_test

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

var reportWords = []string{"sent", "delivered", "read", "played", "failed", "deleted", "warning"}

// deliveries draws what Meta knows about a few messages: each customer message
// and each status once.
func deliveries(t *rapid.T, w *world) []*chat.Inbound {
	var all []*chat.Inbound
	for i := range rapid.IntRange(1, 5).Draw(t, "messages") {
		all = append(all, &chat.Inbound{Kind: chat.InboundMessage, Remote: chat.RemoteID(fmt.Sprintf("in%d", i)),
			Type: chat.TypeText, Text: fmt.Sprintf("#%d", i), Customer: w.customer(), Time: start})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "reported") {
		for _, word := range rapid.SliceOfNDistinct(rapid.SampledFrom(reportWords), 1, 5, rapid.ID).Draw(t, "statuses") {
			all = append(all, &chat.Inbound{Kind: chat.InboundStatus, Remote: chat.RemoteID(fmt.Sprintf("out%d", i)),
				Type: word, Customer: w.customer(), Time: start})
		}
	}
	return all
}

// summary is what must not depend on the order or number of deliveries: the
// messages, each status once, and what each amounts to.
func summary(w *world) string {
	var lines []string
	for _, e := range w.events {
		switch e.Kind {
		case chat.MessageReceived:
			lines = append(lines, "message "+string(e.Message.RemoteID))
		case chat.StatusChanged:
			lines = append(lines, "status "+string(e.Status.Remote)+" "+e.Status.Word)
		}
	}
	for key, row := range w.rows {
		lines = append(lines, "row "+key+" "+row.Mask.Effective().String())
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// C3: any duplication and shuffle of deliveries gives the same messages and statuses.
func TestStep_DuplicatedAndShuffledDeliveriesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		once := newWorld(chat.WhatsApp)
		all := deliveries(t, once)
		for _, in := range all {
			if err := once.do(in); err != nil {
				t.Fatal(err)
			}
		}
		again := newWorld(chat.WhatsApp)
		copies := append(append([]*chat.Inbound(nil), all...), rapid.SliceOf(rapid.SampledFrom(all)).Draw(t, "duplicates")...)
		for _, in := range rapid.Permutation(copies).Draw(t, "order") {
			again.now = again.now.Add(time.Millisecond)
			if err := again.do(in); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := summary(once), summary(again); a != b {
			t.Fatalf("in order:\n%s\n\nshuffled:\n%s", a, b)
		}
	})
}

// C4: a set of statuses amounts to the same in every permutation.
func TestStatus_EveryPermutationEndsAlike(t *testing.T) {
	words := []string{"sent", "delivered", "read", "failed"}
	want := ""
	permute(words, func(order []string) {
		w := newWorld(chat.WhatsApp)
		for _, word := range order {
			if err := w.do(&chat.Inbound{Kind: chat.InboundStatus, Remote: "r", Type: word, Customer: w.customer(), Time: start}); err != nil {
				t.Fatal(err)
			}
		}
		got := summary(w)
		if want == "" {
			want = got
		}
		if got != want {
			t.Fatalf("order %v:\n%s\nwant:\n%s", order, got, want)
		}
	})
	if !strings.Contains(want, "read") {
		t.Fatalf("read does not win: %s", want)
	}
}

func permute(words []string, visit func([]string)) {
	if len(words) == 0 {
		visit(nil)
		return
	}
	for i := range words {
		rest := append(append([]string(nil), words[:i]...), words[i+1:]...)
		permute(rest, func(tail []string) { visit(append([]string{words[i]}, tail...)) })
	}
}

// C1, C2, C5 to C9 hold after any facts in any order; world.do checks them.
func TestStep_AnyFactsKeepTheInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.SampledFrom([]chat.ChannelKind{chat.WhatsApp, chat.Instagram}).Draw(t, "kind"))
		tooled(w)
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 90_000).Draw(t, "ms")) * time.Millisecond)
			f := anyFact(t, w, i)
			if f == nil {
				w.epoch++
				continue
			}
			if err := w.do(f); err != nil {
				t.Fatalf("after %T: %v", f, err)
			}
		}
	})
}

// C8: the answer of a turn is used at most once, whatever repeats.
func TestStep_AnswerIsUsedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(chat.WhatsApp)
		for i := range rapid.IntRange(5, 60).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			if f := anyFact(t, w, i); f != nil {
				if err := w.do(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		used := map[chat.TurnID]int{}
		for _, e := range w.events {
			if e.Kind == chat.TurnAnswered {
				if used[e.Turn.ID]++; used[e.Turn.ID] > 1 {
					t.Fatalf("turn %s answered twice", e.Turn.ID)
				}
			}
		}
	})
}

// anyFact draws a fact; nil stands for a crash.
func anyFact(t *rapid.T, w *world, i int) chat.Fact {
	entry := w.entry(rapid.IntRange(0, 2).Draw(t, "entry"))
	n := 1
	if e := w.state.Entry(entry); e != nil {
		n = e.N
	}
	in := &chat.Inbound{Customer: w.customer(), Type: chat.TypeText, Text: "hi",
		Time:   w.now.Add(-time.Duration(rapid.IntRange(-10, 2000).Draw(t, "age")) * time.Minute),
		Remote: chat.RemoteID(fmt.Sprintf("m%d", rapid.IntRange(0, i).Draw(t, "remote")))}
	switch rapid.IntRange(0, 19).Draw(t, "fact") {
	case 14:
		in.Kind, in.Type, in.Content = chat.InboundMessage, "edit", &chat.Content{Edit: &chat.Edit{Target: in.Remote, Text: "ho"}}
		in.Remote = chat.RemoteID(fmt.Sprint("edit", i))
		return in
	case 15:
		in.Kind, in.Type, in.Content = chat.InboundMessage, "revoke", &chat.Content{Revoke: &chat.Revoke{
			Target: rapid.SampledFrom([]chat.RemoteID{in.Remote, "e" + in.Remote, "s" + chat.RemoteID(entry)}).Draw(t, "target")}}
		in.Remote = chat.RemoteID(fmt.Sprint("revoke", i))
		return in
	case 16:
		in.Kind, in.Type, in.Remote, in.Digest = chat.InboundUpdate, "control", "", fmt.Sprint(i)
		in.Content = rapid.SampledFrom([]*chat.Content{{Control: &chat.Control{Event: "take"}},
			{Control: &chat.Control{Event: "pass", Ours: true}}, {Call: &chat.Call{Inbound: true}},
			{Consent: &chat.Consent{Category: chat.ConsentMarketing}}}).Draw(t, "content")
		return in
	case 17:
		return anyFetch(t, w)
	case 0, 1:
		return anyMessage(t, w, i)
	case 2:
		in.Kind, in.Type = chat.InboundStatus, rapid.SampledFrom(reportWords).Draw(t, "word")
		in.Remote, in.Callback = "x"+in.Remote, string(entry)
		if e := w.state.Entry(entry); e == nil || e.N == 0 {
			in.Callback = ""
		}
		return in
	case 3:
		in.Kind, in.Remote = chat.InboundEcho, "e"+in.Remote
		return in
	case 4, 5, 6:
		return chat.Tick{}
	case 18, 19:
		return anyTool(t, w)
	case 7:
		return chat.ModelAnswered{Turn: w.state.TurnID(), Call: rapid.IntRange(1, 3).Draw(t, "call"), Answer: chat.Answer{Text: "hi"}}
	case 8:
		return chat.ModelFailed{Turn: w.state.TurnID(), Call: w.state.Turn.Call, Reason: "timeout", Permanent: rapid.Bool().Draw(t, "permanent")}
	case 9:
		return chat.AttemptDue{Message: entry}
	case 10:
		if e := w.state.Entry(entry); e == nil || e.State != chat.SendAttempting {
			return chat.Tick{}
		}
		return chat.AttemptFinished{Message: entry, N: n, Outcome: chat.SendOutcome{
			Result: chat.SendResult(rapid.IntRange(1, 6).Draw(t, "result")), Remote: chat.RemoteID("s" + string(entry)), Code: 1}}
	case 11:
		return rapid.SampledFrom([]chat.Fact{chat.TakeOver{}, chat.HandBack{}}).Draw(t, "desk")
	case 12:
		if m := anyOffer(t, w); m != nil {
			return *m
		}
		return chat.MemberSend{Text: "hi", Idempotency: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "key")), Digest: "d"}
	}
	return nil
}

// anyTool draws a step of tools: what the model asks for, what came of it, what a
// person says of it.
func anyTool(t *rapid.T, w *world) chat.Fact {
	turn := w.state.Turn
	id := fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "id"))
	names := []string{"look", "pay", "book", "refund", "evil", chat.ToolHandoff, chat.ToolSetContact}
	switch rapid.IntRange(0, 2).Draw(t, "tool") {
	case 0:
		a := chat.Answer{Model: "m", Cost: chat.Money(rapid.IntRange(0, 200).Draw(t, "cost"))}
		for i := range rapid.IntRange(1, 3).Draw(t, "calls") {
			k := chat.ToolCall{ID: fmt.Sprint(i + 1), Name: rapid.SampledFrom(names).Draw(t, "name"), Args: []byte(`{"field":"size","value":"M"}`)}
			if rapid.IntRange(0, 9).Draw(t, "invalid") == 0 {
				k.Invalid = "no"
			}
			a.Calls = append(a.Calls, k)
		}
		return chat.ModelAnswered{Turn: w.state.TurnID(), Call: turn.Call, Answer: a}
	case 1:
		return chat.ToolDecision{Call: id, Approved: rapid.Bool().Draw(t, "approved"), Member: "ana"}
	}
	return chat.ToolFinished{Turn: w.state.TurnID(), Call: id, Name: "pay", Acts: rapid.Bool().Draw(t, "acts"), Result: chat.ToolResult{Content: "x"}}
}

// tooled gives the world's assistant tools of each kind, and money.
func tooled(w *world) {
	w.set.Profile = &chat.Assistant{ID: "main", Version: 2, Disclosure: "a machine", Tools: []chat.ToolGrant{{Name: "look", Max: 3}, {Name: "pay"},
		{Name: "book"}, {Name: "refund", Approval: true}, {Name: chat.ToolHandoff}, {Name: chat.ToolSetContact}}}
	w.set.Tools = map[string]chat.Tool{"look": {}, "pay": {Acts: true}, "book": {Acts: true, Repeatable: true}, "refund": {Acts: true},
		chat.ToolHandoff: {}, chat.ToolSetContact: {}}
	w.set.CallCost, w.set.Budget = chat.CallCost{Prompt: 70, Output: 30}, 5000
}

// anyMessage draws what a customer wrote, sometimes with files.
func anyMessage(t *rapid.T, w *world, i int) *chat.Inbound {
	in := &chat.Inbound{Kind: chat.InboundMessage, Customer: w.customer(), Type: chat.TypeText, Text: "hi",
		Time:   w.now.Add(-time.Duration(rapid.IntRange(-10, 2000).Draw(t, "age")) * time.Minute),
		Remote: chat.RemoteID(fmt.Sprintf("m%d", rapid.IntRange(0, i).Draw(t, "remote")))}
	if n := rapid.IntRange(-6, 3).Draw(t, "files"); n > 0 {
		in.Type, in.Content = "image", &chat.Content{Media: make([]chat.Media, n)}
		for i := range in.Content.Media {
			in.Content.Media[i] = chat.Media{Kind: rapid.SampledFrom([]string{"image", "share"}).Draw(t, "kind"), ID: fmt.Sprint(i)}
		}
	}
	return in
}

// anyFetch draws what became of a file: of one that is wanted, mostly.
func anyFetch(t *rapid.T, w *world) chat.Fact {
	f := chat.FetchFinished{Seq: chat.Seq(rapid.IntRange(1, 9).Draw(t, "seq"))}
	if n := len(w.state.Fetches()); n > 0 && rapid.Bool().Draw(t, "wanted") {
		wanted := w.state.Fetches()[rapid.IntRange(0, n-1).Draw(t, "which")]
		f.Seq, f.Index = wanted.Seq, wanted.Index
	}
	stem, _ := chat.MediaStem(chat.MessageIDAt(w.state.ID, f.Seq), f.Index)
	if rapid.Bool().Draw(t, "stored") {
		f.Kept = chat.Kept{Blob: stem.Named("random"), Key: []byte("k"), Size: 3}
	} else {
		f.Reason = "gone"
	}
	return f
}

// C11: each file is told of by the time Meta has it no more, when nothing but the
// clock moves; and then nothing is owed for it.
func TestStep_EveryFileIsToldOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(chat.WhatsApp)
		w.set.Assistant = false // the looks of turns and sends would hide those at files
		for i := range rapid.IntRange(1, 6).Draw(t, "steps") {
			f := anyFetch(t, w)
			if w.state.Seq == 0 || rapid.Bool().Draw(t, "message") {
				f = anyMessage(t, w, i)
			}
			if err := w.do(f); err != nil {
				t.Fatal(err)
			}
		}
		ticks := 0
		for end := w.now.Add(chat.FetchWhatsApp); len(w.state.Fetches()) > 0 && w.now.Before(end); ticks++ {
			if w.now = w.state.Armed; w.now.IsZero() {
				t.Fatal("nothing is armed")
			}
			if err := w.do(chat.Tick{}); err != nil {
				t.Fatal(err)
			}
			if ticks > 400 {
				t.Fatal("looked at too often in a week")
			}
		}
		told, wanted := 0, 0
		for _, e := range w.events {
			switch {
			case e.Media != nil:
				told++
			case e.Message != nil && e.Message.Content != nil:
				for i := range e.Message.Content.Media {
					if e.Message.Content.Media[i].Fetchable() {
						wanted++
					}
				}
			}
		}
		if told != wanted {
			t.Fatalf("%d files, %d told of", wanted, told)
		}
	})
}

// C10: whoever waits is answered, told or handed over by the deadline, when
// nothing but the clock moves.
func TestStep_NobodyWaitsInSilence(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(chat.WhatsApp)
		tooled(w)
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			if f := anyFact(t, w, i); f != nil {
				if err := w.do(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		end := w.now.Add(2 * w.set.SilenceDeadline)
		for w.now.Before(end) {
			w.now = w.now.Add(time.Second)
			if w.state.Armed.IsZero() || w.state.Armed.After(w.now) {
				continue
			}
			if err := w.do(chat.Tick{}); err != nil {
				t.Fatal(err)
			}
		}
		if w.state.Holder == chat.HolderAssistant && w.state.WaitingFrom != 0 {
			t.Fatalf("a customer waits since %s at %s: %+v", w.state.WaitingSince, w.now, w.state)
		}
	})
}

func TestSplitText_FitsAndLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]chat.ChannelKind{chat.WhatsApp, chat.Instagram}).Draw(t, "kind")
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"hello", "é́", "👩‍👩‍👧‍👦", "🇪🇸", "مرحبا", "line\n", "end. ", strings.Repeat("x", 900)}), 0, 300).Draw(t, "words")
		text := strings.Join(words, " ")
		parts := chat.SplitText(kind, text)
		for _, part := range parts {
			if part == "" || !chat.FitsText(kind, part) {
				t.Fatalf("part of %d bytes does not fit", len(part))
			}
		}
		squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if squeeze(strings.Join(parts, "")) != squeeze(text) {
			t.Fatal("text was lost or changed")
		}
	})
}
