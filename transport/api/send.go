package api

import (
	"strconv"

	"github.com/chumiai/chumi/chat"
)

const (
	sendsDefault = 100
	sendsMax     = 1000
)

// listSends is GET /v1/sends: the sends whose end is not known.
func (r *call) listSends() *failure {
	limit, fail := r.limit(sendsDefault, sendsMax)
	if fail != nil {
		return fail
	}
	cursor, fail := r.cursor()
	if fail != nil {
		return fail
	}
	state := string(r.ctx.QueryArgs().Peek("state"))
	switch state {
	case "", chat.SendQueued.String(), chat.SendAttempting.String(), chat.SendUnknown.String():
	default:
		return invalid("parameter_invalid", "state", "state must be queued, attempting or unknown.")
	}
	ctx, cancel := r.reading()
	defer cancel()
	page, next, err := r.opt.Sends.Sends(ctx, r.principal.Tenant, state, cursor, limit)
	if err != nil {
		return r.pageFailed(err)
	}
	list(r, page, next, appendSend)
	return nil
}

// appendSend writes one send. A send without next_at was given up: only a report
// of Meta can still tell what became of it.
func appendSend(dst []byte, v *chat.SendView) []byte {
	e := &v.Entry
	dst = append(dst, `{"message_id":`...)
	dst = appendString(dst, string(e.Message))
	dst = appendMember(dst, "conversation_id", string(v.Conversation))
	dst = appendMember(dst, "channel_id", string(v.Channel))
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = appendMember(dst, "author", e.Author.String())
	dst = appendMember(dst, "state", e.State.String())
	dst = appendMember(dst, "class", e.Class.String())
	dst = append(dst, `,"attempts":`...)
	dst = strconv.AppendInt(dst, int64(e.N), 10)
	dst = append(dst, `,"queued_at":`...)
	dst = appendTime(dst, v.Queued)
	if e.State == chat.SendLeft {
		dst = appendOptionalTime(dst, "given_up_at", e.At)
		return append(dst, `,"next_at":null}`...)
	}
	dst = append(dst, `,"next_at":`...)
	return append(appendTime(dst, e.At), '}')
}
