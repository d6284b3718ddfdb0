package edge

import (
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
)

// OperatorHeader must be on every request to the operator's listener that changes
// something: no page in a browser can set it on a listener of another origin.
const OperatorHeader = "Chumi-Admin"

// Operates admits a POST of an operator; else it answers, with usage for another
// method.
func Operates(ctx *fasthttp.RequestCtx, usage string) bool {
	switch {
	case !ctx.IsPost():
		ctx.Response.Header.Set("Allow", "POST")
		plain(ctx, fasthttp.StatusMethodNotAllowed, usage)
	case len(ctx.Request.Header.Peek(OperatorHeader)) == 0:
		plain(ctx, fasthttp.StatusForbidden, "set the header "+OperatorHeader+": 1\n")
	default:
		return true
	}
	return false
}

// OperatorStatus is the HTTP status that an operator's request is refused with for an
// error.
func OperatorStatus(err error) int {
	switch chat.KindOf(err) {
	case chat.KindInvalid:
		return fasthttp.StatusBadRequest
	case chat.KindNotFound:
		return fasthttp.StatusNotFound
	case chat.KindConflict:
		return fasthttp.StatusConflict
	}
	return fasthttp.StatusServiceUnavailable
}
