package meta

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/valyala/fastjson"

	"github.com/chumiai/chumi/chat"
)

// throughputUpgraded is the pace, in messages per second, of a number that Meta
// upgraded: the notice does not name it.
const throughputUpgraded = 1000

// standingOf reads news about a channel's standing; nil for other fields.
func standingOf(field string, v *fastjson.Value) *chat.Standing {
	if v.GetObject() == nil {
		return nil
	}
	st := &chat.Standing{Event: word(v.Get("event")), Number: clip(bytesOf(v.Get("display_phone_number")), wordMax)}
	switch field {
	case "account_update":
		if st.Number == "" {
			st.Number = clip(bytesOf(v.Get("phone_number")), wordMax)
		}
		accountStanding(st, v)
	case "account_review_update":
		st.Event = word(v.Get("decision"))
		st.Alert = line(field, st.Event)
	case "account_alerts":
		info := v.Get("alert_info")
		st.Event = word(info.Get("alert_type"))
		st.Alert = line(word(info.Get("alert_severity")), st.Event, clip(bytesOf(info.Get("alert_description")), nameMax))
	case "business_capability_update":
		// The second is of before February 2026.
		if st.Tier = tierOf(v.Get("max_daily_conversations_per_business")); st.Tier == "" {
			st.Tier = tierOf(v.Get("max_daily_conversation_per_phone"))
		}
	case "phone_number_quality_update":
		qualityStanding(st, v)
	case "phone_number_name_update":
		st.Event = word(v.Get("decision"))
		st.Alert = line(field, st.Event, clip(bytesOf(v.Get("requested_verified_name")), nameMax), unlessNone(v.Get("rejection_reason")))
	case "security":
		st.Alert = line(field, st.Event)
	default:
		return nil
	}
	if st.Event == "" {
		st.Event = field
	}
	return st
}

// accountStanding reads what became of an account. Only what makes Meta refuse
// replies is a restriction: an account that may not write first still answers.
func accountStanding(st *chat.Standing, v *fastjson.Value) {
	ban := v.Get("ban_info")
	state := word(ban.Get("waba_ban_state"))
	switch st.Event {
	case "DISABLED_UPDATE":
		switch state {
		case "DISABLE":
			st.Restricted = sendsRefused
		case "REINSTATE":
			st.Restricted = sendsAllowed
		}
		st.Alert = line(st.Event, state, clip(bytesOf(ban.Get("waba_ban_date")), wordMax))
	case "ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED":
		st.Restricted = sendsRefused
		st.Alert = line(st.Event, word(v.Get("disconnection_info", "reason")))
	case "ACCOUNT_RECONNECTED":
		st.Restricted = sendsAllowed
		st.Alert = st.Event
	case "ACCOUNT_RESTRICTION":
		accountRestriction(st, v.Get("restriction_info"))
	case "ACCOUNT_VIOLATION":
		st.Alert = line(st.Event, word(v.Get("violation_info", "violation_type")))
	case "PARTNER_ADDED", "PARTNER_APP_INSTALLED", "AD_ACCOUNT_LINKED", "VOLUME_BASED_PRICING_TIER_UPDATE",
		"BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE", "MM_LITE_TERMS_SIGNED", "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE":
		// Nothing that anybody must see.
	case "PARTNER_REMOVED":
		st.Alert = line(st.Event, word(v.Get("disconnection_info", "reason")))
	default:
		st.Alert = st.Event
	}
}

// What a Standing says about sends.
const (
	sendsRefused = "restricted"
	sendsAllowed = "lifted"
)

func accountRestriction(st *chat.Standing, v *fastjson.Value) {
	words := []string{st.Event}
	var lone [1]*fastjson.Value
	for _, r := range firstOf(listOf(v, lone[:])) {
		kind := word(r.Get("restriction_type"))
		words = append(words, kind)
		if !strings.Contains(kind, "MESSAGING") || strings.Contains(kind, "BIZ_INITIATED") {
			continue
		}
		until := timeOf(r.Get("expiration"))
		if st.Restricted == "" || until.IsZero() || !st.Until.IsZero() && until.After(st.Until) {
			st.Restricted, st.Until = sendsRefused, until
		}
	}
	st.Alert = line(words...)
}

// qualityStanding reads news about a number. FLAGGED and UNFLAGGED are of older
// versions: low, and better than low.
func qualityStanding(st *chat.Standing, v *fastjson.Value) {
	if st.Tier = tierOf(v.Get("max_daily_conversations_per_business")); st.Tier == "" {
		st.Tier = tierOf(v.Get("current_limit"))
	}
	switch st.Event {
	case "THROUGHPUT_UPGRADE":
		st.PerSecond = throughputUpgraded
	case "FLAGGED":
		st.Quality = "RED"
	case "UNFLAGGED":
		st.Quality = "YELLOW"
	}
	st.Alert = line(st.Event, st.Tier)
}

// tierOf reads a messaging limit, which Meta's table calls TIER_2K and its sample
// writes 2000.
func tierOf(v *fastjson.Value) string {
	b := bytesOf(v)
	if bytes.HasPrefix(b, []byte("TIER_")) {
		return clip(b, wordMax)
	}
	n, err := strconv.Atoi(string(b))
	switch {
	case err != nil || n == 0:
		return ""
	case n < 0:
		return "TIER_UNLIMITED"
	case n%1000 == 0:
		return "TIER_" + strconv.Itoa(n/1000) + "K"
	}
	return "TIER_" + strconv.Itoa(n)
}

// unlessNone is a reason; Meta writes NONE, or null, for none.
func unlessNone(v *fastjson.Value) string {
	if s := clip(bytesOf(v), nameMax); s != "NONE" {
		return s
	}
	return ""
}

// line makes a line for people of what there is.
func line(words ...string) string {
	said := make([]string, 0, len(words))
	for _, w := range words {
		if w != "" {
			said = append(said, w)
		}
	}
	return clip([]byte(strings.Join(said, ": ")), nameMax)
}
