package api

import (
	"net"
	"net/netip"
	"net/url"
	"strings"

	"github.com/valyala/fasthttp"
)

const (
	simulatorPrefix = "/simulator/api/"
	// contentPolicy lets a page load and call nothing but this origin, and be
	// framed by nobody.
	contentPolicy = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

// serveConsole serves what is not the API: the simulator's own API and the
// assets of the pages.
func (a *API) serveConsole(ctx *fasthttp.RequestCtx, path string) {
	h := &ctx.Response.Header
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", contentPolicy)
	if strings.HasPrefix(path, simulatorPrefix) && a.opt.Simulator != nil {
		if !sameOrigin(ctx) {
			ctx.SetStatusCode(fasthttp.StatusForbidden)
			return
		}
		a.opt.Simulator(ctx)
		return
	}
	if !ctx.IsGet() && !ctx.IsHead() {
		h.Set("Allow", "GET, HEAD")
		ctx.SetStatusCode(fasthttp.StatusMethodNotAllowed)
		return
	}
	if a.opt.Console != nil {
		if body, contentType, ok := a.opt.Console(path); ok {
			h.Set("Cache-Control", "no-cache")
			ctx.SetContentType(contentType)
			ctx.SetBody(body)
			return
		}
	}
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetStatusCode(fasthttp.StatusNotFound)
	ctx.SetBodyString("not found\n")
}

// sameOrigin keeps pages of other sites from using a loopback listener through
// the visitor's browser: the Origin must be this host, and a loopback listener
// must be addressed by a loopback name, which a rebound DNS name is not.
func sameOrigin(ctx *fasthttp.RequestCtx) bool {
	host := string(ctx.Host())
	if local, ok := ctx.LocalAddr().(*net.TCPAddr); ok && local.IP.IsLoopback() && !loopbackHost(host) {
		return false
	}
	switch string(ctx.Request.Header.Peek("Sec-Fetch-Site")) {
	case "", "none", "same-origin":
	default:
		return false
	}
	origin := string(ctx.Request.Header.Peek("Origin"))
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host == host
}

func loopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
