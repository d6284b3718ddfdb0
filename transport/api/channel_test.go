package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers/legacy"

	"github.com/chumiai/chumi/chat"
)

var acmeChannel = chat.Channel{ID: "acme-wa", Tenant: "acme", App: "main", Kind: chat.WhatsApp, Account: "7001", WABA: "9001", Token: "token-do-not-print"}

func acmeState() chat.ChannelState {
	return chat.ChannelState{Channel: "acme-wa", Reauth: "token_expired", TokenDigest: "ab", TokenScopes: []string{"x"}, TokenIssued: noon,
		TokenExpires: noon, RefreshFailed: noon, Quality: "GREEN", Tier: "TIER_2K", PerSecond: 80, Portfolio: "5", Name: "Acme", Number: "+49 1",
		NumberStatus: "CONNECTED", NameStatus: "APPROVED", Health: "LIMITED", Disconnected: noon, Subscribed: true, Alert: "x", Heard: noon,
		TemplatesSynced: noon, TemplatesStale: true, Checked: noon, Changed: noon, Restricted: "policy", RestrictedUntil: noon, StandingAt: noon}
}

func (w *world) channelOf(t chat.TenantID, id chat.ChannelID) error {
	if w.err != nil {
		return w.err
	}
	if t != "acme" || id != "acme-wa" {
		return chat.E("channels", chat.KindNotFound, "no such channel", nil)
	}
	return nil
}

// List implements api.Channels.
func (w *world) List(t chat.TenantID) ([]chat.Channel, []chat.ChannelState) {
	if t != "acme" {
		return nil, nil
	}
	return []chat.Channel{acmeChannel}, []chat.ChannelState{acmeState()}
}

// Channel implements api.Channels.
func (w *world) Channel(t chat.TenantID, id chat.ChannelID) (chat.Channel, chat.ChannelState, error) {
	return acmeChannel, acmeState(), w.channelOf(t, id)
}

// Health implements api.Channels.
func (w *world) Health(_ context.Context, t chat.TenantID, id chat.ChannelID) (chat.Health, error) {
	return chat.HealthOf(&chat.HealthFacts{Channel: acmeChannel, State: acmeState(), Now: noon}), w.channelOf(t, id)
}

// Connect implements api.Onboarding.
func (w *world) Connect(_ context.Context, t chat.TenantID, n chat.Connection) (chat.Channel, error) {
	if n.Token == "stolen" {
		return acmeChannel, chat.E("meta.Identify", chat.KindConflict, "the token does not grant this WABA", nil)
	}
	return acmeChannel, w.channelOf(t, "acme-wa")
}

// SetToken implements api.Onboarding.
func (w *world) SetToken(_ context.Context, t chat.TenantID, id chat.ChannelID, token chat.Secret) error {
	if token == "dead" {
		return chat.E("meta.numbers", chat.KindConflict, "token_invalid",
			&chat.GraphError{Code: 190, Subcode: 463, Result: chat.SendBlocked, Reason: "token_invalid"})
	}
	return w.channelOf(t, id)
}

// Check implements api.Onboarding.
func (w *world) Check(_ context.Context, t chat.TenantID, id chat.ChannelID, subscribe bool) error {
	if subscribe {
		return chat.E("meta.subscribe", chat.KindBusy, "call_limit",
			&chat.GraphError{Code: 4, Result: chat.SendThrottled, Reason: "call_limit", RetryAfter: 90 * time.Second})
	}
	return w.channelOf(t, id)
}

// Disconnect implements api.Disconnection.
func (w *world) Disconnect(_ context.Context, t chat.TenantID, id chat.ChannelID, deregister bool) ([]chat.Leftover, error) {
	if !deregister {
		return nil, w.channelOf(t, id)
	}
	return []chat.Leftover{{What: "registration", Reason: "token_invalid"}}, w.channelOf(t, id)
}

