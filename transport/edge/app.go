package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
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

// AppSettings changes what an app is beside its secrets. What it changed is durable.
// Safe for concurrent use.
type AppSettings interface {
	SetApp(ctx context.Context, id chat.AppID, s chat.AppSettings) error
	// AddVerifyToken makes a token valid beside those the app has, RetireVerifyToken
	// takes one no more.
	AddVerifyToken(ctx context.Context, id chat.AppID, token chat.Secret) error
	RetireVerifyToken(ctx context.Context, id chat.AppID, token chat.Secret) error
}

// AppStatus is a Meta app as the operator sees it: its secrets never.
type AppStatus struct {
	ID chat.AppID `json:"id"`
	// Secrets is 1, or 2 during a rotation.
	Secrets int `json:"secrets"`
	// VerifyTokens is how many a subscription handshake may name.
	VerifyTokens int `json:"verify_tokens"`
	// MetaID is the app's id at Meta, empty when nobody gave it. InstagramID is that
	// of Instagram's second pair; Instagram tells whether the app has one.
	MetaID      string `json:"meta_app_id,omitempty"`
	InstagramID string `json:"instagram_app_id,omitempty"`
	Instagram   bool   `json:"instagram"`
}

// appChange is the body of /apps/set.
type appChange struct {
	MetaID          *string `json:"meta_app_id"`
	InstagramID     *string `json:"instagram_app_id"`
	InstagramSecret *string `json:"instagram_app_secret"`
}

// set changes an app as a body says.
func (o Ops) set(ctx context.Context, app chat.AppID, body []byte) error {
	var in appChange
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		// The decoder's words may quote a secret.
		return chat.E("edge.set", chat.KindInvalid, "the body is not JSON with meta_app_id, instagram_app_id and instagram_app_secret", nil)
	}
	s := chat.AppSettings{MetaID: in.MetaID, InstagramID: in.InstagramID}
	if in.InstagramSecret != nil {
		secret := chat.Secret(*in.InstagramSecret)
		s.InstagramSecret = &secret
	}
	return o.Settings.SetApp(ctx, app, s)
}

// operatorTimeout bounds one change.
const operatorTimeout = 15 * time.Second

// appPaths are what is POSTed to below /apps.
var appPaths = []string{"/apps/rotate", "/apps/retire", "/apps/set", "/apps/verify/add", "/apps/verify/retire"}

// apps serves /apps: GET for the list, and POST to appPaths. The body is the new
// secret or the token, or an appChange.
func (o Ops) apps(ctx *fasthttp.RequestCtx) {
	path, app := string(ctx.Path()), chat.AppID(ctx.QueryArgs().Peek("app"))
	if path == "/apps" && ctx.IsGet() {
		list := []AppStatus{}
		for _, a := range o.Apps.Apps() {
			list = append(list, AppStatus{ID: a.ID, Secrets: len(a.Secrets), VerifyTokens: len(a.VerifyTokens),
				MetaID: a.MetaID, InstagramID: a.InstagramID, Instagram: a.InstagramID != ""})
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
	secret := chat.Secret(strings.TrimSpace(string(ctx.PostBody())))
	switch {
	case !slices.Contains(appPaths, path) || o.Settings == nil && path != appPaths[0] && path != appPaths[1]:
		plain(ctx, fasthttp.StatusNotFound, "there are /apps and, to POST to, "+strings.Join(appPaths, ", ")+"\n")
		return
	case !Operates(ctx, "POST changes an app\n"):
		return
	case path == "/apps/rotate":
		err = o.Apps.RotateSecret(wait, app, secret)
	case path == "/apps/retire":
		err = o.Apps.RetireSecret(wait, app)
	case path == "/apps/set":
		err = o.set(wait, app, ctx.PostBody())
	case path == "/apps/verify/add":
		err = o.Settings.AddVerifyToken(wait, app, secret)
	default:
		err = o.Settings.RetireVerifyToken(wait, app, secret)
	}
	if err == nil {
		return
	}
	plain(ctx, OperatorStatus(err), err.Error()+"\n")
}
