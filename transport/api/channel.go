package api

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// channelView is a channel as the API shows it: its token never.
type channelView struct {
	ID        chat.ChannelID `json:"id"`
	Kind      string         `json:"kind"`
	App       chat.AppID     `json:"app_id"`
	Account   string         `json:"account_id"`
	WABA      string         `json:"waba_id,omitempty"`
	Simulated bool           `json:"simulated"`
	// Held is why sends are held, null when they are not.
	Held  *string           `json:"held"`
	State chat.ChannelState `json:"state"`
}

func viewOf(ch chat.Channel, st chat.ChannelState) channelView {
	v := channelView{ID: ch.ID, Kind: ch.Kind.String(), App: ch.App, Account: ch.Account, WABA: ch.WABA, Simulated: ch.Simulated, State: st}
	if held := st.Sending(time.Now()); held != "" {
		v.Held = &held
	}
	return v
}

// channelPage is the list of channels: there is one page.
type channelPage struct {
	Data []channelView `json:"data"`
	Next *string       `json:"next_cursor"`
}

// answerJSON answers with a value.
func (r *call) answerJSON(v any) *failure {
	body, err := json.Marshal(v)
	if err != nil {
		return r.failed(err)
	}
	r.json(body)
	return nil
}

func (r *call) channel() chat.ChannelID { return chat.ChannelID(r.object) }

// listChannels is GET /v1/channels.
func (r *call) listChannels() *failure {
	channels, states := r.opt.Channels.List(r.principal.Tenant)
	list := make([]channelView, len(channels))
	for i := range channels {
		list[i] = viewOf(channels[i], states[i])
	}
	return r.answerJSON(channelPage{Data: list})
}

