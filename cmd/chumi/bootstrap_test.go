package main

import (
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

const goodBootstrap = `
apps: [{id: main, app_secret: s1, verify_token: v1}]
tenants: [{id: acme, name: Acme}]
channels:
  - {id: acme-wa, tenant: acme, app: main, kind: whatsapp, phone_number_id: 106000000000001, waba_id: "102000000000001", access_token: t1}
  - {id: acme-ig, tenant: acme, app: main, kind: instagram, ig_id: "17841400000000001", access_token: t2}
api_keys: [{tenant: acme, secret: k1, scopes: ["*"]}]
members: [{tenant: acme, email: ana@acme.example, role: owner, password: p1}]
`

func TestBootstrap_Reads(t *testing.T) {
	b, err := parseBootstrap("b.yaml", []byte(goodBootstrap))
	if err != nil {
		t.Fatal(err)
	}
	wa, ig := b.Channels[0].channel(), b.Channels[1].channel()
	if wa.Kind != chat.WhatsApp || wa.Account != "106000000000001" || wa.Token.Reveal() != "t1" ||
		ig.Kind != chat.Instagram || ig.Account != "17841400000000001" {
		t.Errorf("channels were misread: %+v %+v", wa, ig)
	}
}

func TestBootstrap_RefusesWithTheKeyNamed(t *testing.T) {
	for _, c := range []struct {
		name, old, new string
		want           []string
	}{
		{"unknown key", "app_secret: s1", "secret: s1", []string{"b.yaml:2", "apps[0].secret"}},
		{"nearest key", "verify_token", "verfy_token", []string{"b.yaml:2", `"apps[0].verify_token"`}},
		{"unknown list", "members:", "users:", []string{"b.yaml:8", "users"}},
		{"empty app secret", "app_secret: s1", `app_secret: ""`, []string{"apps[0].app_secret", "required"}},
		{"no verify token", ", verify_token: v1", "", []string{"apps[0].verify_token"}},
		{"empty token", "access_token: t1", `access_token: ""`, []string{"channels[0].access_token"}},
		{"empty API key", "secret: k1", `secret: ""`, []string{"api_keys[0].secret"}},
		{"no scopes", `, scopes: ["*"]`, "", []string{"api_keys[0].scopes"}},
		{"empty password", "password: p1", `password: ""`, []string{"members[0].password"}},
		{"unknown kind", "kind: whatsapp", "kind: telegram", []string{"channels[0].kind", "telegram"}},
		{"wrong id for the kind", "phone_number_id:", "ig_id:", []string{"channels[0].phone_number_id", "channels[0].ig_id"}},
		{"no tenant", "tenant: acme, app: main, kind: whatsapp", "app: main, kind: whatsapp", []string{"channels[0].tenant"}},
		{"list is keys", "tenants: [{id: acme, name: Acme}]", "tenants: {id: acme}", []string{"b.yaml:3", "tenants", "list"}},
		{"key is a list", "secret: k1", "secret: [k1]", []string{"b.yaml:7", "api_keys[0].secret"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(goodBootstrap, c.old, c.new, 1)
			if text == goodBootstrap {
				t.Fatal("the case changes nothing")
			}
			_, err := parseBootstrap("b.yaml", []byte(text))
			for _, w := range c.want {
				if err == nil || !strings.Contains(err.Error(), w) {
					t.Errorf("message lacks %q: %v", w, err)
				}
			}
		})
	}
}

func FuzzBootstrap(f *testing.F) {
	f.Add([]byte(goodBootstrap))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := parseBootstrap("b.yaml", data)
		if err != nil {
			return
		}
		for i := range b.Channels {
			if b.Channels[i].channel().Kind == 0 {
				t.Error("accepted a channel without a kind")
			}
		}
	})
}
