package api

import "github.com/chumiai/chumi/chat"

// approval is the body of POST /v1/conversations/{id}/approvals.
type approval struct {
	Call     string `json:"call_id"`
	Approved *bool  `json:"approved"`
}

// approve is POST /v1/conversations/{id}/approvals: a person lets a tool call that
// waits for it be made, or not.
func (r *call) approve() *failure {
	var body approval
	if fail := decode(r.ctx.PostBody(), &body, false); fail != nil {
		return fail
	}
	switch {
	case body.Call == "":
		return invalid("parameter_missing", "call_id", "name the call: it is in the event tool_asked")
	case body.Approved == nil:
		return invalid("parameter_missing", "approved", "say true or false")
	}
	ctx, cancel := r.writing()
	defer cancel()
	err := r.opt.Approvals.Decide(ctx, r.principal.Tenant, r.conversation(),
		chat.ToolDecision{Call: body.Call, Approved: *body.Approved, Member: r.principal.Key})
	if err != nil {
		return r.failed(err)
	}
	b := appendString([]byte(`{"call_id":`), body.Call)
	b = append(b, `,"approved":`...)
	if *body.Approved {
		b = append(b, "true}"...)
	} else {
		b = append(b, "false}"...)
	}
	r.json(b)
	return nil
}
