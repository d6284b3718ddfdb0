package actors

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// Training makes training data of a tenant's talks, where the tenant allows it. Safe
// for concurrent use.
type Training struct{ sys *System }

// Training returns the way to training data.
func (s *System) Training() *Training { return &Training{s} }

// Bounds of one export.
const (
	// exchangesMax are the most exchanges that are looked at, those of the latest talks
	// first.
	exchangesMax = 20_000
	// lineagePart rows stand in one document.
	lineagePart = 250
	// exportsMax bounds the exports that are remembered.
	exportsMax = 500
)

var (
	errTrainingOff = chat.E("training", chat.KindConflict, "training_not_enabled", nil)
	errNoExport    = chat.E("training", chat.KindNotFound, "there is no such export", nil)
	errExports     = chat.E("training", chat.KindConflict, "too_many", nil)
	errNoTalks     = chat.E("training", chat.KindUnavailable, "conversations cannot be listed here", nil)
)

// Policy is what the tenant allows; nothing until somebody says otherwise.
func (r *Training) Policy(t chat.TenantID) (p chat.TrainingPolicy, err error) {
	p.K = chat.DefaultAnonymity
	value, found, err := r.sys.opt.Documents.Doc(t, chat.DocTraining, chat.TrainingPolicyID)
	if err == nil && found && json.Unmarshal(value, &p) != nil {
		err = errBrokenTool
	}
	return p, err
}

// SetPolicy is durable when it returns. REQUIRES: K of 2 or more.
func (r *Training) SetPolicy(ctx context.Context, t chat.TenantID, p chat.TrainingPolicy) error {
	value, err := json.Marshal(p)
	if err != nil {
		return chat.E("training", chat.KindInvalid, "not JSON", nil)
	}
	_, err = r.sys.put(ctx, t, chat.TrainingPut{Docs: []chat.Doc{{Noun: chat.DocTraining, ID: chat.TrainingPolicyID, Value: value}}})
	return err
}

// Preview makes rows and keeps nothing: what would be exported now, and what would not.
// A tenant that allows nothing gets none.
func (r *Training) Preview(ctx context.Context, t chat.TenantID) ([]chat.TrainingRow, chat.TrainingReport, error) {
	p, err := r.Policy(t)
	if err != nil || !p.Enabled {
		return nil, chat.TrainingReport{K: p.K}, err
	}
	return r.rows(ctx, t, &p, nil)
}

// Export makes an export and remembers what its rows were made of. Of a tenant that
// allows nothing it has no row.
func (r *Training) Export(ctx context.Context, t chat.TenantID, by string) (x chat.TrainingExport, err error) {
	before, err := r.Exports(ctx, t)
	switch {
	case err != nil:
		return x, err
	case len(before) >= exportsMax:
		return x, errExports
	}
	rows, report, err := r.Preview(ctx, t)
	if err != nil {
		return x, err
	}
	now := r.sys.opt.Clock.Now().UTC()
	x = chat.TrainingExport{ID: fmt.Sprintf("exp_%d_%d", now.UnixMilli(), len(before)+1), Created: now, By: by, TrainingReport: report}
	rows = slices.DeleteFunc(rows, func(row chat.TrainingRow) bool { return row.State != chat.TrainingKept })
	for i := range rows {
		rows[i].Line = nil
	}
	for part := range slices.Chunk(rows, lineagePart) {
		if err := r.put(ctx, t, fmt.Sprintf("%s/%d", x.ID, x.Parts), chat.TrainingLineage{Rows: part}); err != nil {
			return x, err
		}
		x.Parts++
	}
	// The head comes last: an export that a crash cut is none.
	if err := r.put(ctx, t, x.ID, x); err != nil {
		return x, err
	}
	for state, n := range report.States {
		r.sys.met.Training.Rows.WithLabelValues(state).Add(float64(n))
	}
	for kind, n := range report.Redactions {
		r.sys.met.Training.Redactions.WithLabelValues(kind).Add(float64(n))
	}
	return x, nil
}

func (r *Training) put(ctx context.Context, t chat.TenantID, id string, v any) error {
	value, err := json.Marshal(v)
	if err != nil {
		return chat.E("training", chat.KindInvalid, "not JSON", nil)
	}
	_, err = r.sys.put(ctx, t, chat.TrainingPut{Docs: []chat.Doc{{Noun: chat.DocTrainingExport, ID: id, Value: value}}})
	return err
}

// Exports lists the exports of a tenant, the latest first.
func (r *Training) Exports(ctx context.Context, t chat.TenantID) ([]chat.TrainingExport, error) {
	docs, err := r.sys.opt.Documents.Docs(ctx, t, chat.DocTrainingExport)
	if err != nil {
		return nil, err
	}
	var list []chat.TrainingExport
	for i := range docs {
		if strings.Contains(docs[i].ID, "/") {
			continue
		}
		var x chat.TrainingExport
		if json.Unmarshal(docs[i].Value, &x) != nil {
			return nil, errBrokenTool
		}
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b chat.TrainingExport) int { return b.Created.Compare(a.Created) })
	return list, r.sys.opt.Barrier.Barrier(ctx, t)
}