// SyncTemplates implements api.TemplateSync.
func (w *world) SyncTemplates(_ context.Context, t chat.TenantID, id chat.ChannelID) ([]chat.Template, error) {
	return []chat.Template{{ID: "1", WABA: "9001", Name: "hello", Language: "de", Status: "APPROVED", Fetched: noon}}, w.channelOf(t, id)
}

// Settings implements api.Settings: acme-ig is on Instagram.
func (w *world) Settings(t chat.TenantID, id chat.ChannelID) (chat.Channel, chat.ChannelSettings, error) {
	ch := acmeChannel
	if ch.ID = id; id == "acme-ig" && t == "acme" {
		ch.Kind = chat.Instagram
	} else if err := w.channelOf(t, id); err != nil {
		return ch, chat.ChannelSettings{}, err
	}
	return ch, chat.ChannelSettings{Channel: id, Version: 3, Changed: noon, By: "k1"}, nil
}

// SetSettings implements api.Settings.
func (w *world) SetSettings(_ context.Context, _ chat.TenantID, _ chat.ChannelID, s chat.ChannelSettings) (chat.ChannelSettings, error) {
	if s.Version != 3 {
		return s, chat.E("channels", chat.KindConflict, "settings_changed", nil)
	}
	s.Version++
	return s, nil
}

// Profile implements api.Profiles.
func (w *world) Profile(context.Context, chat.Channel) (chat.BusinessProfile, error) {
	about := "Open."
	return chat.BusinessProfile{About: &about, Websites: &[]string{"https://x"}, Picture: "https://p"}, nil
}

// SetProfile implements api.Profiles.
func (w *world) SetProfile(_ context.Context, _ chat.Channel, p chat.BusinessProfile) error {
	if p.About != nil && *p.About == "" {
		return chat.E("meta.set_profile", chat.KindInvalid, "bad_request", &chat.GraphError{Code: 100, Result: chat.SendRefused, Reason: "bad_request"})
	}
	return nil
}

// SetLogo implements api.Profiles.
func (w *world) SetLogo(_ context.Context, _ chat.Channel, picture []byte) error {
	if !strings.HasPrefix(string(picture), "PNG") {
		return chat.E("meta.SetLogo", chat.KindInvalid, "the logo must be a JPEG or PNG picture", nil)
	}
	return nil
}

