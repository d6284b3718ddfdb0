package api

import (
	"time"

	"github.com/valyala/fasthttp"
)

// homePause is between two tries to find the node that answers for a tenant.
const homePause = 25 * time.Millisecond

// relayed marks a request that another node relays: it is answered here, or refused
// with the name of the node to ask.
const relayed = "chumi.relayed"

// ServeRelayed is the handler of requests that another node relays.
func (a *API) ServeRelayed(ctx *fasthttp.RequestCtx) {
	ctx.SetUserValue(relayed, true)
	a.Serve(ctx)
}

// relay has the node answer that leads the tenant's group, when that is another
// one. It reports whether that was done.
func (r *call) relay() (done bool, fail *failure) {
	home, tenant := r.opt.Home, r.principal.Tenant
	if home == nil {
		return false, nil
	}
	ctx, cancel := r.writing()
	defer cancel()
	for {
		node, err := home.Home(ctx, tenant)
		switch {
		case err != nil:
			return false, r.failed(err)
		case node == 0:
			return false, nil
		case r.ctx.UserValue(relayed) != nil:
			home.Refuse(r.ctx, tenant)
			return true, nil
		}
		again, err := home.Relay(ctx, node, tenant, r.ctx)
		if err == nil {
			r.streaming = r.ctx.Response.IsBodyStream()
			return true, nil
		}
		if !again {
			return false, r.failed(err)
		}
		select {
		case <-time.After(homePause):
		case <-ctx.Done():
			return false, r.failed(err)
		}
	}
}
