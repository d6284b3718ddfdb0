package meta

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// instagramFields are the updates of an Instagram account that are asked for.
const instagramFields = "messages,messaging_postbacks,messaging_seen,messaging_referral,messaging_handover,message_reactions,standby,comments,live_comments"

// issued is a token as Meta hands it out.
type issued struct {
	Token   chat.Secret `json:"access_token"`
	Seconds int64       `json:"expires_in"`
}

// UnmarshalJSON implements json.Unmarshaler: a Secret does not read itself.
func (t *issued) UnmarshalJSON(b []byte) error {
	var plain struct {
		Token   string `json:"access_token"`
		Seconds int64  `json:"expires_in"`
	}
	err := json.Unmarshal(b, &plain)
	t.Token, t.Seconds = chat.Secret(plain.Token), plain.Seconds
	return err
}

// expires is when the token ends, from now; zero when Meta did not say.
func (t *issued) expires() time.Time {
	if t.Seconds <= 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(t.Seconds) * time.Second).UTC().Truncate(time.Second)
}

// Exchange turns the code of a login into a token. An embedded signup's code lives
// 30 s and is good once: nothing comes before it. Instagram's short token is turned
// into one of 60 days.
func (c *Client) Exchange(ctx context.Context, ch chat.Channel, code, redirectURI string) (chat.Secret, time.Time, error) {
	app, ok := c.app(ch.App)
	if !ok {
		return "", time.Time{}, chat.E("meta.Exchange", chat.KindInvalid, "there is no app "+string(ch.App), nil)
	}
	if ch.Kind == chat.Instagram {
		return c.exchangeInstagram(ctx, app, code, redirectURI)
	}
	if app.MetaID == "" {
		return "", time.Time{}, chat.E("meta.Exchange", chat.KindInvalid, "app "+string(ch.App)+" has no meta_app_id, which a code is exchanged with", nil)
	}
	query := url.Values{"client_id": {app.MetaID}, "client_secret": {app.Secrets[0].Reveal()}, "code": {code}}
	if redirectURI != "" {
		query.Set("redirect_uri", redirectURI)
	}
	var t issued
	// The code is used up by the first request: it is never repeated.
	err := c.once(ctx, call{op: "exchange", method: http.MethodGet, kind: chat.WhatsApp, path: "oauth/access_token", query: query}, &t)
	if err == nil && t.Token == "" {
		err = chat.E("meta.Exchange", chat.KindUnknown, "Meta gave no token; log in again", nil)
	}
	return t.Token, t.expires(), err
}

func (c *Client) exchangeInstagram(ctx context.Context, app chat.App, code, redirectURI string) (chat.Secret, time.Time, error) {
	if app.InstagramID == "" || app.InstagramSecret == "" {
		return "", time.Time{}, chat.E("meta.Exchange", chat.KindInvalid,
			"app "+string(app.ID)+" has no instagram_app_id and instagram_app_secret, which a code is exchanged with", nil)
	}
	var short struct {
		Data []issued `json:"data"`
	}
	var flat issued
	var answer json.RawMessage
	err := c.once(ctx, call{op: "exchange", method: http.MethodPost, kind: chat.Instagram, base: c.options.LoginURL, bare: true,
		path: "oauth/access_token", form: url.Values{"client_id": {app.InstagramID}, "client_secret": {app.InstagramSecret.Reveal()},
			"grant_type": {"authorization_code"}, "redirect_uri": {redirectURI}, "code": {strings.TrimSuffix(code, "#_")}}}, &answer)
	if err != nil {
		return "", time.Time{}, err
	}
	// Meta has answered with a list, and before with its one element.
	_ = json.Unmarshal(answer, &short)
	_ = json.Unmarshal(answer, &flat)
	if len(short.Data) > 0 {
		flat = short.Data[0]
	}
	if flat.Token == "" {
		return "", time.Time{}, chat.E("meta.Exchange", chat.KindUnknown, "Meta gave no token; log in again", nil)
	}
	var long issued
	err = c.call(ctx, call{op: "exchange", method: http.MethodGet, kind: chat.Instagram, bare: true, path: "access_token",
		query: url.Values{"grant_type": {"ig_exchange_token"}, "client_secret": {app.InstagramSecret.Reveal()}, "access_token": {flat.Token.Reveal()}}}, &long)
	if err == nil && long.Token == "" {
		err = chat.E("meta.Exchange", chat.KindUnknown, "Meta gave no token; log in again", nil)
	}
	return long.Token, long.expires(), err
}

