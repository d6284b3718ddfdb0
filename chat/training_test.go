package chat

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// exchange is one of a contact, in the words of many.
func exchange(contact int, intent, customer, answer string) Exchange {
	id := ConversationID(fmt.Sprint("conv_", contact))
	return Exchange{Conversation: id, Contact: ContactID(fmt.Sprint("ct_", contact)), Turn: TurnID(fmt.Sprint("turn_", contact, intent, len(customer))), Version: "main@1",
		System: "You sell bikes.",
		Lines: []PromptLine{{Role: RoleCustomer, Text: customer},
			{Role: RoleAssistant, Calls: []ToolCall{{ID: "1.0", Name: "search_catalog", Args: json.RawMessage(`{"query":` + string(encoded(customer)) + `}`)}}},
			{Role: RoleTool, Result: "1.0", Text: "found: " + customer}},
		Answer: Response{Messages: []string{answer}, Intent: intent, Language: "en", Note: customer, Sources: []string{customer}}}
}

func encoded(s string) []byte { b, _ := json.Marshal(s); return b }

func TestAnonymize_OptedOutYieldsNothing(t *testing.T) {
	rows, report := Anonymize(&TrainingPolicy{}, []Exchange{exchange(1, "price", "hello", "hi")}, NewRedactor(&Personal{}))
	if len(rows) != 0 || len(report.States) != 0 {
		t.Errorf("%v, %+v", rows, report)
	}
}

// TestAnonymize_KeepsNoCanary plants every kind in every text of exchanges, in patterns
// that many have: whatever is kept holds none of it, and no word of fewer than K.
func TestAnonymize_KeepsNoCanary(t *testing.T) {
	p := planter{rand.New(rand.NewPCG(3, 5))}
	var list []Exchange
	var planted []canary
	for i := range 200 {
		c := []func() canary{p.phone, p.card, p.iban, p.mail, p.key, p.order, p.user, p.address, func() canary { return bentNames[p.IntN(len(bentNames))] },
			func() canary {
				return canary{PersonalUncommon, fmt.Sprintf("zebrafinch%c%c", 'a'+i%26, 'a'+i/26), "zebrafinch"}
			}}[i%10]()
		planted = append(planted, c)
		text := "what is the price of the blue bike, this is for " + c.text + " thanks"
		list = append(list, exchange(i, "price", text, "the price of the blue bike is here, thanks, this is for "+c.text))
	}
	rows, report := Anonymize(&TrainingPolicy{Enabled: true, K: 5}, list, NewRedactor(&Personal{Contacts: people}))
	if report.States[TrainingKept] < 150 {
		t.Fatalf("%+v", report)
	}
	for i := range rows {
		line := squeeze(strings.ReplaceAll(string(rows[i].Line), `\u`, ""))
		if rows[i].State == TrainingKept && planted[i].kind != PersonalName && strings.Contains(line, squeeze(planted[i].trace)) {
			t.Errorf("%s %q is in %s", planted[i].kind, planted[i].text, rows[i].Line)
		}
		if planted[i].kind == PersonalName && strings.Contains(strings.ToLower(string(rows[i].Line)), planted[i].trace) {
			t.Errorf("%s %q is in %s", planted[i].kind, planted[i].text, rows[i].Line)
		}
		var back trainingLine
		if rows[i].State == TrainingKept && (json.Unmarshal(rows[i].Line, &back) != nil || len(back.Messages) != 5 || back.Messages[2].Calls[0].Function.Name != "search_catalog") {
			t.Errorf("no line of a fine-tuning file: %s", rows[i].Line)
		}
	}
}

// Every kept pattern has K contacts: not K talks of one.
func TestAnonymize_CountsContactsAndNotTalks(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 9))
	for range 30 {
		k := 2 + random.IntN(5)
		var list []Exchange
		contacts := map[string]map[ContactID]bool{}
		for i := range random.IntN(60) {
			x := exchange(random.IntN(12), fmt.Sprint("intent", random.IntN(6)), "price of the bike", "it is here")
			x.Turn = TurnID(fmt.Sprint("turn_", i))
			note(contacts, x.Answer.Intent, x.Contact)
			list = append(list, x)
		}
		rows, report := Anonymize(&TrainingPolicy{Enabled: true, K: k}, list, NewRedactor(&Personal{}))
		total := 0
		for _, n := range report.States {
			total += n
		}
		if total != len(list) || len(rows) != len(list) {
			t.Fatalf("%d rows, %d counted of %d", len(rows), total, len(list))
		}
		for i := range rows {
			n := len(contacts[list[i].Answer.Intent])
			if rows[i].State == TrainingKept && n < k || rows[i].State == TrainingFewContacts && n >= k || (rows[i].Line == nil) == (rows[i].State == TrainingKept) {
				t.Fatalf("%d contacts of k=%d: %+v", n, k, rows[i])
			}
		}
	}
}

// A report says nothing of what was taken out, and lineage names ids only.
func TestAnonymize_NamesWhatMadeEachRow(t *testing.T) {
	list := []Exchange{exchange(1, "price", "price of the bike", "here"), {Conversation: "conv_9", Contact: "ct_9", Turn: "turn_9", State: TrainingSimulated}}
	rows, report := Anonymize(&TrainingPolicy{Enabled: true, K: 2}, list, NewRedactor(&Personal{}))
	if len(rows) != 2 || rows[0].State != TrainingFewContacts || rows[0].Pattern != "" || rows[1].State != TrainingSimulated || rows[0].Version != "main@1" {
		t.Errorf("%+v", rows)
	}
	for state := range report.States {
		if !slices.Contains(TrainingStates, state) {
			t.Errorf("%q is no state", state)
		}
	}
}
