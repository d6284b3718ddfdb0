package meta

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
)

// The throughput of numbers, in messages per second.
const (
	throughputStandard    = 80
	throughputCoexistence = 20 // a number that is in the WhatsApp Business app too
)

// idText is an id that Meta writes as a text or as a number. Its digits are kept:
// they do not fit a float.
type idText string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (t *idText) UnmarshalJSON(b []byte) error {
	s := strings.Trim(string(b), `"`)
	if s == "null" || len(s) > idMax {
		s = ""
	}
	*t = idText(s)
	return nil
}

// tokenFacts is what debug_token says.
type tokenFacts struct {
	App idText `json:"app_id"`
	// Valid is nil when it was not said: nothing then follows.
	Valid   *bool    `json:"is_valid"`
	Expires int64    `json:"expires_at"`
	Issued  int64    `json:"issued_at"`
	Scopes  []string `json:"scopes"`
	Granted []struct {
		Scope   string   `json:"scope"`
		Targets []idText `json:"target_ids"`
	} `json:"granular_scopes"`
	Error *struct {
		Subcode jsonInt `json:"subcode"`
	} `json:"error"`
}

// grants tells whether the token is good for a WABA. Without a list of targets it
// is good for all that its owner may use, which the next call shows.
func (f *tokenFacts) grants(waba string) bool {
	for _, g := range f.Granted {
		if strings.HasPrefix(g.Scope, "whatsapp_business_") && len(g.Targets) > 0 && !slices.Contains(g.Targets, idText(waba)) {
			return false
		}
	}
	return true
}

// debugToken asks about a WhatsApp channel's token: as its app when the app's id
// is known, otherwise with the token itself, which Meta lets its owner do.
func (c *Client) debugToken(ctx context.Context, ch chat.Channel) (f tokenFacts, err error) {
	var answer struct {
		Data tokenFacts `json:"data"`
	}
	q := call{op: "debug_token", method: http.MethodGet, kind: chat.WhatsApp, app: ch.App, path: "debug_token",
		query: url.Values{"input_token": {ch.Token.Reveal()}}, token: ch.Token}
	if app, ok := c.app(ch.App); ok && app.MetaID != "" {
		q.token = chat.Secret(app.MetaID + "|" + app.Secrets[0].Reveal())
	}
	err = c.call(ctx, q, &answer)
	if err == nil && answer.Data.Valid == nil {
		err = chat.E("meta.debug_token", chat.KindUnavailable, "Meta did not say whether the token is valid", nil)
	}
	return answer.Data, err
}

func (c *Client) app(id chat.AppID) (chat.App, bool) {
	if c.options.App == nil {
		return chat.App{}, false
	}
	app, ok := c.options.App(id)
	return app, ok && len(app.Secrets) > 0
}

// Check asks all that can be asked of a channel: its token, its number, whether
// its webhooks are posted. The report holds what was answered, also when the error
// says that something was not.
func (c *Client) Check(ctx context.Context, ch chat.Channel) (r chat.ChannelReport, err error) {
	if ch.Kind == chat.Instagram {
		return c.checkInstagram(ctx, ch)
	}
	digest := chat.TokenDigest(ch.Token)
	facts, failed := c.debugToken(ctx, ch)
	app := string(facts.App)
	switch {
	case failed != nil:
	case !*facts.Valid:
		subcode := 0
		if facts.Error != nil {
			subcode = int(facts.Error.Subcode)
		}
		return chat.ChannelReport{Token: &chat.TokenReport{Digest: digest, Invalid: chat.TokenWord(subcode)}}, nil
	default:
		r.Token = &chat.TokenReport{Digest: digest, Scopes: facts.Scopes, Issued: unix(facts.Issued), Expires: unix(facts.Expires)}
	}
	r.Number, err = c.number(ctx, ch)
	switch {
	case tokenRefused(err):
		return chat.ChannelReport{Token: &chat.TokenReport{Digest: digest, Invalid: chat.TokenWord(chat.GraphErrorOf(err).Subcode)}}, nil
	case err == nil && r.Token == nil:
		// Meta does not show this app its tokens, and takes this one.
		r.Token, failed = &chat.TokenReport{Digest: digest}, nil
	case failed == nil:
		failed = err
	}
	if ch.WABA == "" {
		return r, failed
	}
	if r.Number != nil {
		r.Number.Portfolio = c.portfolio(ctx, ch)
	}
	subscribed, err := c.subscribed(ctx, ch, app)
	if err == nil {
		r.Subscribed = &subscribed
	} else if failed == nil {
		failed = err
	}
	return r, failed
}

