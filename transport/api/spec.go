package api

import (
	_ "embed"

	"github.com/valyala/fasthttp"
)

// spec is openapi.yaml as JSON; a test keeps the two the same.
//
//go:embed openapi.json
var spec []byte

// serveSpec is GET /openapi.json, open to everyone.
func (a *API) serveSpec(ctx *fasthttp.RequestCtx) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		return
	}
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
	ctx.Response.Header.Set("Cache-Control", "no-cache")
	ctx.SetContentType("application/json")
	ctx.SetBody(spec)
}
