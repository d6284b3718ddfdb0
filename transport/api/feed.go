package api

import (
	"bytes"
	"strconv"

	"github.com/chumiai/chumi/chat"
)

const (
	eventsDefault = 500
	eventsMax     = 1000
)

// listConversationEvents is GET /v1/conversations/{id}/events.
func (r *call) listConversationEvents() *failure {
	after, limit, fail := r.page("after")
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	events, err := r.opt.Views.ConversationEvents(ctx, r.principal.Tenant, r.conversation(), chat.Seq(after), limit+1)
	if err != nil {
		return r.failed(err)
	}
	r.events(events, limit, func(e *chat.Event) uint64 { return uint64(e.Seq) })
	return nil
}

// feed is GET /v1/events: a list when the client asks for JSON or a page, a
// stream otherwise.
func (r *call) feed() *failure {
	if !r.wantsList() {
		return r.stream()
	}
	from, limit, fail := r.page("from")
	if fail != nil {
		return fail
	}
	ctx, cancel := r.reading()
	defer cancel()
	events, err := r.opt.Feed.Feed(ctx, r.principal.Tenant, chat.Pos(from), limit+1)
	if err != nil {
		return r.failed(err)
	}
	r.events(events, limit, func(e *chat.Event) uint64 { return uint64(e.Pos) })
	return nil
}

// wantsList decides between a list and a stream. A client without a wish, such
// as curl, gets the stream.
func (r *call) wantsList() bool {
	accept := r.ctx.Request.Header.Peek("Accept")
	if bytes.Contains(accept, []byte("text/event-stream")) {
		return false
	}
	q := r.ctx.QueryArgs()
	return bytes.Contains(accept, []byte("application/json")) || q.Has("limit") || q.Has("cursor")
}

// page reads where a page begins and how long it is. A cursor is the position
// the page before ended at, and goes before the first page's parameter.
func (r *call) page(first string) (after uint64, limit int, fail *failure) {
	if limit, fail = r.limit(eventsDefault, eventsMax); fail != nil {
		return 0, 0, fail
	}
	if after, fail = r.number(first, 0); fail != nil {
		return 0, 0, fail
	}
	after, fail = r.number("cursor", after)
	return after, limit, fail
}

// events answers a page. events may hold one more than limit: then there is a
// next page.
func (r *call) events(events []chat.Event, limit int, at func(*chat.Event) uint64) {
	next := ""
	if len(events) > limit {
		events = events[:limit]
		next = strconv.FormatUint(at(&events[limit-1]), 10)
	}
	list(r, events, next, AppendEvent)
}
