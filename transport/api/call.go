package api

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"slices"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// call is one request under /v1. It lives as long as its handler.
type call struct {
	*API
	ctx       *fasthttp.RequestCtx
	id        string
	principal chat.Principal
	// object is the id in the path, as the caller wrote it.
	object    string
	streaming bool
}

var idEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID returns prefix and 26 random characters.
func newID(prefix string) string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return prefix + idEncoding.EncodeToString(b[:])
}

// admit lets a request pass: version, key, rate, scope, in this order.
func (r *call) admit(route *route) *failure {
	if v := r.ctx.Request.Header.Peek("Chumi-Version"); len(v) > 0 && string(v) != Version {
		return &errVersion
	}
	scheme, secret, _ := strings.Cut(string(r.ctx.Request.Header.Peek("Authorization")), " ")
	secret = strings.TrimSpace(secret)
	if secret == "" || !strings.EqualFold(scheme, "bearer") {
		return &errNoKey
	}
	p, ok := r.opt.Keys.Authenticate(secret)
	if !ok {
		return &errBadKey
	}
	r.principal = p
	allowed, limit, remaining, reset := r.limits.take(p)
	h := &r.ctx.Response.Header
	h.Set("RateLimit-Limit", strconv.Itoa(limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("RateLimit-Reset", strconv.Itoa(reset))
	if !allowed {
		f := errRate
		f.header = [2]string{"Retry-After", strconv.Itoa(max(reset, 1))}
		return &f
	}
	if !allows(p, route.scope) {
		return &errScope
	}
	return nil
}

// allows reports whether a key has a scope.
func allows(p chat.Principal, scope string) bool {
	return slices.Contains(p.Scopes, "*") || slices.Contains(p.Scopes, scope)
}

// reading bounds a read. fasthttp does not tell when a client has gone.
func (r *call) reading() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), r.opt.ReadTimeout)
}

// writing bounds a write.
func (r *call) writing() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), r.opt.WriteTimeout)
}

func (r *call) json(body []byte) {
	r.ctx.SetContentType("application/json")
	r.ctx.SetBody(append(body, '\n'))
}

// number reads a non-negative query parameter; a missing one is def.
func (r *call) number(name string, def uint64) (uint64, *failure) {
	v := r.ctx.QueryArgs().Peek(name)
	if len(v) == 0 {
		return def, nil
	}
	n, err := strconv.ParseUint(string(v), 10, 63)
	if err != nil {
		return 0, invalid("parameter_invalid", name, name+" must be a number, not negative.")
	}
	return n, nil
}

// limit reads the page size.
func (r *call) limit(def, most int) (int, *failure) {
	n, fail := r.number("limit", uint64(def)) // #nosec G115 -- constants
	if fail != nil {
		return 0, fail
	}
	if n == 0 || n > uint64(most) { // #nosec G115
		return 0, invalid("parameter_invalid", "limit", "limit must be between 1 and "+strconv.Itoa(most)+".")
	}
	return int(n), nil // #nosec G115 -- at most `most`
}

// conversation is the conversation that the path names.
func (r *call) conversation() chat.ConversationID { return chat.ConversationID(r.object) }
