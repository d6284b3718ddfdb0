package api

import "github.com/valyala/fasthttp"

// markRead is POST /v1/conversations/{id}/read. What Meta makes of it is not waited
// for: a read mark is no message.
func (r *call) markRead() *failure {
	if fail := decode(r.ctx.PostBody(), &nothing{}, true); fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	remote, err := r.opt.Marks.MarkRead(ctx, r.principal.Tenant, r.conversation())
	if err != nil {
		return r.failed(err)
	}
	b := appendString([]byte(`{"conversation_id":`), string(r.conversation()))
	b = appendNullable(b, "remote_id", string(remote))
	r.ctx.SetStatusCode(fasthttp.StatusAccepted)
	r.json(append(b, '}'))
	return nil
}
