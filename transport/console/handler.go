package console

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/chumiai/chumi/chat"
)

// simulatorPrefix is below which the simulator answers.
const simulatorPrefix = "/simulator/api/"

// Handler serves the page, its Config and the simulator behind it, to this
// machine only.
type Handler struct {
	config    []byte
	simulator fasthttp.RequestHandler
}

// NewHandler returns a handler that tells the page c and passes
// /simulator/api/ on to simulator.
func NewHandler(c Config, simulator http.Handler) (*Handler, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, chat.E("console.NewHandler", chat.KindInvalid, "the page's configuration cannot be encoded", err)
	}
	return &Handler{config: body, simulator: fasthttpadaptor.NewFastHTTPHandler(simulator)}, nil
}

// Serve is the fasthttp handler of everything that is not the API's.
func (h *Handler) Serve(ctx *fasthttp.RequestCtx) {
	if !LoopbackHost(string(ctx.Host())) {
		ctx.Error("this page is served to this machine only; open it by 127.0.0.1 or localhost", fasthttp.StatusForbidden)
		return
	}
	path := string(ctx.Path())
	switch {
	case path == ConfigPath:
		ctx.Response.Header.Set("Cache-Control", "no-store")
		ctx.SetContentType("application/json")
		ctx.SetBody(h.config)
	case strings.HasPrefix(path, simulatorPrefix):
		if crossSite(ctx) {
			ctx.Error("requests of other sites are refused", fasthttp.StatusForbidden)
			return
		}
		h.simulator(ctx)
	default:
		serveAsset(ctx, path)
	}
	ctx.Response.Header.Set("X-Content-Type-Options", "nosniff")
}

// crossSite reports a request that a page of another origin makes. Browsers
// always say so; other clients say nothing.
func crossSite(ctx *fasthttp.RequestCtx) bool {
	site := string(ctx.Request.Header.Peek("Sec-Fetch-Site"))
	return site != "" && site != "same-origin" && site != "none"
}

func serveAsset(ctx *fasthttp.RequestCtx, path string) {
	if !ctx.IsGet() && !ctx.IsHead() {
		ctx.Error("", fasthttp.StatusMethodNotAllowed)
		ctx.Response.Header.Set("Allow", "GET, HEAD")
		return
	}
	body, contentType, ok := Asset(path)
	if !ok {
		ctx.Error("no such page", fasthttp.StatusNotFound)
		return
	}
	h := &ctx.Response.Header
	h.Set("Content-Security-Policy", ContentSecurityPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	ctx.SetContentType(contentType)
	ctx.SetBody(body)
}