// showChannel is GET /v1/channels/{id}.
func (r *call) showChannel() *failure {
	ch, st, err := r.opt.Channels.Channel(r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	return r.answerJSON(viewOf(ch, st))
}

// channelHealth is GET /v1/channels/{id}/health.
func (r *call) channelHealth() *failure {
	ctx, cancel := r.reading()
	defer cancel()
	h, err := r.opt.Channels.Health(ctx, r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	return r.answerJSON(h)
}

// refreshChannel is POST /v1/channels/{id}/refresh.
func (r *call) refreshChannel() *failure {
	var in struct {
		Subscribe bool `json:"subscribe"`
	}
	if fail := decode(r.ctx.PostBody(), &in, true); fail != nil {
		return fail
	}
	return r.changeChannel(func(ctx context.Context) error {
		return r.opt.Onboarding.Check(ctx, r.principal.Tenant, r.channel(), in.Subscribe)
	})
}

// changeChannel answers with the channel after a change.
func (r *call) changeChannel(change func(context.Context) error) *failure {
	ctx, cancel := r.writing()
	defer cancel()
	if err := change(ctx); err != nil {
		return r.channelFailed(err)
	}
	return r.showChannel()
}

// setChannelToken is POST /v1/channels/{id}/token.
func (r *call) setChannelToken() *failure {
	var in struct {
		Token string `json:"access_token"`
	}
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	if in.Token == "" {
		return missing("access_token")
	}
	return r.changeChannel(func(ctx context.Context) error {
		return r.opt.Onboarding.SetToken(ctx, r.principal.Tenant, r.channel(), chat.Secret(in.Token))
	})
}

// disconnected is a channel that was given up, and what that left at Meta.
type disconnected struct {
	Channel channelView     `json:"channel"`
	Left    []chat.Leftover `json:"left_at_meta"`
}

// disconnectChannel is POST /v1/channels/{id}/disconnect.
func (r *call) disconnectChannel() *failure {
	var in struct {
		Deregister bool `json:"deregister"`
	}
	if fail := decode(r.ctx.PostBody(), &in, true); fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	left, err := r.opt.Disconnection.Disconnect(ctx, r.principal.Tenant, r.channel(), in.Deregister)
	if err != nil {
		return r.channelFailed(err)
	}
	ch, st, err := r.opt.Channels.Channel(r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	if left == nil {
		left = []chat.Leftover{}
	}
	return r.answerJSON(disconnected{viewOf(ch, st), left})
}

func missing(name string) *failure {
	return invalid("parameter_missing", name, name+" is required.")
}

// connection is the body of POST /v1/channels/connect: one of its two members.
type connection struct {
	ID       string `json:"id"`
	App      string `json:"app_id"`
	WhatsApp *struct {
		Code    string `json:"code"`
		Token   string `json:"access_token"`
		WABA    string `json:"waba_id"`
		Account string `json:"phone_number_id"`
		PIN     string `json:"pin"`
	} `json:"whatsapp"`
	Instagram *struct {
		Code     string `json:"code"`
		Token    string `json:"access_token"`
		Redirect string `json:"redirect_uri"`
	} `json:"instagram"`
}

// connectChannel is POST /v1/channels/connect.
func (r *call) connectChannel() *failure {
	var in connection
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	n, fail := in.read()
	if fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	ch, err := r.opt.Onboarding.Connect(ctx, r.principal.Tenant, n)
	if err != nil {
		return r.channelFailed(err)
	}
	r.object = string(ch.ID)
	r.ctx.SetStatusCode(fasthttp.StatusCreated)
	return r.showChannel()
}

func (in *connection) read() (n chat.Connection, fail *failure) {
	n = chat.Connection{ID: chat.ChannelID(in.ID), App: chat.AppID(in.App)}
	if in.App == "" {
		return n, missing("app_id")
	}
	if (in.WhatsApp == nil) == (in.Instagram == nil) {
		return n, invalid("parameter_missing", "whatsapp", "Give one of whatsapp and instagram.")
	}
	where := "whatsapp."
	if w := in.WhatsApp; w != nil {
		n.Kind, n.Code, n.Token, n.WABA, n.Account, n.PIN = chat.WhatsApp, w.Code, chat.Secret(w.Token), w.WABA, w.Account, w.PIN
		if w.WABA == "" {
			return n, missing("whatsapp.waba_id")
		}
		if w.PIN != "" && !sixDigits(w.PIN) {
			return n, invalid("parameter_invalid", "whatsapp.pin", "whatsapp.pin must be six digits.")
		}
	} else {
		i := in.Instagram
		where = "instagram."
		n.Kind, n.Code, n.Token, n.RedirectURI = chat.Instagram, i.Code, chat.Secret(i.Token), i.Redirect
		if i.Code != "" && i.Redirect == "" {
			return n, missing("instagram.redirect_uri")
		}
	}
	if (n.Code == "") == (n.Token == "") {
		return n, invalid("parameter_missing", where+"code", "Give one of "+where+"code and "+where+"access_token.")
	}
	return n, nil
}

func sixDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) == 6
}

// syncTemplates is POST /v1/channels/{id}/templates/sync.
func (r *call) syncTemplates() *failure {
	if fail := decode(r.ctx.PostBody(), &nothing{}, true); fail != nil {
		return fail
	}
	ctx, cancel := r.writing()
	defer cancel()
	list, err := r.opt.TemplateSync.SyncTemplates(ctx, r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	if list == nil {
		list = []chat.Template{}
	}
	return r.answerJSON(map[string]any{"data": list})
}

// showProfile is GET /v1/channels/{id}/profile.
func (r *call) showProfile() *failure {
	return r.withProfile(func(context.Context, chat.Channel) error { return nil })
}

// withProfile changes a channel's profile at Meta and answers with it as Meta has
// it then.
func (r *call) withProfile(change func(context.Context, chat.Channel) error) *failure {
	ch, _, err := r.opt.Channels.Channel(r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	if ch.Disconnected != 0 {
		return &failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "conflict", message: "The channel is disconnected; connect it again."}
	}
	ctx, cancel := r.writing()
	defer cancel()
	if err := change(ctx, ch); err != nil {
		return r.channelFailed(err)
	}
	p, err := r.opt.Profiles.Profile(ctx, ch)
	if err != nil {
		return r.channelFailed(err)
	}
	return r.answerJSON(p)
}

// changeProfile is PATCH /v1/channels/{id}/profile.
func (r *call) changeProfile() *failure {
	var in struct {
		About       *string   `json:"about"`
		Address     *string   `json:"address"`
		Description *string   `json:"description"`
		Email       *string   `json:"email"`
		Vertical    *string   `json:"vertical"`
		Websites    *[]string `json:"websites"`
	}
	if fail := decode(r.ctx.PostBody(), &in, false); fail != nil {
		return fail
	}
	p := chat.BusinessProfile{About: in.About, Address: in.Address, Description: in.Description, Email: in.Email,
		Vertical: in.Vertical, Websites: in.Websites}
	return r.withProfile(func(ctx context.Context, ch chat.Channel) error { return r.opt.Profiles.SetProfile(ctx, ch, p) })
}

// setLogo is PUT /v1/channels/{id}/profile/logo. The body is the picture.
func (r *call) setLogo() *failure {
	picture := slices.Clone(r.ctx.PostBody())
	if len(picture) == 0 {
		return invalid("body_missing", "", "The request needs a picture as its body.")
	}
	return r.withProfile(func(ctx context.Context, ch chat.Channel) error { return r.opt.Profiles.SetLogo(ctx, ch, picture) })
}

var errNoChannel = failure{status: fasthttp.StatusNotFound, kind: kindNotFound, code: "channel_not_found",
	message: "There is no such channel."}

// channelFailed turns an error of a channel's port into an answer. Reasons are
// written for people and hold no secrets; Meta's refusals are named by their code.
func (r *call) channelFailed(err error) *failure {
	var e *chat.Error
	if !errors.As(err, &e) {
		return r.failed(err)
	}
	g := chat.GraphErrorOf(err)
	switch kind := chat.KindOf(err); {
	case g == nil && kind == chat.KindNotFound:
		return &errNoChannel
	case g == nil && kind == chat.KindInvalid:
		return invalid("invalid", "", sentence(e.Reason))
	case g == nil && kind == chat.KindConflict:
		return &failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "conflict", message: sentence(e.Reason)}
	case g == nil:
		return r.failed(err)
	case kind == chat.KindBusy, kind == chat.KindUnavailable:
		wait := max(int(g.RetryAfter.Seconds()), 1)
		return &failure{status: fasthttp.StatusServiceUnavailable, kind: kindUnavailable, code: "meta_unavailable",
			header: [2]string{"Retry-After", strconv.Itoa(wait)}, message: "Meta does not answer now: " + g.Reason + ". Nothing was changed; try again."}
	case kind == chat.KindUnknown:
		return r.failed(err)
	}
	said := g.Reason
	if g.Code != 0 {
		said += " (code " + strconv.Itoa(g.Code)
		if g.Subcode != 0 {
			said += "/" + strconv.Itoa(g.Subcode)
		}
		said += ")"
	}
	return &failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "meta_refused", message: "Meta refused this: " + said + "."}
}

// sentence is a reason as the API writes messages.
func sentence(s string) string {
	if s == "" {
		return "The request cannot be carried out as it is."
	}
	if s[0] >= 'a' && s[0] <= 'z' {
		s = string(s[0]-'a'+'A') + s[1:]
	}
	if s[len(s)-1] != '.' {
		s += "."
	}
	return s
}
