package api

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
)

// timeLayout is RFC 3339 in UTC with milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// AppendEvent appends e as one line of JSON: the one shape of an event in the
// API, the stream, the feed and the export. Members that may be missing are
// null when a reader would look for them and left out when they are details.
func AppendEvent(dst []byte, e *chat.Event) []byte {
	dst = append(dst, `{"pos":`...)
	dst = strconv.AppendUint(dst, uint64(e.Pos), 10)
	dst = append(dst, `,"seq":`...)
	dst = strconv.AppendUint(dst, uint64(e.Seq), 10)
	dst = appendMember(dst, "kind", e.Kind.String())
	dst = append(dst, `,"time":`...)
	dst = appendTime(dst, e.Time)
	dst = appendMember(dst, "tenant_id", string(e.Tenant))
	dst = appendNullable(dst, "channel_id", string(e.Channel))
	dst = appendNullable(dst, "conversation_id", string(e.Conversation))
	switch {
	case e.Message != nil:
		dst = appendMessage(dst, e.Message)
	case e.Attempt != nil:
		dst = appendAttempt(dst, e.Attempt)
	}
	if e.Status != nil {
		dst = appendStatus(dst, e.Status)
	}
	switch {
	case e.Turn != nil:
		dst = appendTurn(dst, e.Turn)
	case e.Tool != nil:
		dst = appendTool(dst, e.Tool)
	case e.Summary != nil:
		dst = appendSummary(dst, e.Summary)
	}
	if e.Handoff != nil {
		dst = append(dst, `,"handoff":{"reason":`...)
		dst = appendString(dst, e.Handoff.Reason)
		dst = appendOptional(dst, "member", e.Handoff.Member)
		dst = appendOptional(dst, "note", e.Handoff.Note)
		dst = appendOptionalTime(dst, "until", e.Handoff.Until)
		dst = append(dst, '}')
	}
	if e.Contact != nil {
		dst = append(dst, `,"contact":`...)
		dst = appendContact(dst, e.Contact)
	}
	if e.Update != nil {
		dst = appendUpdate(dst, e.Update)
	}
	switch {
	case e.State != nil:
		dst = appendJSON(dst, "channel", e.State)
	case e.Template != nil:
		dst = appendJSON(dst, "template", e.Template)
	case e.Settings != nil:
		dst = appendJSON(dst, "settings", e.Settings)
	case e.Change != nil:
		dst = appendJSON(dst, "change", e.Change)
	case e.Budget != nil:
		dst = appendJSON(dst, "budget", e.Budget)
	case e.Spend != nil:
		dst = appendJSON(dst, "used", e.Spend)
	case e.Media != nil:
		shown := *e.Media
		shown.Key = nil
		dst = appendJSON(dst, "media", &shown)
	case e.Assistant != nil:
		dst = appendJSON(dst, "assistant", e.Assistant)
	}
	return append(dst, '}')
}

func appendMessage(dst []byte, m *chat.Message) []byte {
	dst = append(dst, `,"message":{"id":`...)
	dst = appendString(dst, string(m.ID))
	dst = appendNullable(dst, "remote_id", string(m.RemoteID))
	dst = appendMember(dst, "direction", m.Direction.String())
	dst = appendMember(dst, "author", m.Author.String())
	dst = appendMember(dst, "type", m.Type)
	dst = appendMember(dst, "text", m.Text)
	dst = appendOptional(dst, "reply_to", string(m.ReplyTo))
	dst = appendOptional(dst, "group", m.Group)
	dst = appendOptional(dst, "name", m.Name)
	dst = appendOptional(dst, "turn_id", string(m.Turn))
	dst = appendOptional(dst, "class", classWord(m.Class))
	dst = appendOptionalTime(dst, "provider_time", m.ProviderTime)
	if m.Simulated {
		dst = append(dst, `,"simulated":true`...)
	}
	if m.Revoked {
		dst = append(dst, `,"revoked":true`...)
	}
	dst = appendContent(dst, m.Content)
	dst = appendRaw(dst, m.Raw)
	return append(dst, '}')
}

// appendAttempt writes what happened to an outbound message at Graph: the
// message it is about, then the attempt.
func appendAttempt(dst []byte, a *chat.Attempt) []byte {
	dst = append(dst, `,"message":{"id":`...)
	dst = appendString(dst, string(a.Message))
	dst = appendNullable(dst, "remote_id", string(a.Remote))
	dst = appendMember(dst, "direction", chat.DirectionOut.String())
	dst = append(dst, `},"attempt":{"n":`...)
	dst = strconv.AppendInt(dst, int64(a.N), 10)
	dst = appendMember(dst, "message_id", string(a.Message))
	dst = appendNullable(dst, "remote_id", string(a.Remote))
	dst = appendOptional(dst, "reason", a.Reason)
	dst = appendOptionalInt(dst, "code", int64(a.Code))
	dst = appendOptionalInt(dst, "subcode", int64(a.Subcode))
	dst = appendOptionalTime(dst, "retry_at", a.RetryAt)
	return append(dst, '}')
}

