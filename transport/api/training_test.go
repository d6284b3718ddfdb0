package api_test

import (
	"context"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/getkin/kin-openapi/openapi3filter"
)

func init() { openapi3filter.RegisterBodyDecoder("application/jsonl", openapi3filter.FileBodyDecoder) }

// trainer has one export, exp_1; nothing is allowed of exp_3 any more.
type trainer struct{}

var (
	trainedRow    = chat.TrainingRow{Conversation: "conv_a", Contact: "ct_a", Turn: "turn_a", Version: "main@1", State: chat.TrainingKept, Pattern: "ab"}
	trainedReport = chat.TrainingReport{K: 5, States: map[string]int{chat.TrainingKept: 1}, Redactions: map[string]int{chat.PersonalEmail: 2}, Patterns: 1}
	trainedExport = chat.TrainingExport{ID: "exp_1", Created: time.UnixMilli(1_790_000_000_000).UTC(), By: "key_1", TrainingReport: trainedReport, Parts: 1}
)

func (trainer) Policy(chat.TenantID) (chat.TrainingPolicy, error) {
	return chat.TrainingPolicy{Enabled: true, K: 5}, nil
}

func (trainer) SetPolicy(context.Context, chat.TenantID, chat.TrainingPolicy) error { return nil }

func (trainer) Preview(context.Context, chat.TenantID) ([]chat.TrainingRow, chat.TrainingReport, error) {
	row := trainedRow
	row.Line = []byte(`{"messages":[]}`)
	return []chat.TrainingRow{row, {Conversation: "conv_b", Contact: "ct_b", Turn: "turn_b", State: chat.TrainingFewContacts}}, trainedReport, nil
}

func (trainer) Export(context.Context, chat.TenantID, string) (chat.TrainingExport, error) {
	return trainedExport, nil
}

func (trainer) Exports(context.Context, chat.TenantID) ([]chat.TrainingExport, error) {
	return []chat.TrainingExport{trainedExport}, nil
}

func (trainer) Report(_ context.Context, _ chat.TenantID, id string) (chat.TrainingExport, []chat.TrainingRow, []chat.ContactID, error) {
	if id != "exp_1" {
		return chat.TrainingExport{}, nil, nil, chat.E("trainer", chat.KindNotFound, "there is no such export", nil)
	}
	return trainedExport, []chat.TrainingRow{trainedRow}, []chat.ContactID{"ct_a"}, nil
}

func (t trainer) Rows(ctx context.Context, _ chat.TenantID, id string) ([]chat.TrainingRow, error) {
	if id == "exp_3" {
		return nil, chat.E("trainer", chat.KindConflict, "training_not_enabled", nil)
	}
	rows, _, err := t.Preview(ctx, "")
	return rows[:1], err
}
