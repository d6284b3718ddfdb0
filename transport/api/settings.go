package api

import (
	"slices"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// errSettings is a PUT that has not seen the latest settings.
var errSettings = failure{status: fasthttp.StatusConflict, kind: kindConflict, code: "settings_changed", param: "version",
	message: "The settings have another version by now; read them again and change those."}

// showSettings is GET /v1/channels/{id}/settings.
func (r *call) showSettings() *failure {
	_, s, err := r.opt.Settings.Settings(r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	return r.answerJSON(s)
}

// settingsBody is the body of PUT /v1/channels/{id}/settings.
type settingsBody struct {
	Version  *int64 `json:"version"`
	Comments *struct {
		PrivateReply *struct {
			Enabled  *bool    `json:"enabled"`
			Text     string   `json:"text"`
			Keywords []string `json:"only_keywords"`
		} `json:"private_reply"`
	} `json:"comments"`
	Greeting *string `json:"greeting"`
}

// changeSettings is PUT /v1/channels/{id}/settings: what is left out is as if nobody
// had ever set it.
func (r *call) changeSettings() *failure {
	var in settingsBody
	if fail := decodeStrict(slices.Clone(r.ctx.PostBody()), &in); fail != nil {
		return fail
	}
	ch, _, err := r.opt.Settings.Settings(r.principal.Tenant, r.channel())
	if err != nil {
		return r.channelFailed(err)
	}
	s, fail := in.read()
	if fail != nil {
		return fail
	}
	s.Channel, s.By = ch.ID, r.principal.Key
	if wrong := s.Check(ch.Kind); wrong != nil {
		return invalid(wrong.Code, wrong.Param, wrong.Message)
	}
	ctx, cancel := r.writing()
	defer cancel()
	s, err = r.opt.Settings.SetSettings(ctx, r.principal.Tenant, ch.ID, s)
	switch {
	case chat.KindOf(err) == chat.KindConflict:
		return &errSettings
	case err != nil:
		return r.channelFailed(err)
	}
	return r.answerJSON(s)
}

func (in *settingsBody) read() (s chat.ChannelSettings, fail *failure) {
	if in.Version == nil {
		return s, missing("version")
	}
	s.Version, s.Greeting = *in.Version, in.Greeting
	if in.Comments == nil || in.Comments.PrivateReply == nil {
		return s, nil
	}
	reply := in.Comments.PrivateReply
	if reply.Enabled == nil {
		return s, missing("comments.private_reply.enabled")
	}
	s.Comments = &chat.CommentSettings{PrivateReply: &chat.PrivateReply{Enabled: *reply.Enabled, Text: reply.Text, Keywords: reply.Keywords}}
	return s, nil
}
