package chat

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"
)

// RestrictedPause is how long a channel is held after Meta refused a send because
// of the account: nobody says when that ends, so one send then finds out.
const RestrictedPause = 5 * time.Minute

// news gives an update about a channel or a template its effect.
func (p *step) news(f *Inbound) {
	if f.Content == nil || p.c.ID != "" {
		return // documents are changed at the tenant's level alone
	}
	if n := f.Content.Standing; n != nil {
		for _, doc := range about(n.Number, p.in.Known.Docs) {
			p.changeChannel(doc, func(s *ChannelState) { s.told(n, f.Time) })
		}
	}
	if n := f.Content.Template; n != nil {
		p.templateNews(n, f.WABA)
	}
}

// about picks the channels that news concern: all of them, or the one with the
// number that the news name. While a channel's number is not known it may be that.
func about(number string, docs []Doc) (list []Doc) {
	var unknown []Doc
	for _, doc := range docs {
		if doc.Noun != DocChannel {
			continue
		}
		var s ChannelState
		_ = json.Unmarshal(doc.Value, &s) // what cannot be read has no number
		switch {
		case number == "" || digitsOf(s.Number) == digitsOf(number):
			list = append(list, doc)
		case s.Number == "":
			unknown = append(unknown, doc)
		}
	}
	if len(list) == 0 {
		return unknown
	}
	return list
}

// digitsOf is a number without the ways of writing it: Meta has several.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// changeChannel changes the state of a channel. It is an event only when more
// changed than the times at which Meta was asked or heard.
func (p *step) changeChannel(doc Doc, change func(*ChannelState)) {
	before := ChannelState{Channel: ChannelID(doc.ID)}
	if len(doc.Value) > 0 && json.Unmarshal(doc.Value, &before) != nil {
		// Nothing of it can be trusted: it is learned anew.
		before = ChannelState{Channel: ChannelID(doc.ID)}
	}
	after := before
	change(&after)
	quiet := after
	quiet.Checked, quiet.Heard, quiet.TemplatesSynced = before.Checked, before.Heard, before.TemplatesSynced
	changed := !reflect.DeepEqual(before, quiet)
	if !changed && reflect.DeepEqual(before, after) {
		return
	}
	if changed {
		after.Changed = p.now
		state := after
		p.emit(Event{Kind: ChannelChanged, State: &state})
		p.d.Events[len(p.d.Events)-1].Channel = after.Channel
	}
	p.putDoc(Doc{Noun: DocChannel, ID: doc.ID}, &after)
}

// putDoc makes a document part of the decision.
func (p *step) putDoc(doc Doc, value any) {
	doc.Value, _ = json.Marshal(value) // texts, numbers and times: it can
	p.d.Docs = append(p.d.Docs, doc)
}

// told takes over what Meta wrote about the account at a time.
func (s *ChannelState) told(n *Standing, at time.Time) {
	if n.Restricted != "" && !at.Before(s.StandingAt) {
		s.StandingAt = at
		s.Restricted, s.RestrictedUntil = "", time.Time{}
		if n.Restricted != "lifted" {
			s.Restricted, s.RestrictedUntil = word(n.Event, "restricted"), n.Until
		}
	}
	set(&s.Quality, n.Quality)
	set(&s.Tier, n.Tier)
	set(&s.PerSecond, n.PerSecond)
	set(&s.Alert, n.Alert)
}

// set takes over a value that says something.
func set[T comparable](to *T, v T) {
	var none T
	if v != none {
		*to = v
	}
}

// word is one of Meta's words as the API writes words.
func word(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return strings.ToLower(s)
}

// channelDoc is the known document of a channel.
func (p *step) channelDoc(id ChannelID) Doc {
	for _, d := range p.in.Known.Docs {
		if d.Noun == DocChannel && d.ID == string(id) {
			return d
		}
	}
	return Doc{Noun: DocChannel, ID: string(id)}
}

// channelRefused holds a channel that Meta refuses as a whole. Every send under
// way when a token dies tells of it: the first one changes something.
func (p *step) channelRefused(f ChannelRefused) {
	p.changeChannel(p.channelDoc(f.Channel), func(s *ChannelState) {
		switch f.Outcome.Reason {
		case "token_invalid":
			s.refuseToken(f.Token, TokenWord(f.Outcome.Subcode))
		case "account_locked", "account_restricted", "spam_limit":
			if s.Sending(p.now) == "" {
				s.Restricted = f.Outcome.Reason
				s.RestrictedUntil = p.now.Add(max(RestrictedPause, f.Outcome.RetryAfter))
			}
		default:
			s.Alert = "Meta refuses sends: " + f.Outcome.Reason
		}
	})
}