func appendStatus(dst []byte, s *chat.StatusChange) []byte {
	word := s.Word
	if s.Status != 0 {
		word = s.Status.String()
	}
	dst = append(dst, `,"status":{"status":`...)
	dst = appendString(dst, word)
	dst = appendNullable(dst, "message_id", string(s.Message))
	dst = appendNullable(dst, "remote_id", string(s.Remote))
	dst = appendOptionalInt(dst, "code", int64(s.Code))
	dst = appendOptional(dst, "detail", s.Detail)
	dst = appendOptional(dst, "participant", s.Participant)
	dst = appendOptionalTime(dst, "provider_time", s.ProviderTime)
	dst = appendContent(dst, s.Content)
	dst = appendRaw(dst, s.Raw)
	return append(dst, '}')
}

func appendContact(dst []byte, c *chat.Contact) []byte {
	dst = append(dst, `{"id":`...)
	dst = appendString(dst, string(c.ID))
	dst = appendMember(dst, "name", c.Name)
	dst = append(dst, `,"addresses":[`...)
	for i, a := range c.Addresses {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"kind":`...)
		dst = appendString(dst, a.Kind.String())
		dst = appendMember(dst, "value", a.Value)
		dst = append(dst, '}')
	}
	dst = append(dst, ']')
	if len(c.Links) > 0 {
		dst = appendJSON(dst, "linked", c.Links)
	}
	if len(c.Apart) > 0 {
		dst = appendJSON(dst, "apart", c.Apart)
	}
	if c.Link != nil {
		dst = appendJSON(dst, "link", c.Link)
	}
	if len(c.Consents) > 0 {
		dst = appendJSON(dst, "consents", c.Consents)
	}
	if len(c.Fields) > 0 {
		dst = appendJSON(dst, "fields", c.Fields)
	}
	if c.Doubt != nil {
		dst = appendJSON(dst, "doubt", c.Doubt)
	}
	if c.Profile != nil {
		shown := *c.Profile
		shown.PictureKey = nil
		dst = appendJSON(dst, "profile", &shown)
	}
	return append(dst, '}')
}

func appendUpdate(dst []byte, u *chat.Update) []byte {
	dst = append(dst, `,"update":{"type":`...)
	dst = appendString(dst, u.Type)
	dst = appendNullable(dst, "remote_id", string(u.Remote))
	dst = appendOptional(dst, "revision", u.Revision)
	dst = appendOptional(dst, "reason", u.Reason)
	dst = appendOptional(dst, "text", u.Text)
	dst = appendOptionalTime(dst, "provider_time", u.ProviderTime)
	dst = appendContent(dst, u.Content)
	dst = appendRaw(dst, u.Raw)
	return append(dst, '}')
}

func appendContent(dst []byte, c *chat.Content) []byte {
	if c == nil {
		return dst
	}
	return appendJSON(dst, "content", c)
}

// appendJSON appends a member whose form in the API is that of its type.
func appendJSON(dst []byte, name string, v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return append(dst, b...)
}

// appendRaw embeds what Meta sent: as JSON when it is, in base64 otherwise.
func appendRaw(dst, raw []byte) []byte {
	if len(raw) == 0 {
		return dst
	}
	var line bytes.Buffer
	if utf8.Valid(raw) && json.Compact(&line, raw) == nil {
		dst = append(dst, `,"raw":`...)
		return append(dst, line.Bytes()...)
	}
	dst = append(dst, `,"raw_base64":"`...)
	dst = base64.StdEncoding.AppendEncode(dst, raw)
	return append(dst, '"')
}

func appendTime(dst []byte, t time.Time) []byte {
	dst = append(dst, '"')
	dst = t.UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return appendString(dst, value)
}

func appendNullable(dst []byte, name, value string) []byte {
	if value != "" {
		return appendMember(dst, name, value)
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, `":null`...)
}

func appendOptional(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendMember(dst, name, value)
}

func appendOptionalInt(dst []byte, name string, value int64) []byte {
	if value == 0 {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return strconv.AppendInt(dst, value, 10)
}

func appendOptionalTime(dst []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return dst
	}
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	return appendTime(dst, t)
}

func classWord(c chat.Class) string {
	switch c {
	case chat.AtLeastOnce:
		return "at_least_once"
	case chat.AtMostOnce:
		return "at_most_once"
	}
	return ""
}