func tokenRefused(err error) bool {
	g := chat.GraphErrorOf(err)
	return g != nil && g.Reason == tokenInvalid.Reason
}

func unix(s int64) time.Time {
	if s <= 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// numberFields are those of a number that are worth asking for.
const numberFields = "display_phone_number,verified_name,quality_rating,status,name_status,throughput,is_on_biz_app,health_status,whatsapp_business_manager_messaging_limit"

// numberFacts is a number as Meta has it.
type numberFacts struct {
	ID         idText `json:"id"`
	Display    string `json:"display_phone_number"`
	Name       string `json:"verified_name"`
	Quality    string `json:"quality_rating"`
	Status     string `json:"status"`
	NameStatus string `json:"name_status"`
	Throughput struct {
		Level string `json:"level"`
	} `json:"throughput"`
	BizApp bool   `json:"is_on_biz_app"`
	Tier   string `json:"whatsapp_business_manager_messaging_limit"`
	Health struct {
		Sends    string `json:"can_send_message"`
		Entities []struct {
			Sends  string `json:"can_send_message"`
			Errors []struct {
				Description string `json:"error_description"`
				Solution    string `json:"possible_solution"`
			} `json:"errors"`
			More []string `json:"additional_info"`
		} `json:"entities"`
	} `json:"health_status"`
}

func (c *Client) number(ctx context.Context, ch chat.Channel) (*chat.NumberReport, error) {
	var n numberFacts
	err := c.call(ctx, call{op: "number", method: http.MethodGet, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.Account), query: url.Values{"fields": {numberFields}}}, &n)
	if err != nil {
		return nil, err
	}
	return n.report(), nil
}

func (n *numberFacts) report() *chat.NumberReport {
	r := &chat.NumberReport{Name: n.Name, Number: n.Display, NumberStatus: n.Status, NameStatus: n.NameStatus,
		Tier: n.Tier, Health: n.Health.Sends}
	switch n.Quality {
	case "GREEN", "YELLOW", "RED":
		r.Quality = n.Quality
	}
	switch {
	case n.BizApp:
		r.PerSecond = throughputCoexistence
	case n.Throughput.Level == "HIGH":
		r.PerSecond = throughputUpgraded
	case n.Throughput.Level == "STANDARD":
		r.PerSecond = throughputStandard
	}
	for _, e := range n.Health.Entities {
		if e.Sends == "AVAILABLE" || r.Why != "" {
			continue
		}
		if len(e.Errors) > 0 {
			r.Why = clip([]byte(strings.TrimSpace(e.Errors[0].Description+" "+e.Errors[0].Solution)), nameMax)
		} else if len(e.More) > 0 {
			r.Why = clip([]byte(e.More[0]), nameMax)
		}
	}
	return r
}

// portfolio is the business that owns a WABA, and that shares its messaging limit;
// empty when Meta does not tell.
func (c *Client) portfolio(ctx context.Context, ch chat.Channel) string {
	var answer struct {
		Owner struct {
			ID idText `json:"id"`
		} `json:"owner_business_info"`
	}
	if c.call(ctx, call{op: "waba", method: http.MethodGet, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.WABA), query: url.Values{"fields": {"owner_business_info"}}}, &answer) != nil {
		return ""
	}
	return string(answer.Owner.ID)
}