func TestContract_Channels(t *testing.T) {
	openapi3filter.RegisterBodyDecoder("image/png", openapi3filter.FileBodyDecoder)
	s := start(t, nil)
	doc := contract(t)
	doc.Servers = nil
	router, err := legacy.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	const wa, ig, not = "/v1/channels/acme-wa", "/v1/channels/acme-ig", "/v1/channels/rival-wa"
	settings := func(reply string) string { return `{"version":3,"comments":{"private_reply":` + reply + `}}` }
	connect := func(inner string) string { return `{"app_id":"main",` + inner + `}` }
	png := []string{"Content-Type", "image/png"}
	for _, tc := range []struct {
		method, path, key, body string
		ok                      bool
		want                    int
		says                    string
		header                  []string
	}{
		{"GET", "/v1/channels", "acme-key", "", true, 200, `"held":"disconnected"`, nil},
		{"GET", "/v1/channels", "acme-writer", "", true, 403, "scope_missing", nil},
		{"GET", wa, "acme-reader", "", true, 200, `"account_id":"7001"`, nil},
		{"GET", not, "acme-key", "", true, 404, "channel_not_found", nil},
		{"GET", wa + "/health", "acme-reader", "", true, 200, `"ok":false`, nil},
		{"GET", not + "/health", "acme-key", "", true, 404, "channel_not_found", nil},
		{"POST", wa + "/refresh", "acme-manager", "", true, 200, `"state"`, nil},
		{"POST", wa + "/refresh", "acme-manager", `{"subscribe":true}`, true, 503, "meta_unavailable", nil},
		{"POST", wa + "/refresh", "acme-reader", "", true, 403, "scope_missing", nil},
		{"POST", wa + "/refresh", "acme-key", `{"subscribe":1}`, false, 400, "parameter_invalid", nil},
		{"POST", not + "/refresh", "acme-key", "", true, 404, "channel_not_found", nil},
		{"POST", wa + "/token", "acme-manager", `{"access_token":"new"}`, true, 200, `"state"`, nil},
		{"POST", wa + "/token", "acme-key", `{"access_token":"dead"}`, true, 409, "190/463", nil},
		{"POST", wa + "/token", "acme-key", `{}`, false, 400, "parameter_missing", nil},
		{"POST", wa + "/token", "acme-writer", `{"access_token":"new"}`, true, 403, "scope_missing", nil},
		{"POST", not + "/token", "acme-key", `{"access_token":"new"}`, true, 404, "channel_not_found", nil},
		{"POST", "/v1/channels/connect", "acme-manager", connect(`"whatsapp":{"access_token":"t","waba_id":"9001","phone_number_id":"7001","pin":"123456"}`), true, 201, `"acme-wa"`, nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"whatsapp":{"code":"c","waba_id":"9001"}`), true, 201, `"acme-wa"`, nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"instagram":{"code":"c","redirect_uri":"https://x"}`), true, 201, `"acme-wa"`, nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"whatsapp":{"access_token":"stolen","waba_id":"9001"}`), true, 409, "The token does not grant this WABA.", nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"whatsapp":{"access_token":"t"}`), false, 400, "whatsapp.waba_id", nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"whatsapp":{"access_token":"t","waba_id":"9001","pin":"12345"}`), false, 400, "whatsapp.pin", nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"whatsapp":{"waba_id":"9001"}`), true, 400, "whatsapp.code", nil},
		{"POST", "/v1/channels/connect", "acme-key", connect(`"instagram":{"code":"c"}`), true, 400, "redirect_uri", nil},
		{"POST", "/v1/channels/connect", "acme-key", `{"app_id":"main"}`, true, 400, "one of whatsapp and instagram", nil},
		{"POST", "/v1/channels/connect", "acme-key", `{"whatsapp":{"access_token":"t","waba_id":"9001"}}`, false, 400, "app_id", nil},
		{"POST", "/v1/channels/connect", "acme-writer", connect(`"whatsapp":{"access_token":"t","waba_id":"9001"}`), true, 403, "scope_missing", nil},
		{"POST", wa + "/disconnect", "acme-manager", "", true, 200, `"left_at_meta":[]`, nil},
		{"POST", wa + "/disconnect", "acme-manager", `{"deregister":true}`, true, 200, `"left_at_meta":[{"what":"registration","reason":"token_invalid"}]`, nil},
		{"POST", wa + "/disconnect", "acme-writer", "", true, 403, "scope_missing", nil},
		{"POST", wa + "/disconnect", "acme-key", `{"deregister":"yes"}`, false, 400, "parameter_invalid", nil},
		{"POST", not + "/disconnect", "acme-key", "", true, 404, "channel_not_found", nil},
		{"GET", wa + "/profile", "acme-manager", "", true, 200, `"about":"Open."`, nil},
		{"GET", not + "/profile", "acme-key", "", true, 404, "channel_not_found", nil},
		{"PATCH", wa + "/profile", "acme-manager", `{"about":"Open.","websites":["https://x"]}`, true, 200, "picture_url", nil},
		{"PATCH", wa + "/profile", "acme-key", `{"about":""}`, true, 409, "code 100", nil},
		{"PATCH", wa + "/profile", "acme-key", `{"picture_url":"https://x"}`, false, 400, "parameter_unknown", nil},
		{"PUT", wa + "/profile/logo", "acme-manager", "PNG...", true, 200, "picture_url", png},
		{"PUT", wa + "/profile/logo", "acme-key", "GIF", true, 400, "JPEG or PNG", png},
		{"PUT", not + "/profile/logo", "acme-key", "PNG", true, 404, "channel_not_found", png},
		{"GET", wa + "/settings", "acme-reader", "", true, 200, `"version":3,"changed_at"`, nil},
		{"GET", not + "/settings", "acme-key", "", true, 404, "channel_not_found", nil},
		{"PUT", ig + "/settings", "acme-manager", settings(`{"enabled":true,"text":"Two euros.","only_keywords":["price"]}`), true, 200, `"version":4,"changed_by":"`, nil},
		{"PUT", ig + "/settings", "acme-manager", `{"version":3}`, true, 200, `"version":4`, nil},
		{"PUT", ig + "/settings", "acme-manager", `{"version":2}`, true, 409, "settings_changed", nil},
		{"PUT", ig + "/settings", "acme-writer", `{"version":3}`, true, 403, "scope_missing", nil},
		{"PUT", not + "/settings", "acme-key", `{"version":3}`, true, 404, "channel_not_found", nil},
		{"PUT", ig + "/settings", "acme-key", `{}`, false, 400, `"version"`, nil},
		{"PUT", ig + "/settings", "acme-key", `{"version":-1}`, false, 400, `"version"`, nil},
		{"PUT", ig + "/settings", "acme-key", settings(`{"text":"Hi"}`), false, 400, "comments.private_reply.enabled", nil},
		{"PUT", ig + "/settings", "acme-key", settings(`{"enabled":true}`), true, 400, "comments.private_reply.text", nil},
		{"PUT", ig + "/settings", "acme-key", settings(`{"enabled":true,"text":"` + strings.Repeat("é", 501) + `"}`), true, 400, "text_too_long", nil},
		{"PUT", ig + "/settings", "acme-key", settings(`{"enabled":true,"text":"Hi","only_keywords":["a"," "]}`), true, 400, "only_keywords[1]", nil},
		{"PUT", ig + "/settings", "acme-key", settings(`{"enabled":true,"text":"Hi","keywords":[]}`), false, 400, "comments.private_reply.keywords", nil},
		{"PUT", wa + "/settings", "acme-key", settings(`{"enabled":true,"text":"Hi"}`), true, 400, "only Instagram", nil},
		{"PUT", wa + "/settings", "acme-key", `{"version":3,"greeting":"Moin!"}`, true, 200, `"greeting":"Moin!"`, nil},
		{"PUT", ig + "/settings", "acme-key", `{"version":3,"greeting":"Moin!"}`, true, 400, "only WhatsApp", nil},
		{"POST", wa + "/templates/sync", "acme-manager", "", true, 200, `"hello"`, nil},
		{"POST", not + "/templates/sync", "acme-key", "", true, 404, "channel_not_found", nil},
	} {
		got := checked(t, s, router, tc.ok, tc.method, tc.path, tc.key, tc.body, tc.header...)
		if got.status != tc.want || !strings.Contains(got.body, tc.says) {
			t.Errorf("%s %s as %q %.60s: %d, want %d with %q\n%s", tc.method, tc.path, tc.key, tc.body, got.status, tc.want, tc.says, got.body)
		}
		if strings.Contains(got.body, "do-not-print") {
			t.Errorf("%s %s shows a token", tc.method, tc.path)
		}
	}
	// Who is told to wait is told how long.
	resp := checked(t, s, router, true, http.MethodPost, wa+"/refresh", "acme-key", `{"subscribe":true}`)
	if got := resp.header.Get("Retry-After"); got != "90" {
		t.Errorf("Retry-After is %q", got)
	}
	var health chat.Health
	if err := json.Unmarshal([]byte(checked(t, s, router, true, http.MethodGet, wa+"/health", "acme-key", "").body), &health); err != nil || health.Fix == "" {
		t.Errorf("%+v, %v", health, err)
	}
}