// once makes a call that must not be repeated, whatever its method.
func (c *Client) once(ctx context.Context, q call, answer any) error {
	q.single = true
	return c.call(ctx, q, answer)
}

// Refresh gets an Instagram channel a token of another 60 days. The one it has must
// be a day old and must not have ended: Meta refuses both.
func (c *Client) Refresh(ctx context.Context, ch chat.Channel) (chat.Secret, time.Time, error) {
	if ch.Kind != chat.Instagram {
		return "", time.Time{}, chat.E("meta.Refresh", chat.KindInvalid, "WhatsApp tokens cannot be refreshed; make a new one at Meta", nil)
	}
	var t issued
	err := c.once(ctx, call{op: "refresh", method: http.MethodGet, kind: chat.Instagram, app: ch.App, bare: true, path: "refresh_access_token",
		query: url.Values{"grant_type": {"ig_refresh_token"}, "access_token": {ch.Token.Reveal()}}}, &t)
	if err == nil && t.Token == "" {
		err = chat.E("meta.Refresh", chat.KindUnavailable, "Meta gave no token", nil)
	}
	return t.Token, t.expires(), err
}

// instagramMe is whose token it is.
type instagramMe struct {
	// User is the id that webhooks route by; Scoped is the app's own id of the same
	// account, which older set-ups were configured with.
	User     idText `json:"user_id"`
	Scoped   idText `json:"id"`
	Username string `json:"username"`
}

func (c *Client) me(ctx context.Context, ch chat.Channel) (m instagramMe, err error) {
	err = c.call(ctx, call{op: "me", method: http.MethodGet, kind: chat.Instagram, app: ch.App, token: ch.Token, path: "me",
		query: url.Values{"fields": {"user_id,username"}}}, &m)
	return m, err
}

// Identify returns the account a token is good for. A WhatsApp token must grant
// the channel's WABA, and the number must be one of it: whoever gives a code also
// gives the ids, and they could be another's.
func (c *Client) Identify(ctx context.Context, ch chat.Channel) (account string, err error) {
	if ch.Kind == chat.Instagram {
		return c.identifyInstagram(ctx, ch)
	}
	const op = "meta.Identify"
	if ch.WABA == "" {
		if ch.Account == "" {
			return "", chat.E(op, chat.KindInvalid, "give the waba_id", nil)
		}
		_, err := c.number(ctx, ch)
		return ch.Account, ungranted(err)
	}
	if facts, err := c.debugToken(ctx, ch); err == nil {
		if !*facts.Valid {
			return "", chat.E(op, chat.KindConflict, "Meta does not accept this token", nil)
		}
		if !facts.grants(ch.WABA) {
			return "", errUngranted
		}
	} else if tokenRefused(err) && !c.asApp(ch.App) {
		return "", err
	}
	var numbers []string
	err = c.pages(ctx, call{op: "numbers", method: http.MethodGet, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.WABA, "phone_numbers"), query: url.Values{"fields": {"id"}, "limit": {"100"}}},
		func(data json.RawMessage) error {
			var part []numberFacts
			_ = json.Unmarshal(data, &part) // a number that cannot be read is not the one
			for i := range part {
				numbers = append(numbers, string(part[i].ID))
			}
			return nil
		})
	switch {
	case err != nil:
		return "", ungranted(err)
	case ch.Account == "" && len(numbers) == 1:
		return numbers[0], nil
	case ch.Account == "":
		return "", chat.E(op, chat.KindInvalid, "the WABA has not exactly one number: give the phone_number_id", nil)
	}
	for _, n := range numbers {
		if n == ch.Account {
			return n, nil
		}
	}
	return "", chat.E(op, chat.KindConflict, "the number is not one of this WABA", nil)
}

