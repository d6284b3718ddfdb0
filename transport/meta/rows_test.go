package meta

import (
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/meta/metatest"
)

// row is one thing Meta says, as its documents list them, and what shows that it
// was understood.
type row struct {
	name string
	says func(in *chat.Inbound) bool
}

func kindOf(kind chat.InboundKind, word string) func(*chat.Inbound) bool {
	return func(in *chat.Inbound) bool { return in.Kind == kind && in.Type == word }
}

// content is of a kind of inbound whose Content says something.
func content(kind chat.InboundKind, says func(c *chat.Content) bool) func(*chat.Inbound) bool {
	return func(in *chat.Inbound) bool { return in.Kind == kind && in.Content != nil && says(in.Content) }
}

func media(word string) func(*chat.Inbound) bool {
	return content(chat.InboundMessage, func(c *chat.Content) bool { return len(c.Media) > 0 && c.Media[0].Kind == word })
}

func choice(word string) func(*chat.Inbound) bool {
	return content(chat.InboundMessage, func(c *chat.Content) bool { return c.Choice != nil && c.Choice.Kind == word && c.Choice.ID != "" })
}

func identity(word string) func(*chat.Inbound) bool {
	return func(in *chat.Inbound) bool {
		return in.Content != nil && in.Content.Identity != nil && in.Content.Identity.Kind == word && len(in.Customer) > 0
	}
}

func news(says func(c *chat.Content) bool) func(*chat.Inbound) bool {
	return content(chat.InboundUpdate, says)
}

func standing(field string) func(*chat.Inbound) bool {
	return func(in *chat.Inbound) bool {
		return in.Type == field && in.Content != nil && in.Content.Standing != nil
	}
}

func templateNews(says func(c *chat.TemplateChange) bool) func(*chat.Inbound) bool {
	return news(func(c *chat.Content) bool { return c.Template != nil && says(c.Template) })
}

// plain is of an update that has no meaning to the engine and is kept as received.
func plain(field string) func(*chat.Inbound) bool {
	return func(in *chat.Inbound) bool {
		return in.Kind == chat.InboundUpdate && in.Type == field && in.Content == nil && len(in.Raw) > 0
	}
}

func status(word string) func(*chat.Inbound) bool { return kindOf(chat.InboundStatus, word) }

func control(event string, ours bool) func(*chat.Inbound) bool {
	return news(func(c *chat.Content) bool {
		return c.Control != nil && c.Control.Event == event && c.Control.Ours == ours
	})
}

