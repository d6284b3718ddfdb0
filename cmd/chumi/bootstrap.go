package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// Bootstrap declares apps, tenants, channels, API keys, members and assistants. Applying
// the same file again changes nothing; what is not in it is left alone.
type Bootstrap struct {
	Apps     []BootstrapApp     `yaml:"apps"`
	Tenants  []BootstrapTenant  `yaml:"tenants"`
	Channels []BootstrapChannel `yaml:"channels"`
	APIKeys  []BootstrapKey     `yaml:"api_keys"`
	Members  []BootstrapMember  `yaml:"members"`
	// Assistants have a tenant, an id (main) and the content of an assistant as the API
	// takes it; answers_on lists the channels of one that is not main.
	Assistants []yaml.Node `yaml:"assistants"`

	declared []declaredAssistant
}

// BootstrapApp is a Meta app.
type BootstrapApp struct {
	ID        chat.AppID  `yaml:"id"`
	AppSecret chat.Secret `yaml:"app_secret"`
	// PreviousSecret stays valid beside AppSecret during a rotation. Optional.
	PreviousSecret chat.Secret `yaml:"previous_app_secret"`
	VerifyToken    chat.Secret `yaml:"verify_token"`
	// MoreVerifyTokens are valid too: of callbacks that override the app's. Optional.
	MoreVerifyTokens []chat.Secret `yaml:"more_verify_tokens"`
	// MetaAppID is needed to connect numbers by embedded signup, and the pair of
	// Instagram to connect accounts by Instagram Login. Optional.
	MetaAppID          string      `yaml:"meta_app_id"`
	InstagramAppID     string      `yaml:"instagram_app_id"`
	InstagramAppSecret chat.Secret `yaml:"instagram_app_secret"`
}

// BootstrapTenant is a business.
type BootstrapTenant struct {
	ID chat.TenantID `yaml:"id"`
	// Name is for people; the id when empty.
	Name string `yaml:"name"`
}

// BootstrapChannel is one WhatsApp number or Instagram account.
type BootstrapChannel struct {
	ID     chat.ChannelID `yaml:"id"`
	Tenant chat.TenantID  `yaml:"tenant"`
	App    chat.AppID     `yaml:"app"`
	Kind   string         `yaml:"kind"`
	// PhoneNumberID is of a WhatsApp channel, IGID of an Instagram one.
	PhoneNumberID string `yaml:"phone_number_id"`
	IGID          string `yaml:"ig_id"`
	// WABAID lets updates of the whole WhatsApp Business Account find the tenant.
	WABAID      string      `yaml:"waba_id"`
	AccessToken chat.Secret `yaml:"access_token"`

	// simulated marks a channel that only `chumi dev` makes.
	simulated bool
}

// BootstrapKey is an API key; Secret is the bearer token.
type BootstrapKey struct {
	Tenant chat.TenantID `yaml:"tenant"`
	Secret chat.Secret   `yaml:"secret"`
	Scopes []string      `yaml:"scopes"`
}

// BootstrapMember is a person of a tenant's team.
type BootstrapMember struct {
	Tenant   chat.TenantID `yaml:"tenant"`
	Email    string        `yaml:"email"`
	Role     string        `yaml:"role"`
	Password chat.Secret   `yaml:"password"`
}

// ReadBootstrap reads a bootstrap file strictly. All problems are joined.
func ReadBootstrap(path string) (*Bootstrap, error) {
	data, err := readSmall(path)
	if err != nil {
		return nil, &Problem{Where: path, What: "cannot be read: " + cause(err)}
	}
	return parseBootstrap(path, data)
}

func parseBootstrap(path string, data []byte) (*Bootstrap, error) {
	var b Bootstrap
	d := strict{file: path, tag: "yaml"}
	if err := d.decode(data, reflect.ValueOf(&b).Elem()); err != nil {
		return nil, err
	}
	if problems := b.check(); len(problems) > 0 {
		var out []error
		for _, p := range problems {
			p.Where = path
			out = append(out, p)
		}
		return nil, errors.Join(out...)
	}
	for i := range b.Assistants {
		d, err := declared(path, &b.Assistants[i])
		if err != nil {
			return nil, err
		}
		b.declared = append(b.declared, d)
	}
	return &b, nil
}