// refuseToken notes that a token is not accepted.
func (s *ChannelState) refuseToken(digest, why string) {
	if s.TokenDigest != digest {
		s.TokenDigest, s.TokenScopes, s.Reauth = digest, nil, ""
		s.TokenIssued, s.TokenExpires, s.RefreshFailed = time.Time{}, time.Time{}, time.Time{}
	}
	if s.Reauth == "" {
		s.Reauth = why
	}
}

// TokenWord tells why Meta refuses a token, by Graph's subcode.
func TokenWord(subcode int) string {
	switch subcode {
	case 463:
		return "token_expired"
	case 460:
		return "password_changed"
	}
	return "token_invalid"
}

// channelChecked takes over what Meta answered.
func (p *step) channelChecked(f ChannelChecked) {
	p.changeChannel(p.channelDoc(f.Channel), func(s *ChannelState) {
		s.Checked = p.now
		if t := f.Report.Token; t != nil {
			s.learnToken(t, p.now)
		}
		if n := f.Report.Number; n != nil {
			s.learnNumber(n)
		}
		if f.Report.Subscribed != nil {
			s.Subscribed = *f.Report.Subscribed
		}
	})
}

func (s *ChannelState) learnToken(t *TokenReport, now time.Time) {
	if t.Invalid != "" {
		s.refuseToken(t.Digest, t.Invalid)
		return
	}
	if s.TokenDigest != t.Digest {
		s.TokenIssued, s.TokenExpires, s.RefreshFailed = now, time.Time{}, time.Time{}
	}
	s.TokenDigest, s.Reauth = t.Digest, ""
	if len(t.Scopes) > 0 {
		s.TokenScopes = slices.Sorted(slices.Values(t.Scopes))
	}
	set(&s.TokenIssued, t.Issued)
	set(&s.TokenExpires, t.Expires)
	if t.RefreshFailed {
		s.RefreshFailed = now
		s.Alert = "Renewing the access token failed."
	}
	switch left := s.TokenExpires.Sub(now); {
	case s.TokenExpires.IsZero():
	case left <= 0:
		s.Reauth = "token_expired"
	case left <= ExpiryAlert:
		s.Alert = "The access token ends on " + s.TokenExpires.Format(time.DateOnly) + "."
	}
}

func (s *ChannelState) learnNumber(n *NumberReport) {
	set(&s.Name, n.Name)
	set(&s.Number, n.Number)
	set(&s.Quality, n.Quality)
	set(&s.Tier, n.Tier)
	set(&s.Portfolio, n.Portfolio)
	set(&s.NumberStatus, n.NumberStatus)
	set(&s.NameStatus, n.NameStatus)
	set(&s.PerSecond, n.PerSecond)
	set(&s.Health, n.Health)
	switch {
	case n.Health == "BLOCKED" && s.Restricted == "":
		s.Restricted, s.RestrictedUntil = "blocked", time.Time{}
		set(&s.Alert, n.Why)
	case n.Health == "AVAILABLE" || n.Health == "LIMITED":
		// Meta says that it takes messages: whatever held them is over.
		s.Restricted, s.RestrictedUntil = "", time.Time{}
		set(&s.Alert, n.Why)
	}
}

func (p *step) channelHeard(f ChannelHeard) {
	p.changeChannel(p.channelDoc(f.Channel), func(s *ChannelState) {
		if f.At.After(s.Heard) {
			s.Heard = f.At
		}
	})
}

// channelBound notes that a channel is given up, or in use again. What was known of
// the token it had is of no use to anybody.
func (p *step) channelBound(f ChannelBound) {
	p.changeChannel(p.channelDoc(f.Channel), func(s *ChannelState) {
		s.Disconnected = f.Disconnected
		if !f.Disconnected.IsZero() {
			s.Reauth, s.TokenDigest, s.TokenScopes, s.Subscribed = "", "", nil, false
			s.TokenIssued, s.TokenExpires, s.RefreshFailed = time.Time{}, time.Time{}, time.Time{}
		}
	})
}