// platformRows lists every row of the tables of what WhatsApp and Instagram post.
// A golden case names the rows it is of in the third part of its title.
var platformRows = []row{
	// The WhatsApp envelope, and who is who.
	{"wa envelope", kindOf(chat.InboundMessage, "text")},
	{"wa object last or missing", func(in *chat.Inbound) bool { return in.ChannelKind == chat.WhatsApp }},
	{"wa contacts by identifier", func(in *chat.Inbound) bool { return in.Name != "" }},
	{"wa_id differs", func(in *chat.Inbound) bool { return len(in.Customer) == 2 && in.Customer[1].Kind == chat.Phone }},
	{"bsuid only", func(in *chat.Inbound) bool { return in.Customer[0].Kind == chat.BSUID }},
	{"bsuid in from", func(in *chat.Inbound) bool { return in.Customer[0].Kind == chat.BSUID }},
	{"username", func(in *chat.Inbound) bool { return in.Customer[len(in.Customer)-1].Kind == chat.Username }},
	{"contact_request", content(chat.InboundMessage, func(c *chat.Content) bool { return len(c.Cards) == 1 && c.Cards[0].Origin == "contact_request" })},

	// messages[].
	{"text", func(in *chat.Inbound) bool {
		return in.Type == "text" && in.Text != "" && in.Content == nil && in.Raw == nil
	}},
	{"image", media("image")},
	{"video", media("video")},
	{"audio", media("audio")},
	{"voice note", media("voice")},
	{"document", content(chat.InboundMessage, func(c *chat.Content) bool { return len(c.Media) == 1 && c.Media[0].Filename != "" })},
	{"sticker", content(chat.InboundMessage, func(c *chat.Content) bool { return len(c.Media) == 1 && c.Media[0].Animated })},
	{"location", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Location != nil })},
	{"contacts", content(chat.InboundMessage, func(c *chat.Content) bool { return len(c.Cards) > 0 && len(c.Cards[0].Phones) > 0 })},
	{"button", choice("button")},
	{"button without context", func(in *chat.Inbound) bool { return choice("button")(in) && in.ReplyTo == "" }},
	{"button_reply", choice("button_reply")},
	{"list_reply", choice("list_reply")},
	{"nfm_reply", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Form != nil && c.Form.Token != "" })},
	{"nfm_reply that is no object", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Form != nil && c.Form.Response != "" && c.Form.Token == "" })},
	{"call_permission_reply", choice("call_permission_reply")},
	{"interactive without object", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Problem != nil && c.Problem.Code != 0 })},
	{"order", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Order != nil && len(c.Order.Items) > 0 })},
	{"reaction", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Reaction != nil && c.Reaction.Emoji != "" })},
	{"reaction removed", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Reaction != nil && c.Reaction.Emoji == "" })},
	{"system number", identity("number_changed")},
	{"system number, older", identity("number_changed")},
	{"system identity", identity("identity_changed")},
	{"system user id", identity("user_id_changed")},
	{"request_welcome", kindOf(chat.InboundMessage, "request_welcome")},
	{"edit", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Edit != nil && c.Edit.Text != "" })},
	{"revoke", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Revoke != nil })},
	{"unsupported", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Problem != nil })},
	{"any other type", func(in *chat.Inbound) bool {
		return in.Kind == chat.InboundMessage && in.Content == nil && in.Raw != nil
	}},
	{"context", func(in *chat.Inbound) bool { return in.ReplyTo != "" }},
	{"context product", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Product != nil })},
	{"forwarded", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Forwarded == "forwarded" })},
	{"frequently forwarded", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Forwarded == "frequently_forwarded" })},
	{"referral", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Referral != nil && c.Referral.Click != "" })},
	{"group message", func(in *chat.Inbound) bool { return in.Group != "" && in.Kind == chat.InboundMessage }},

	// statuses[].
	{"sent", status("sent")},
	{"delivered", status("delivered")},
	{"read", status("read")},
	{"played", status("played")},
	{"failed", func(in *chat.Inbound) bool { return status("failed")(in) && in.Code != 0 }},
	{"deleted", status("deleted")},
	{"warning", status("warning")},
	{"pricing", content(chat.InboundStatus, func(c *chat.Content) bool { return c.Pricing != nil && c.Pricing.Category != "" })},
	{"conversation", content(chat.InboundStatus, func(c *chat.Content) bool { return c.Pricing != nil && c.Pricing.Conversation != "" })},
	{"callback data", func(in *chat.Inbound) bool { return in.Callback != "" }},
	{"group status", func(in *chat.Inbound) bool { return in.Participant != "" && in.Group != "" && in.Digest != "" }},
	{"status to a user id", func(in *chat.Inbound) bool { return in.Customer[0].Kind == chat.BSUID }},

	// The three places of errors.
	{"value errors", func(in *chat.Inbound) bool {
		return in.Type == "messages/errors" && in.Code != 0 && in.Content.Problem != nil
	}},
	{"message errors", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Problem != nil })},
	{"status errors", func(in *chat.Inbound) bool { return in.Kind == chat.InboundStatus && in.Code != 0 && in.Detail != "" }},
	{"quoted code", func(in *chat.Inbound) bool { return in.Code != 0 }},

	// Other fields.
	{"message_template_status_update", templateNews(func(c *chat.TemplateChange) bool { return c.Status != "" })},
	{"message_template_quality_update", templateNews(func(c *chat.TemplateChange) bool { return c.Quality != "" })},
	{"template quality with the wrong field", templateNews(func(c *chat.TemplateChange) bool { return c.Quality != "" && c.Status == "" })},
	{"message_template_components_update", templateNews(func(c *chat.TemplateChange) bool { return c.Stale })},
	{"template_category_update", templateNews(func(c *chat.TemplateChange) bool { return c.Category != "" })},
	{"account_update", standing("account_update")},
	{"account_update ban", news(func(c *chat.Content) bool { return c.Standing.Restricted == "restricted" })},
	{"account_update reinstated", news(func(c *chat.Content) bool { return c.Standing.Restricted == "lifted" })},
	{"account_update restriction", news(func(c *chat.Content) bool { return !c.Standing.Until.IsZero() })},
	{"account_update at the wrong level", standing("account_update")},
	{"account_review_update", standing("account_review_update")},
	{"account_alerts", news(func(c *chat.Content) bool { return c.Standing != nil && c.Standing.Alert != "" })},
	{"business_capability_update", news(func(c *chat.Content) bool { return c.Standing != nil && c.Standing.Tier == "TIER_2K" })},
	{"phone_number_quality_update", news(func(c *chat.Content) bool { return c.Standing != nil && c.Standing.PerSecond == 1000 })},
	{"phone_number_name_update", standing("phone_number_name_update")},
	{"security", standing("security")},
	{"user_preferences", news(func(c *chat.Content) bool { return c.Consent != nil && !c.Consent.Given })},
	{"user_id_update", identity("user_id_changed")},
	{"smb_message_echoes", kindOf(chat.InboundEcho, "text")},
	{"smb_message_echoes edit", content(chat.InboundEcho, func(c *chat.Content) bool { return c.Edit != nil })},
	{"smb_message_echoes revoke", content(chat.InboundEcho, func(c *chat.Content) bool { return c.Revoke != nil })},
	{"smb_app_state_sync", func(in *chat.Inbound) bool {
		return in.Name != "" && len(in.Customer) > 0 && in.Kind == chat.InboundUpdate
	}},
	{"history", func(in *chat.Inbound) bool { return in.Kind == chat.InboundImport && in.Ours }},
	{"history of the customer", func(in *chat.Inbound) bool { return in.Kind == chat.InboundImport && !in.Ours }},
	{"history media", content(chat.InboundImport, func(c *chat.Content) bool { return len(c.Media) > 0 })},
	{"history declined", func(in *chat.Inbound) bool { return in.Kind == chat.InboundUpdate && in.Code == 2593109 }},
	{"calls", news(func(c *chat.Content) bool { return c.Call != nil && c.Call.Inbound && c.Call.Event == "connect" })},
	{"calls ended", news(func(c *chat.Content) bool { return c.Call != nil && c.Call.Seconds > 0 })},
	{"calls status", news(func(c *chat.Content) bool { return c.Call != nil && c.Call.Event == "RINGING" })},
	{"flows", plain("flows")},
	{"group_lifecycle_update", plain("group_lifecycle_update")},
	{"group_participants_update", plain("group_participants_update")},
	{"group_settings_update", plain("group_settings_update")},
	{"group_status_update", plain("group_status_update")},
	{"automatic_events", plain("automatic_events")},
	{"account_update partner", func(in *chat.Inbound) bool { return standing("account_update")(in) && in.WABA == "9077" }},
	{"partner_solutions", plain("partner_solutions")},
	{"payment_configuration_update", plain("payment_configuration_update")},
	{"account_settings_update", plain("account_settings_update")},
	{"business_username_update", plain("business_username_update")},
	{"template_correct_category_detection", templateNews(func(*chat.TemplateChange) bool { return true })},
	{"phone_number_settings", plain("phone_number_settings")},
	{"unknown field", plain("telepathy")},

	// The Instagram envelope.
	{"ig messaging", kindOf(chat.InboundMessage, "text")},
	{"ig standby", kindOf(chat.InboundUpdate, "standby")},
	{"ig changes", func(in *chat.Inbound) bool { return in.Type == "mentions" }},
	{"ig flat", func(in *chat.Inbound) bool { return in.Type == "comments" }},
	{"ig array", kindOf(chat.InboundMessage, "text")},
	{"ig seconds", func(in *chat.Inbound) bool { return in.Time.Year() == 2025 }},
	{"ig two accounts", func(in *chat.Inbound) bool { return in.Account == "5002" }},

	// Instagram's events.
	{"ig text", func(in *chat.Inbound) bool {
		return in.Kind == chat.InboundMessage && in.Content == nil && in.Raw == nil
	}},
	{"ig image", media("image")},
	{"ig several attachments", content(chat.InboundMessage, func(c *chat.Content) bool { return len(c.Media) > 1 })},
	{"ig video", media("video")},
	{"ig audio", media("audio")},
	{"ig file", media("document")},
	{"ig share", media("share")},
	{"ig_post", media("ig_post")},
	{"ig_reel", media("ig_reel")},
	{"ig reel", media("reel")},
	{"ig story_mention", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Story != nil && c.Story.Mention && c.Story.URL != "" })},
	{"ig_story", media("ig_story")},
	{"ig like_heart", media("like_heart")},
	{"ig ephemeral", media("ephemeral")},
	{"ig template", media("template")},
	{"ig fallback", media("fallback")},
	{"ig story reply", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Story != nil && c.Story.ID != "" && !c.Story.Mention })},
	{"ig inline reply", func(in *chat.Inbound) bool { return in.ReplyTo != "" }},
	{"ig quick reply", choice("quick_reply")},
	{"ig quick reply without text", choice("quick_reply")},
	{"ig ad click", content(chat.InboundMessage, func(c *chat.Content) bool {
		return c.Referral != nil && c.Referral.Source == "ADS" && c.Referral.ID != ""
	})},
	{"ig echo", kindOf(chat.InboundEcho, "text")},
	{"ig message_echoes", func(in *chat.Inbound) bool {
		return in.Kind == chat.InboundEcho && len(in.Customer) == 1 && in.Customer[0].Value == "3001"
	}},
	{"ig self", kindOf(chat.InboundEcho, "text")},
	{"ig deletion", news(func(c *chat.Content) bool { return c.Revoke != nil })},
	{"ig unsupported", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Problem != nil })},
	{"ig edit", news(func(c *chat.Content) bool { return c.Edit != nil && c.Edit.Revision == 1 })},
	{"ig edit, number as text", news(func(c *chat.Content) bool { return c.Edit != nil && c.Edit.Revision == 2 })},
	{"ig react", news(func(c *chat.Content) bool { return c.Reaction != nil && c.Reaction.Emoji != "" })},
	{"ig unreact", news(func(c *chat.Content) bool { return c.Reaction != nil && c.Reaction.Emoji == "" })},
	{"ig postback", choice("postback")},
	{"ig postback referral", content(chat.InboundMessage, func(c *chat.Content) bool { return c.Choice != nil && c.Referral != nil })},
	{"ig referral", news(func(c *chat.Content) bool { return c.Referral != nil && c.Referral.Ref != "" })},
	{"ig read", kindOf(chat.InboundRead, "read")},
	{"ig read watermark", kindOf(chat.InboundUpdate, "read")},
	{"ig pass_thread_control", control("pass", true)},
	{"ig take_thread_control", control("take", false)},
	{"ig request_thread_control", control("request", false)},
	{"ig app_roles", control("roles", false)},
	{"ig optin", news(func(c *chat.Content) bool { return c.Consent != nil && c.Consent.Given })},
	{"ig optin stopped", news(func(c *chat.Content) bool { return c.Consent != nil && !c.Consent.Given })},
	{"ig comment", news(func(c *chat.Content) bool { return c.Comment != nil && c.Comment.ID != "" && !c.Comment.Live })},
	{"ig comment on an ad", news(func(c *chat.Content) bool { return c.Comment != nil && c.Comment.Ad != "" })},
	{"ig live comment", news(func(c *chat.Content) bool { return c.Comment != nil && c.Comment.Live })},
	{"ig mention", news(func(c *chat.Content) bool { return c.Comment != nil && c.Comment.Mention })},
	{"story_insights", plain("story_insights")},
	{"ig unknown", plain("telepathy")},
}

// TestDecode_EveryRowHasACase: what Meta's tables list has a recorded case here,
// and the case shows that it is understood.
func TestDecode_EveryRowHasACase(t *testing.T) {
	cases := map[string][]metatest.Case{}
	for _, path := range goldenFiles(t) {
		_, list := readGolden(t, path)
		for _, c := range list {
			for _, name := range c.Rows {
				cases[name] = append(cases[name], c)
			}
		}
	}
	for _, r := range platformRows {
		if len(cases[r.name]) == 0 {
			t.Errorf("no golden case is of row %q; add one and name the row in its title", r.name)
		}
		for _, c := range cases[r.name] {
			list, err := Decode("app", c.Body())
			understood := false
			for i := range list {
				understood = understood || list[i].Problem == "" && r.says(&list[i])
			}
			if err != nil || !understood {
				t.Errorf("%q is of row %q and does not say so:\n%s", c.Name, r.name, show(list, err))
			}
		}
		delete(cases, r.name)
	}
	for name, list := range cases {
		t.Errorf("%q is of row %q, which is not listed; correct the one or the other", list[0].Name, name)
	}
}