// check refuses what is missing or contradicts itself. Whether ids exist and
// are free is the directory's to say.
func (b *Bootstrap) check() []*Problem {
	var out []*Problem
	at := func(list string, i int, key, format string, args ...any) {
		out = append(out, &Problem{Key: list + "[" + strconv.Itoa(i) + "]." + key, What: fmt.Sprintf(format, args...)})
	}
	required := func(list string, i int, key, value string) {
		if value == "" {
			at(list, i, key, "is required and must not be empty")
		}
	}
	for i, a := range b.Apps {
		required("apps", i, "id", string(a.ID))
		required("apps", i, "app_secret", a.AppSecret.Reveal())
		required("apps", i, "verify_token", a.VerifyToken.Reveal())
	}
	for i, t := range b.Tenants {
		required("tenants", i, "id", string(t.ID))
	}
	for i, c := range b.Channels {
		required("channels", i, "id", string(c.ID))
		required("channels", i, "tenant", string(c.Tenant))
		required("channels", i, "app", string(c.App))
		required("channels", i, "access_token", c.AccessToken.Reveal())
		switch c.Kind {
		case chat.WhatsApp.String():
			required("channels", i, "phone_number_id", c.PhoneNumberID)
			if c.IGID != "" {
				at("channels", i, "ig_id", "belongs to an instagram channel; this one is whatsapp")
			}
		case chat.Instagram.String():
			required("channels", i, "ig_id", c.IGID)
			if c.PhoneNumberID != "" {
				at("channels", i, "phone_number_id", "belongs to a whatsapp channel; this one is instagram")
			}
			if c.WABAID != "" {
				at("channels", i, "waba_id", "belongs to a whatsapp channel; this one is instagram")
			}
		default:
			at("channels", i, "kind", "wants whatsapp or instagram, got %q", clip(c.Kind))
		}
	}
	for i, k := range b.APIKeys {
		required("api_keys", i, "tenant", string(k.Tenant))
		required("api_keys", i, "secret", k.Secret.Reveal())
		if len(k.Scopes) == 0 {
			at("api_keys", i, "scopes", `is required; ["*"] allows everything`)
		}
	}
	for i, m := range b.Members {
		required("members", i, "tenant", string(m.Tenant))
		required("members", i, "email", m.Email)
		required("members", i, "role", m.Role)
		required("members", i, "password", m.Password.Reveal())
	}
	return out
}

// channel is the directory's form of a declared channel.
func (c *BootstrapChannel) channel() chat.Channel {
	kind, _ := chat.ParseChannelKind(c.Kind)
	account := c.PhoneNumberID
	if kind == chat.Instagram {
		account = c.IGID
	}
	return chat.Channel{ID: c.ID, Tenant: c.Tenant, App: c.App, Kind: kind, Account: account,
		WABA: c.WABAID, Token: c.AccessToken, Simulated: c.simulated}
}

// apply makes all of the file durable in the directory, or nothing.
func (b *Bootstrap) apply(ctx context.Context, d *persistence.Directory) error {
	err := d.Change(ctx, func(c *persistence.Change) error {
		for _, a := range b.Apps {
			app := chat.App{ID: a.ID, Secrets: []chat.Secret{a.AppSecret}, VerifyTokens: append([]chat.Secret{a.VerifyToken}, a.MoreVerifyTokens...),
				MetaID: a.MetaAppID, InstagramID: a.InstagramAppID, InstagramSecret: a.InstagramAppSecret}
			if a.PreviousSecret != "" {
				app.Secrets = append(app.Secrets, a.PreviousSecret)
			}
			if err := c.DeclareApp(app); err != nil {
				return err
			}
		}
		for _, t := range b.Tenants {
			if err := c.PutTenant(chat.Tenant{ID: t.ID, Name: cmp.Or(t.Name, string(t.ID))}); err != nil {
				return err
			}
		}
		for i := range b.Channels {
			if err := c.DeclareChannel(b.Channels[i].channel()); err != nil {
				return err
			}
		}
		for _, k := range b.APIKeys {
			if err := c.PutAPIKey(k.Tenant, k.Secret, k.Scopes); err != nil {
				return err
			}
		}
		for _, m := range b.Members {
			if err := c.PutMember(persistence.Member{Tenant: m.Tenant, Email: m.Email, Role: m.Role}, m.Password); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return usageError(fmt.Errorf("the bootstrap file cannot be applied: %w", err))
	}
	return nil
}