// subscribed tells whether Meta posts the account's webhooks to the app. appID is
// the app's id at Meta; empty takes any app's.
func (c *Client) subscribed(ctx context.Context, ch chat.Channel, appID string) (yes bool, err error) {
	if app, ok := c.app(ch.App); ok && app.MetaID != "" {
		appID = app.MetaID
	}
	q := call{op: "subscriptions", method: http.MethodGet, kind: ch.Kind, app: ch.App, token: ch.Token, path: join(ch.WABA, "subscribed_apps")}
	if ch.Kind == chat.Instagram {
		q.path = join(ch.Account, "subscribed_apps")
	}
	err = c.pages(ctx, q, func(data json.RawMessage) error {
		var list []struct {
			Data struct {
				ID idText `json:"id"`
			} `json:"whatsapp_business_api_data"`
		}
		if json.Unmarshal(data, &list) != nil {
			return nil
		}
		for i := range list {
			yes = yes || ch.Kind == chat.Instagram || appID == "" || string(list[i].Data.ID) == appID
		}
		return nil
	})
	return yes, err
}

// checkInstagram is Check of an Instagram account.
func (c *Client) checkInstagram(ctx context.Context, ch chat.Channel) (r chat.ChannelReport, err error) {
	digest := chat.TokenDigest(ch.Token)
	me, err := c.me(ctx, ch)
	switch {
	case tokenRefused(err):
		return chat.ChannelReport{Token: &chat.TokenReport{Digest: digest, Invalid: chat.TokenWord(chat.GraphErrorOf(err).Subcode)}}, nil
	case err != nil:
		return r, err
	}
	r.Token, r.Number = &chat.TokenReport{Digest: digest}, &chat.NumberReport{Name: me.Username}
	subscribed, err := c.subscribed(ctx, ch, "")
	if err == nil {
		r.Subscribed = &subscribed
	}
	return r, err
}

// Templates lists the templates of a channel's WABA.
func (c *Client) Templates(ctx context.Context, ch chat.Channel) (list []chat.Template, err error) {
	const fields = "id,name,language,status,category,quality_score,rejected_reason,parameter_format,components"
	err = c.pages(ctx, call{op: "templates", method: http.MethodGet, kind: chat.WhatsApp, app: ch.App, token: ch.Token,
		path: join(ch.WABA, "message_templates"), query: url.Values{"fields": {fields}, "limit": {"100"}}},
		func(data json.RawMessage) error {
			var part []templateFacts
			if json.Unmarshal(data, &part) != nil {
				return chat.E("meta.templates", chat.KindUnavailable, "a page of templates is unreadable", nil)
			}
			for i := range part {
				if t := part[i].template(ch.WABA); t.Name != "" && t.Language != "" {
					list = append(list, t)
				}
			}
			return nil
		})
	return list, err
}

// templateFacts is a template as Meta has it.
type templateFacts struct {
	ID       idText `json:"id"`
	Name     string `json:"name"`
	Language string `json:"language"`
	Status   string `json:"status"`
	Category string `json:"category"`
	Reason   string `json:"rejected_reason"`
	Format   string `json:"parameter_format"`
	Quality  struct {
		Score string `json:"score"`
	} `json:"quality_score"`
	Components []chat.TemplateComponent `json:"components"`
}

func (f *templateFacts) template(waba string) chat.Template {
	t := chat.Template{ID: string(f.ID), WABA: waba, Name: f.Name, Language: f.Language, Category: f.Category,
		Status: f.Status, Named: f.Format == "NAMED", Components: f.Components}
	if f.Reason != "NONE" {
		t.Reason = f.Reason
	}
	if f.Quality.Score != "UNKNOWN" {
		t.Quality = f.Quality.Score
	}
	return t
}
