package edge

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// AppSecrets rotates the secrets of Meta apps. What it changed is durable. Safe for
// concurrent use.
type AppSecrets interface {
	Apps() []chat.App
	// RotateSecret makes secret the current one; the one before stays valid.
	RotateSecret(ctx context.Context, id chat.AppID, secret chat.Secret) error
	// RetireSecret leaves the current one alone.
	RetireSecret(ctx context.Context, id chat.AppID) error
}

// AppStatus is a Meta app as the operator sees it: its secrets never.
type AppStatus struct {
	ID chat.AppID `json:"id"`
	// Secrets is 1, or 2 during a rotation.
	Secrets int `json:"secrets"`
	// MetaID is the app's id at Meta, empty when nobody gave it; Instagram tells
	// whether it has Instagram's second pair.
	MetaID    string `json:"meta_app_id,omitempty"`
	Instagram bool   `json:"instagram"`
}

const (
	// operatorHeader must be on what changes something: no page in a browser can
	// set it on a listener of another origin.
	operatorHeader = "Chumi-Admin"
	// operatorTimeout bounds one change.
	operatorTimeout = 15 * time.Second
)

// apps serves /apps: GET for the list, and POST to /apps/rotate, with the new
// secret as the body, and /apps/retire.
func (o Ops) apps(ctx *fasthttp.RequestCtx) {
	path, app := string(ctx.Path()), chat.AppID(ctx.QueryArgs().Peek("app"))
	if path == "/apps" && ctx.IsGet() {
		list := []AppStatus{}
		for _, a := range o.Apps.Apps() {
			list = append(list, AppStatus{ID: a.ID, Secrets: len(a.Secrets), MetaID: a.MetaID, Instagram: a.InstagramID != ""})
		}
		body, err := json.Marshal(list)
		if err != nil {
			plain(ctx, fasthttp.StatusInternalServerError, "")
			return
		}
		ctx.SetContentType("application/json")
		ctx.SetBody(append(body, '\n'))
		return
	}
	wait, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	var err error
	switch {
	case path != "/apps/rotate" && path != "/apps/retire":
		plain(ctx, fasthttp.StatusNotFound, "there are /apps and, to POST to, /apps/rotate and /apps/retire\n")
		return
	case !ctx.IsPost():
		ctx.Response.Header.Set("Allow", "POST")
		plain(ctx, fasthttp.StatusMethodNotAllowed, "POST changes an app\n")
		return
	case len(ctx.Request.Header.Peek(operatorHeader)) == 0:
		plain(ctx, fasthttp.StatusForbidden, "set the header "+operatorHeader+": 1\n")
		return
	case path == "/apps/rotate":
		err = o.Apps.RotateSecret(wait, app, chat.Secret(strings.TrimSpace(string(ctx.PostBody()))))
	default:
		err = o.Apps.RetireSecret(wait, app)
	}
	if err == nil {
		return
	}
	status := fasthttp.StatusServiceUnavailable
	switch chat.KindOf(err) {
	case chat.KindInvalid:
		status = fasthttp.StatusBadRequest
	case chat.KindNotFound:
		status = fasthttp.StatusNotFound
	case chat.KindConflict:
		status = fasthttp.StatusConflict
	}
	plain(ctx, status, err.Error()+"\n")
}
