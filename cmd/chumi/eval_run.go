package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// evalTenant is whom cases are of.
const evalTenant chat.TenantID = "eval"

// tape is the cassette of a case.
func (e *evalCase) tape() string {
	return strings.TrimSuffix(e.file, filepath.Ext(e.file)) + ".tape.jsonl"
}

// run has the turns answered, one after the other, and lists what is wrong with them.
// model nil is the cassette alone.
func (e *evalCase) run(ctx context.Context, model actors.Model, prices *chat.PriceList) (faults []string, err error) {
	assistant, err := readAssistant(filepath.Join(filepath.Dir(e.file), e.Assistant))
	if err != nil {
		return nil, usageError(err)
	}
	tape, err := openCassette(e.tape(), model)
	if err != nil {
		return nil, usageError(err)
	}
	if model != nil {
		// What is recorded is what is said now.
		tape.answers = map[string]taped{}
	}
	w, err := e.world(assistant)
	if err != nil {
		return nil, usageError(err)
	}
	for i := range e.Turns {
		t := &e.Turns[i]
		o, err := w.turn(ctx, t, tape, prices)
		if err != nil {
			return nil, err
		}
		costMax, _ := chat.ParseMoney(cmp.Or(t.CostMax, "0")) // read before
		want := chat.Expectation{Tools: t.Tools, Must: t.Must, MustNot: t.MustNot, Expected: t.Expected, Handoff: t.Handoff,
			Schema: t.Schema, Sources: t.Sources, CostMax: costMax}
		wrong := want.Judge(&o)
		for _, f := range wrong {
			if strings.HasSuffix(f, errNotTaped) {
				f = "its prompt is not in " + e.tape() + ": run it with --live once"
			}
			faults = append(faults, fmt.Sprintf("turn %d: %s", i+1, f))
		}
		if o.Failed != "" {
			break
		}
	}
	redactor := chat.NewRedactor(&chat.Personal{})
	return faults, tape.save(func(text string) string { return keepJSON(text, redactor) })
}

// keepJSON is a recorded answer without personal data: of a structured one, its texts.
func keepJSON(text string, r *chat.Redactor) string {
	hide := func(s string) string { return r.Redact(s, map[string]int{}) }
	var response chat.Response
	if json.Unmarshal([]byte(text), &response) != nil {
		return hide(text)
	}
	for i := range response.Messages {
		response.Messages[i] = hide(response.Messages[i])
	}
	response.Note = hide(response.Note)
	b, err := json.Marshal(response)
	if err != nil {
		return hide(text)
	}
	return string(b)
}

// evalWorld is the talk of a case so far, with what can be looked up in it. It
// implements actors.Documents and actors.Contacts for the engine's own tools.
type evalWorld struct {
	of       *evalCase
	settings *chat.Settings
	desk     *actors.Workbench
	docs     []chat.Doc
	contact  chat.Contact
	events   []chat.Event
	now      time.Time
}

func (e *evalCase) world(assistant *chat.Assistant) (*evalWorld, error) {
	w := &evalWorld{of: e, contact: chat.Contact{ID: "ct_eval", Name: e.Contact}}
	w.now, _ = time.Parse(time.RFC3339, e.Time) // read before
	put := func(noun chat.DocNoun, id string, v any) error {
		value, err := json.Marshal(v)
		w.docs = append(w.docs, chat.Doc{Noun: noun, ID: id, Value: value})
		return err
	}
	for i := range e.Products {
		p := &e.Products[i]
		if err := put(chat.DocCatalog, p.ID, chat.CatalogItem{ID: p.ID, Name: p.Name, Description: p.Description, Price: int64(p.Price), Currency: p.Currency, URL: p.URL}); err != nil {
			return nil, err
		}
	}
	if err := put(chat.DocCatalogHead, chat.CatalogHeadID, chat.CatalogHead{Version: 1}); err != nil {
		return nil, err
	}
	for i := range e.Tools {
		t := &e.Tools[i]
		if _, own := chat.EngineTool(t.Name); own {
			continue
		}
		spec := chat.Tool{Name: t.Name, Kind: chat.ToolHTTP, Description: t.Description, Parameters: json.RawMessage(cmp.Or(t.Parameters, `{"type":"object"}`))}
		if err := put(chat.DocTool, t.Name, spec); err != nil {
			return nil, &Problem{Where: e.file, Key: fmt.Sprintf("tools[%d].parameters", i), What: "must be a JSON schema"}
		}
	}
	w.settings = chat.ReadPast(w.docs).Settings(assistant, "eval")
	w.desk = actors.NewWorkbench(actors.WorkbenchOptions{Documents: w, Contacts: w, Knowledge: w})
	for _, l := range e.History {
		if l.Customer != "" {
			w.say(chat.MessageReceived, l.Customer)
		}
		if l.Business != "" {
			w.say(chat.MessageQueued, l.Business)
		}
	}
	return w, nil
}