// Report is an export with its lineage, and the contacts of it that were erased since:
// whoever has the file must take their rows out.
func (r *Training) Report(ctx context.Context, t chat.TenantID, id string) (x chat.TrainingExport, rows []chat.TrainingRow, retracted []chat.ContactID, err error) {
	value, found, err := r.sys.opt.Documents.Doc(t, chat.DocTrainingExport, id)
	switch {
	case err != nil:
		return x, nil, nil, err
	case !found || strings.Contains(id, "/"):
		return x, nil, nil, errNoExport
	case json.Unmarshal(value, &x) != nil:
		return x, nil, nil, errBrokenTool
	}
	for part := range x.Parts {
		l, err := documentOf[chat.TrainingLineage](ctx, r.sys, t, chat.DocTrainingExport, fmt.Sprintf("%s/%d", id, part))
		if err != nil {
			return x, nil, nil, err
		}
		rows = append(rows, l.Rows...)
	}
	seen := map[chat.ContactID]bool{}
	for i := range rows {
		c := rows[i].Contact
		if seen[c] {
			continue
		}
		seen[c] = true
		switch _, err := r.sys.opt.Contacts.Contact(t, c); {
		case chat.KindOf(err) == chat.KindNotFound:
			retracted = append(retracted, c)
		case err != nil:
			return x, nil, nil, err
		}
	}
	return x, rows, retracted, nil
}

// Rows makes the rows of an export again. Those of people who were erased since are
// gone, and those whose pattern has too few contacts without them; a tenant that allows
// nothing any more gets none.
func (r *Training) Rows(ctx context.Context, t chat.TenantID, id string) ([]chat.TrainingRow, error) {
	x, lineage, _, err := r.Report(ctx, t, id)
	if err != nil {
		return nil, err
	}
	p, err := r.Policy(t)
	switch {
	case err != nil:
		return nil, err
	case !p.Enabled:
		return nil, errTrainingOff
	}
	p.K = max(p.K, x.K)
	only := map[chat.TurnID]bool{}
	for i := range lineage {
		only[lineage[i].Turn] = true
	}
	rows, _, err := r.rows(ctx, t, &p, only)
	return slices.DeleteFunc(rows, func(row chat.TrainingRow) bool { return row.State != chat.TrainingKept }), err
}

// rows makes rows of the tenant's talks, of some turns only where only is not nil.
func (r *Training) rows(ctx context.Context, t chat.TenantID, p *chat.TrainingPolicy, only map[chat.TurnID]bool) ([]chat.TrainingRow, chat.TrainingReport, error) {
	none := chat.TrainingReport{K: p.K}
	if r.sys.opt.Talks == nil {
		return nil, none, errNoTalks
	}
	var docs []chat.Doc
	for _, noun := range []chat.DocNoun{chat.DocVersion, chat.DocTool, chat.DocToolText, chat.DocOrder} {
		some, err := r.sys.opt.Documents.Docs(ctx, t, noun)
		if err != nil {
			return nil, none, err
		}
		docs = append(docs, some...)
	}
	past, known := chat.ReadPast(docs), chat.Personal{}
	for i := range docs {
		if docs[i].Noun == chat.DocOrder {
			known.Orders = append(known.Orders, docs[i].ID)
		}
	}
	var list []chat.Exchange
	for cursor := ""; ; {
		page, next, err := r.sys.opt.Talks.Conversations(ctx, t, cursor, 100)
		if err != nil {
			return nil, none, err
		}
		for i := range page {
			known.Contacts = append(known.Contacts, page[i].Contact)
			if len(list) >= exchangesMax {
				continue
			}
			events, err := r.events(ctx, t, page[i].State.ID)
			if err != nil {
				return nil, none, err
			}
			for _, x := range chat.ExchangesOf(page[i].State.Contact, events, past) {
				if only == nil || only[x.Turn] {
					list = append(list, x)
				}
			}
		}
		if cursor = next; next == "" {
			break
		}
	}
	rows, report := chat.Anonymize(p, list, chat.NewRedactor(&known))
	return rows, report, nil
}

// events are all of a conversation.
func (r *Training) events(ctx context.Context, t chat.TenantID, id chat.ConversationID) (all []chat.Event, err error) {
	for after := chat.Seq(0); ; after = all[len(all)-1].Seq {
		some, err := r.sys.opt.Journal.Events(t, id, after, 1000)
		if err != nil || len(some) == 0 {
			return all, err
		}
		if ctx.Err() != nil {
			return nil, chat.E("training", chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
		}
		all = append(all, some...)
	}
}
