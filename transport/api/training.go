package api

import (
	"context"
	"encoding/json"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// trainingWait bounds an export: it looks at every talk of the tenant.
const trainingWait = 10 * time.Minute

// previewMax bounds the rows of a preview.
const previewMax = 200

var (
	errNoExport = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "export_not_found",
		message: "There is no such export."}
	errNoTraining = failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "training_not_enabled",
		message: "The tenant does not allow training data; allow it with PUT /v1/training-policy first."}
)

func (r *call) marshal(v any) *failure {
	b, err := json.Marshal(v)
	if err != nil {
		return r.failed(err)
	}
	r.json(b)
	return nil
}

// trained is failed for training data.
func (r *call) trained(err error) *failure {
	switch chat.KindOf(err) {
	case chat.KindNotFound:
		return &errNoExport
	case chat.KindConflict:
		return &errNoTraining
	}
	return r.failed(err)
}

// showTrainingPolicy is GET /v1/training-policy.
func (r *call) showTrainingPolicy() *failure {
	p, err := r.opt.TrainingPolicy.Policy(r.principal.Tenant)
	if err != nil {
		return r.failed(err)
	}
	return r.marshal(p)
}

// setTrainingPolicy is PUT /v1/training-policy.
func (r *call) setTrainingPolicy() *failure {
	var p chat.TrainingPolicy
	if fail := decode(r.ctx.PostBody(), &p, false); fail != nil {
		return fail
	}
	if p.K == 0 {
		p.K = chat.DefaultAnonymity
	}
	if p.K < 2 || p.K > 10_000 {
		return invalid("parameter_invalid", "k", "k is from 2 to 10000: how many contacts a pattern must have.")
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := r.opt.TrainingPolicy.SetPolicy(ctx, r.principal.Tenant, p); err != nil {
		return r.failed(err)
	}
	return r.marshal(p)
}

// exportTraining is POST /v1/training-exports.
func (r *call) exportTraining() *failure {
	var body struct {
		Preview bool `json:"preview"`
	}
	if fail := decode(r.ctx.PostBody(), &body, true); fail != nil {
		return fail
	}
	ctx, cancel := context.WithTimeout(context.Background(), trainingWait)
	defer cancel()
	if !body.Preview {
		x, err := r.opt.Training.Export(ctx, r.principal.Tenant, r.principal.Key)
		if err != nil {
			return r.failed(err)
		}
		r.ctx.SetStatusCode(fasthttp.StatusCreated)
		return r.marshal(x)
	}
	rows, report, err := r.opt.Training.Preview(ctx, r.principal.Tenant)
	if err != nil {
		return r.failed(err)
	}
	return r.marshal(struct {
		chat.TrainingReport
		Rows []chat.TrainingRow `json:"rows"`
	}{report, append([]chat.TrainingRow{}, rows[:min(len(rows), previewMax)]...)})
}

// listTrainingExports is GET /v1/training-exports.
func (r *call) listTrainingExports() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	list, err := r.opt.TrainingReports.Exports(ctx, r.principal.Tenant)
	if err != nil {
		return r.failed(err)
	}
	return r.marshal(page[chat.TrainingExport]{Data: append([]chat.TrainingExport{}, list...)})
}

// reportTraining is GET /v1/training-exports/{id}/report.
func (r *call) reportTraining() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	x, rows, retracted, err := r.opt.TrainingReports.Report(ctx, r.principal.Tenant, r.named())
	if err != nil {
		return r.trained(err)
	}
	return r.marshal(struct {
		chat.TrainingExport
		Lineage   []chat.TrainingRow `json:"lineage"`
		Retracted []chat.ContactID   `json:"retracted_contact_ids"`
	}{x, append([]chat.TrainingRow{}, rows...), append([]chat.ContactID{}, retracted...)})
}

// rowsOfTraining is GET /v1/training-exports/{id}/rows: the file.
func (r *call) rowsOfTraining() *failure {
	ctx, cancel := context.WithTimeout(context.Background(), trainingWait)
	defer cancel()
	rows, err := r.opt.TrainingReports.Rows(ctx, r.principal.Tenant, r.named())
	if err != nil {
		return r.trained(err)
	}
	var b []byte
	for i := range rows {
		b = append(append(b, rows[i].Line...), '\n')
	}
	r.ctx.SetContentType("application/jsonl")
	r.ctx.SetBody(b)
	return nil
}
