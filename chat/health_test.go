package chat_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Each thing that can be wrong is found, explained, and named as the one thing to
// fix first.
func TestHealthOf_TheOneThingToFix(t *testing.T) {
	now := start
	healthy := func(kind chat.ChannelKind) chat.HealthFacts {
		f := chat.HealthFacts{Channel: chat.Channel{ID: "acme-wa", App: "main", Kind: kind, Token: "t", WABA: "9001"}, Now: now,
			State: chat.ChannelState{TokenDigest: chat.TokenDigest("t"), TokenScopes: []string{"whatsapp_business_management", "whatsapp_business_messaging"},
				Subscribed: true, Number: "+49 1", Name: "Acme", NumberStatus: "CONNECTED", NameStatus: "APPROVED", Quality: "GREEN",
				Tier: "TIER_2K", PerSecond: 80, Health: "AVAILABLE"},
			Sighting: chat.Sighting{Account: now, App: now}, Approved: 2, Templates: 3}
		if kind == chat.Instagram {
			f.State.TokenScopes = []string{"instagram_business_basic", "instagram_business_manage_messages", "more"}
		}
		return f
	}
	for _, kind := range []chat.ChannelKind{chat.WhatsApp, chat.Instagram} {
		f := healthy(kind)
		if h := chat.HealthOf(&f); !h.OK || h.Fix != "" {
			t.Errorf("%s: a healthy channel is %+v", kind, h)
		}
	}
	cases := []struct {
		check  string
		spoil  func(f *chat.HealthFacts)
		detail string
		fix    string
	}{
		{"token", func(f *chat.HealthFacts) { f.Channel.Token = "" }, "no access token", "/v1/channels/acme-wa/token"},
		{"token", func(f *chat.HealthFacts) { f.State.Reauth = "token_expired" }, "token_expired", "goes out in order"},
		{"token", func(f *chat.HealthFacts) { f.State.TokenDigest = "" }, "not been asked", "/v1/channels/acme-wa/refresh"},
		{"token", func(f *chat.HealthFacts) { f.State.TokenExpires = now }, "ended on 2026-03-01", "/token"},
		{"token", func(f *chat.HealthFacts) { f.State.TokenExpires = now.Add(6 * 24 * time.Hour) }, "ends on 2026-03-07", "before 2026-03-07"},
		{"token", func(f *chat.HealthFacts) {
			f.Channel.Kind, f.State.TokenScopes = chat.Instagram, nil
			f.State.TokenExpires, f.State.RefreshFailed = now.Add(6*24*time.Hour), now
		}, "renewing it last failed", "Log in to Instagram again"},
		{"scopes", func(f *chat.HealthFacts) { f.State.TokenScopes = f.State.TokenScopes[:1] }, "lacks whatsapp_business_messaging", "whatsapp_business_messaging"},
		{"subscription", func(f *chat.HealthFacts) { f.State.Subscribed = false }, "no webhook", `{"subscribe":true}`},
		{"signature", func(f *chat.HealthFacts) { f.Sighting.Refused, f.Sighting.App = now, now.Add(-time.Minute) }, "another secret", "app secret"},
		{"signature", func(f *chat.HealthFacts) { f.Sighting.App = time.Time{} }, "No body", "/hooks/main"},
		{"last_webhook", func(f *chat.HealthFacts) { f.Sighting.Account = time.Time{} }, "No webhook", "Write a message"},
		{"standing", func(f *chat.HealthFacts) {
			f.State.Restricted, f.State.RestrictedUntil = "disabled_update", now.Add(time.Hour)
		}, "until 2026-03-01T13:00:00Z: disabled_update", "Business Support Home"},
		{"standing", func(f *chat.HealthFacts) { f.State.Health, f.State.Alert = "LIMITED", "Verify the business." }, "Verify the business.", "Business Support Home"},
		{"number", func(f *chat.HealthFacts) { f.State.NumberStatus = "PENDING" }, "PENDING", "pin"},
		{"number", func(f *chat.HealthFacts) { f.State.NameStatus = "DECLINED" }, "DECLINED", "display name"},
		{"quality", func(f *chat.HealthFacts) { f.State.Quality = "RED" }, "RED", "Write less"},
		{"templates", func(f *chat.HealthFacts) { f.Approved = 0 }, "None of 3", "/templates/sync"},
	}
	for _, c := range cases {
		f := healthy(chat.WhatsApp)
		c.spoil(&f)
		h := chat.HealthOf(&f)
		if h.OK || !strings.Contains(h.Fix, c.fix) {
			t.Errorf("%s: %+v, want a fix with %q", c.check, h, c.fix)
		}
		for _, check := range h.Checks {
			if wrong := check.Name == c.check; check.OK == wrong || wrong && !strings.Contains(check.Detail, c.detail) {
				t.Errorf("%s: check %+v", c.check, check)
			}
		}
	}
	// Of several the first is the one to fix: the others may follow from it.
	f := healthy(chat.WhatsApp)
	f.State.Reauth, f.State.Subscribed, f.State.Quality = "token_invalid", false, "RED"
	if h := chat.HealthOf(&f); !strings.Contains(h.Fix, "token") || len(h.Checks) != 10 {
		t.Errorf("%+v", h)
	}
	// A limit that is used up is told, and nothing to fix.
	f = healthy(chat.WhatsApp)
	f.Reached, f.PlaceAt = 2000, now.Add(time.Hour)
	h := chat.HealthOf(&f)
	if i := slices.IndexFunc(h.Checks, func(c chat.HealthCheck) bool { return c.Name == "tier" }); !h.OK ||
		!strings.Contains(h.Checks[i].Detail, "used up") || !strings.Contains(h.Checks[i].Detail, "2026-03-01T13:00:00Z") {
		t.Errorf("%+v", h)
	}
	// A node that just started has seen nothing; what came before still counts.
	f = healthy(chat.WhatsApp)
	f.Sighting, f.State.Heard = chat.Sighting{}, now.Add(-time.Hour)
	if h := chat.HealthOf(&f); !h.OK {
		t.Errorf("%+v", h)
	}
}