// say adds a message to the talk.
func (w *evalWorld) say(kind chat.EventKind, text string) chat.Seq {
	seq := chat.Seq(len(w.events) + 1)
	author := chat.AuthorCustomer
	if kind == chat.MessageQueued {
		author = chat.AuthorAssistant
	}
	w.events = append(w.events, chat.Event{Seq: seq, Kind: kind,
		Message: &chat.Message{ID: chat.MessageID(fmt.Sprint("msg_", seq)), Type: chat.TypeText, Text: text, Author: author}})
	return seq
}

// turn has one turn answered.
func (w *evalWorld) turn(ctx context.Context, t *evalTurn, model actors.Model, prices *chat.PriceList) (chat.Outcome, error) {
	from := chat.Seq(len(w.events) + 1)
	for _, text := range t.Customer {
		w.say(chat.MessageReceived, text)
	}
	talk := chat.Talk{Settings: w.settings, Events: w.events, Turn: chat.TurnID(fmt.Sprint("turn_", from)), From: from, UpTo: chat.Seq(len(w.events)),
		Facts: chat.FactsOf(&w.contact, chat.WhatsApp, w.now, time.UTC)}
	saw, err := w.Search(ctx, evalTenant, talk.Unanswered(), 5)
	if err != nil {
		return chat.Outcome{}, err
	}
	talk.Saw = saw
	redo := chat.NewRedo(talk, &chat.Recording{})
	redo.Run = func(k *chat.ToolCall) (chat.ToolResult, bool) { return w.use(ctx, k) }
	if err := redoWith(ctx, redo, model, prices); err != nil {
		return chat.Outcome{}, err
	}
	o := redo.Outcome()
	for _, m := range o.Messages {
		w.say(chat.MessageQueued, m)
	}
	return o, nil
}

// use is what a tool comes to: what the case says, or what the engine's own tools find
// in it.
func (w *evalWorld) use(ctx context.Context, k *chat.ToolCall) (chat.ToolResult, bool) {
	args, err := chat.CanonicalArgs(k.Args)
	if err != nil {
		return chat.ToolResult{}, false
	}
	for i := range w.of.Tools {
		t := &w.of.Tools[i]
		wanted, _ := chat.CanonicalArgs([]byte(t.Args)) // read before
		if t.Name == k.Name && (t.Args == "" || string(wanted) == string(args)) {
			return chat.ToolResult{Content: t.Result, Error: t.Error}, true
		}
	}
	own, found := chat.EngineTool(k.Name)
	if !found {
		return chat.ToolResult{}, false
	}
	if k.Name == chat.ToolSetContact {
		return chat.ToolResult{Content: "Kept."}, true
	}
	return w.desk.Run(ctx, chat.ToolRun{Tenant: evalTenant, Contact: w.contact.ID, Call: *k, Tool: own}), true
}

// Doc implements actors.Documents.
func (w *evalWorld) Doc(_ chat.TenantID, noun chat.DocNoun, id string) (value []byte, found bool, err error) {
	for i := range w.docs {
		if w.docs[i].Noun == noun && w.docs[i].ID == id {
			return w.docs[i].Value, true, nil
		}
	}
	return nil, false, nil
}

// Docs implements actors.Documents.
func (w *evalWorld) Docs(_ context.Context, _ chat.TenantID, noun chat.DocNoun) (list []chat.Doc, err error) {
	for _, d := range w.docs {
		if d.Noun == noun {
			list = append(list, d)
		}
	}
	return list, nil
}

// Contact implements actors.Contacts.
func (w *evalWorld) Contact(chat.TenantID, chat.ContactID) (chat.Contact, error) {
	return w.contact, nil
}

// Person implements actors.Contacts.
func (w *evalWorld) Person(chat.TenantID, chat.ContactID) (chat.Contact, error) {
	return w.contact, nil
}

// Search implements actors.Knowledge: the passages that share most words with what is
// asked.
func (w *evalWorld) Search(_ context.Context, _ chat.TenantID, query string, limit int) (list []chat.Passage, err error) {
	asked := map[string]bool{}
	for word := range strings.FieldsFuncSeq(strings.ToLower(query), notWord) {
		asked[word] = len(word) > 3
	}
	for i := range w.of.Knowledge {
		k := &w.of.Knowledge[i]
		p := chat.Passage{Chunk: k.ID, Version: 1, Source: "eval", Title: k.Title, URL: k.URL, Text: k.Text}
		for word := range strings.FieldsFuncSeq(strings.ToLower(k.Title+" "+k.Text), notWord) {
			if asked[word] {
				p.Score++
			}
		}
		if p.Score > 0 {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b chat.Passage) int { return cmp.Compare(b.Score, a.Score) })
	return list[:min(len(list), limit)], nil
}

func notWord(r rune) bool { return strings.ContainsRune(" \t\n.,;:!?()\"'/", r) }
