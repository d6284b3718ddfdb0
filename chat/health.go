package chat

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Health is how a channel stands: a checklist, and the one thing to do first.
type Health struct {
	OK bool `json:"ok"`
	// Fix is what to do first; empty when everything is in order.
	Fix    string        `json:"fix,omitempty"`
	Checks []HealthCheck `json:"checks"`
}

// HealthCheck is one line of a Health.
type HealthCheck struct {
	// Name is stable: token, scopes, subscription, signature, last_webhook,
	// standing, number, quality, tier, templates.
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail says what was found, Fix what to do when that is not in order.
	Detail string `json:"detail"`
	Fix    string `json:"fix,omitempty"`
}

// Sighting is what a node remembers of the webhooks it took. A restart forgets it.
type Sighting struct {
	// Account is when an update of the channel's account last came in here, App
	// when a body signed with a secret of its app did; zero for not since the start.
	Account, App time.Time
	// Refused is when a body for the app was last refused for its signature.
	Refused time.Time
}

// HealthFacts is what a Health is made from. The state is the one under the
// channel's token.
type HealthFacts struct {
	Channel  Channel
	State    ChannelState
	Sighting Sighting
	// Approved and Templates count the templates of the WABA.
	Approved, Templates int
	// Reached is how many customers outside the window the portfolio has written to
	// in the last day, PlaceAt when another may be; zero for now.
	Reached int
	PlaceAt time.Time
	Now     time.Time
}

// Scopes a token needs.
var (
	whatsappScopes  = []string{"whatsapp_business_management", "whatsapp_business_messaging"}
	instagramScopes = []string{"instagram_business_basic", "instagram_business_manage_messages"}
)

// HealthOf checks a channel. The checks stand in the order in which they are to be
// fixed: what comes later may be a consequence of what comes before.
func HealthOf(f *HealthFacts) Health {
	h := Health{OK: true}
	h.add("token", f.token)
	h.add("scopes", f.scopes)
	h.add("subscription", f.subscription)
	h.add("signature", f.signature)
	h.add("last_webhook", f.lastWebhook)
	h.add("standing", f.standing)
	if f.Channel.Kind == WhatsApp {
		h.add("number", f.number)
		h.add("quality", f.quality)
		h.add("tier", f.tier)
		h.add("templates", f.templates)
	}
	return h
}

func (h *Health) add(name string, check func() (detail, fix string)) {
	detail, fix := check()
	h.Checks = append(h.Checks, HealthCheck{Name: name, OK: fix == "", Detail: detail, Fix: fix})
	if fix != "" && h.OK {
		h.OK, h.Fix = false, fix
	}
}

func (f *HealthFacts) token() (detail, fix string) {
	st, give := &f.State, "POST /v1/channels/"+string(f.Channel.ID)+"/token"
	switch end := st.TokenExpires; {
	case !st.Disconnected.IsZero():
		return "The channel was disconnected on " + day(st.Disconnected) + ": nothing of its account is taken in, and sends are held.",
			"Connect it again: POST /v1/channels/connect."
	case f.Channel.Token == "":
		return "The channel has no access token.", "Give the channel an access token: " + give + "."
	case st.Reauth != "":
		return "Meta refuses the access token: " + st.Reauth + ". Sends are held, none is lost.",
			"Make a new access token at Meta and give it to the channel: " + give + "; what is held then goes out in order."
	case st.TokenDigest == "":
		return "Meta has not been asked about the token yet.", "Ask Meta: POST /v1/channels/" + string(f.Channel.ID) + "/refresh."
	case !end.IsZero() && !f.Now.Before(end):
		return "The access token ended on " + day(end) + ".", "Make a new access token at Meta and give it to the channel: " + give + "."
	case f.Channel.Kind == WhatsApp && !end.IsZero() && end.Sub(f.Now) <= ExpiryAlert:
		return "The access token ends on " + day(end) + " and cannot be renewed by itself.",
			"Make a new access token at Meta before " + day(end) + " and give it to the channel: " + give + "."
	case !st.RefreshFailed.IsZero() && !end.IsZero() && end.Sub(f.Now) <= ExpiryAlert:
		return "The access token ends on " + day(end) + ", and renewing it last failed on " + day(st.RefreshFailed) + ".",
			"Log in to Instagram again and give the channel the new token before " + day(end) + ": " + give + "."
	case !end.IsZero():
		return "Valid until " + day(end) + "; renewed before.", ""
	}
	return "Valid.", ""
}

func (f *HealthFacts) scopes() (detail, fix string) {
	need := whatsappScopes
	if f.Channel.Kind == Instagram {
		need = instagramScopes
	}
	if len(f.State.TokenScopes) == 0 {
		return "Meta did not say which permissions the token has.", ""
	}
	var missing []string
	for _, s := range need {
		if !slices.Contains(f.State.TokenScopes, s) {
			missing = append(missing, s)
		}
	}
	if len(missing) > 0 {
		list := strings.Join(missing, ", ")
		return "The token lacks " + list + ".", "Make an access token with the permission " + list + " too, and give it to the channel."
	}
	return "The token has " + strings.Join(need, ", ") + ".", ""
}

