package api

import (
	"context"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// nothing is the body of the requests that take none: empty, or an empty object.
type nothing struct{}

// takeOver is POST /v1/conversations/{id}/takeover. When it is answered no
// message of the assistant is under way, and none will be until a handback.
func (r *call) takeOver() *failure {
	return r.hold(chat.HolderMember, func(ctx context.Context) (chat.Verdict, error) {
		return r.opt.Commands.TakeOver(ctx, r.principal.Tenant, r.conversation(), chat.TakeOver{Member: r.principal.Key})
	})
}

// handBack is POST /v1/conversations/{id}/handback.
func (r *call) handBack() *failure {
	return r.hold(chat.HolderAssistant, func(ctx context.Context) (chat.Verdict, error) {
		return r.opt.Commands.HandBack(ctx, r.principal.Tenant, r.conversation(), chat.HandBack{Member: r.principal.Key})
	})
}

// hold changes the holder. Asking for the holder that already holds is no
// mistake: the answer is the same.
func (r *call) hold(holder chat.Holder, command func(context.Context) (chat.Verdict, error)) *failure {
	if fail := decode(r.ctx.PostBody(), &nothing{}, true); fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	verdict, err := command(ctx)
	if err != nil {
		return r.failed(err)
	}
	failpoint.Hit(failpoint.APIAnswering)
	if verdict.Kind == chat.VerdictRefused {
		return refused(verdict.Reason)
	}
	b := appendString([]byte(`{"conversation_id":`), string(r.conversation()))
	b = appendMember(b, "holder", holder.String())
	r.json(append(b, '}'))
	return nil
}