var errUngranted = chat.E("meta.Identify", chat.KindConflict, "the token does not grant this WABA", nil)

// ungranted tells what it means that an object is not there for a token.
func ungranted(err error) error {
	if chat.KindOf(err) == chat.KindNotFound {
		return errUngranted
	}
	return err
}

// asApp tells whether tokens are looked at as the app: a refusal then says nothing
// about the token.
func (c *Client) asApp(id chat.AppID) bool {
	app, ok := c.app(id)
	return ok && app.MetaID != ""
}

func (c *Client) identifyInstagram(ctx context.Context, ch chat.Channel) (string, error) {
	m, err := c.me(ctx, ch)
	switch {
	case err != nil:
		return "", err
	case ch.Account != "" && (ch.Account == string(m.User) || ch.Account == string(m.Scoped)):
		return ch.Account, nil
	case m.User != "":
		return string(m.User), nil
	}
	return "", chat.E("meta.Identify", chat.KindConflict, "Meta does not say whose token this is", nil)
}

// Open has Meta post an account's webhooks to the app and, given a pin, registers
// the number for the Cloud API. Repeating it is harmless; registering is allowed
// ten times in 72 hours.
func (c *Client) Open(ctx context.Context, ch chat.Channel, pin string) error {
	q := call{op: "subscribe", method: http.MethodPost, kind: ch.Kind, app: ch.App, token: ch.Token}
	switch {
	case ch.Kind == chat.Instagram:
		q.path, q.form = join(ch.Account, "subscribed_apps"), url.Values{"subscribed_fields": {instagramFields}}
	case ch.WABA == "":
		return chat.E("meta.Open", chat.KindInvalid, "the channel has no waba_id, and a WABA is what is subscribed to", nil)
	default:
		q.path = join(ch.WABA, "subscribed_apps")
	}
	if err := c.done(ctx, q); err != nil || pin == "" || ch.Kind == chat.Instagram {
		return err
	}
	return c.done(ctx, call{op: "register", method: http.MethodPost, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.Account, "register"), json: map[string]string{"messaging_product": "whatsapp", "pin": pin}})
}

// Unsubscribe ends that Meta posts webhooks to the app: of an Instagram account, or of
// a whole WABA. Repeating it is harmless.
func (c *Client) Unsubscribe(ctx context.Context, ch chat.Channel) error {
	account := ch.WABA
	if ch.Kind == chat.Instagram {
		account = ch.Account
	}
	if account == "" {
		return nil // Open subscribed to nothing
	}
	return c.done(ctx, call{op: "unsubscribe", method: http.MethodDelete, kind: ch.Kind, app: ch.App, token: ch.Token,
		path: join(account, "subscribed_apps")})
}

// Deregister frees a number for another registration.
func (c *Client) Deregister(ctx context.Context, ch chat.Channel) error {
	return c.done(ctx, call{op: "deregister", method: http.MethodPost, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.Account, "deregister"), json: map[string]string{"messaging_product": "whatsapp"}})
}

// done makes a call that is answered by success or by nothing.
func (c *Client) done(ctx context.Context, q call) error {
	var answer struct {
		Success *bool `json:"success"`
	}
	if err := c.call(ctx, q, &answer); err != nil {
		return err
	}
	if answer.Success != nil && !*answer.Success {
		return chat.E("meta."+q.op, chat.KindUnknown, "Meta did not say that it was done", nil)
	}
	return nil
}