func (f *HealthFacts) subscription() (detail, fix string) {
	if f.State.Subscribed {
		return "The app is subscribed to this account's webhooks.", ""
	}
	return "The app is not subscribed: no webhook of this account arrives.",
		"Subscribe the app: POST /v1/channels/" + string(f.Channel.ID) + "/refresh with {\"subscribe\":true}."
}

// recently is how fresh a refused signature must be to count.
const recently = time.Hour

func (f *HealthFacts) signature() (detail, fix string) {
	s := &f.Sighting
	switch {
	case s.Refused.After(s.App) && f.Now.Sub(s.Refused) < recently:
		return "Bodies for app " + string(f.Channel.App) + " arrive with a signature of another secret; the last one at " + s.Refused.UTC().Format(time.RFC3339) + ".",
			"Compare the app secret in Meta's dashboard (Settings, Basic) with the one of app " + string(f.Channel.App) + " here."
	case !s.App.IsZero():
		return "A body with a right signature came in at " + s.App.UTC().Format(time.RFC3339) + ".", ""
	case !f.State.Heard.IsZero():
		return "This node has seen no body since it started; webhooks with a right signature came before.", ""
	}
	return "No body with a right signature was seen yet.",
		"Set the callback URL in Meta's dashboard to https://YOUR-HOST/hooks/" + string(f.Channel.App) + " with the app's verify token, and send a test message."
}

func (f *HealthFacts) lastWebhook() (detail, fix string) {
	at := f.Sighting.Account
	if f.State.Heard.After(at) {
		at = f.State.Heard
	}
	if at.IsZero() {
		return "No webhook of this account was seen yet.", "Write a message to this account from a phone, and look again."
	}
	return "The last one came in at " + at.UTC().Format(time.RFC3339) + ".", ""
}

func (f *HealthFacts) standing() (detail, fix string) {
	st := &f.State
	if st.Sending(f.Now) == "restricted" {
		until := ""
		if !st.RestrictedUntil.IsZero() {
			until = " until " + st.RestrictedUntil.UTC().Format(time.RFC3339)
		}
		return "Meta refuses sends of this account" + until + ": " + st.Restricted + ". Sends are held, none is lost.",
			"See the account's status in Meta's Business Support Home and ask for a review there; sends go on when Meta lifts it."
	}
	if st.Health == "LIMITED" {
		return "Meta limits sends of this account. " + st.Alert, "See the account's status in Meta's Business Support Home."
	}
	if st.Alert != "" {
		return "Meta lets this account send. Its last note: " + st.Alert, ""
	}
	return "Meta lets this account send.", ""
}

func (f *HealthFacts) number() (detail, fix string) {
	st := &f.State
	switch {
	case st.NumberStatus != "" && st.NumberStatus != "CONNECTED":
		return "The number is " + st.NumberStatus + ".", "Register the number: connect the channel again with its pin."
	case st.NameStatus == "DECLINED" || st.NameStatus == "EXPIRED":
		return "The display name is " + st.NameStatus + ".", "Ask for another display name in WhatsApp Manager."
	case st.Number == "":
		return "Meta has not said which number this is.", ""
	}
	return st.Number + " is shown as " + strconv.Quote(st.Name) + ".", ""
}

func (f *HealthFacts) quality() (detail, fix string) {
	switch f.State.Quality {
	case "RED":
		return "Customers block or report this number: its quality is RED.",
			"Write less to customers who did not ask for it, until the quality is better; Meta may restrict the number."
	case "":
		return "Meta has not rated the number yet.", ""
	}
	return "The quality is " + f.State.Quality + ".", ""
}

func (f *HealthFacts) tier() (detail, fix string) {
	detail = "Customers per day that may be written to outside the window: " + strings.TrimPrefix(f.State.Tier, "TIER_") + "."
	if f.State.Tier == "" {
		detail = "Meta has not said how many customers may be written to outside the window; until it does, " + strconv.Itoa(TierLowest) + " a day."
	}
	if limit, limited := TierLimit(f.State.Tier); limited && f.Reached > 0 {
		detail += " Written to in the last 24 hours by all numbers of the portfolio: " + strconv.Itoa(f.Reached) + "."
		if f.Reached >= limit && f.PlaceAt.After(f.Now) {
			detail += " The limit is used up: templates to other customers wait, none is lost; the next place frees at " +
				f.PlaceAt.UTC().Format(time.RFC3339) + "."
		}
	}
	if f.State.PerSecond > 0 {
		detail += " Messages per second: " + strconv.Itoa(f.State.PerSecond) + "."
	}
	return detail, ""
}

func (f *HealthFacts) templates() (detail, fix string) {
	sync := "POST /v1/channels/" + string(f.Channel.ID) + "/templates/sync"
	switch {
	case f.Templates == 0:
		return "No template is known: outside the window nobody can be written to.", ""
	case f.Approved == 0:
		return "None of " + strconv.Itoa(f.Templates) + " templates is approved.", "See in WhatsApp Manager why, then fetch them: " + sync + "."
	}
	return strconv.Itoa(f.Approved) + " of " + strconv.Itoa(f.Templates) + " templates are approved.", ""
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
