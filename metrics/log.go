package metrics

import (
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"strings"
)

// redacted stands where a value must not be read.
const redacted = "[redacted]"

// secretKeys are parts of attribute keys whose values are credentials, and
// personalKeys are whole keys whose values are a person's data. Neither is ever
// written, at any level.
var (
	secretKeys = []string{"secret", "token", "password", "passwd", "authorization",
		"api_key", "apikey", "cookie", "signature", "credential", "kek", "pepper"}
	personalKeys = map[string]bool{"text": true, "body": true, "raw": true, "phone": true,
		"wa_id": true, "bsuid": true, "igsid": true, "username": true, "email": true,
		"name": true, "address": true, "answer": true, "prompt": true, "detail": true}
)

// credentialText finds credentials inside free text: bearer headers, API keys,
// Graph access tokens, signatures and tokens in query strings.
var credentialText = regexp.MustCompile(
	`(?i)(bearer\s+)[^\s"']+` +
		`|\b(sk[-_](?:live_|test_|proj-)?)[A-Za-z0-9_-]{8,}` +
		`|\b(EAA|IGAA)[A-Za-z0-9]{12,}` +
		`|\b(sha256=)[0-9a-f]{64}` +
		`|((?:access_token|verify_token|appsecret_proof)=)[^&\s"']+`)

// phoneText finds runs of digits as long as a phone number. They may be part
// of a longer word: a wamid embeds one.
var phoneText = regexp.MustCompile(`\+?[0-9]{9,}`)

// NewLogHandler returns the handler of every log line: text for a terminal,
// JSON otherwise. Values under secret or personal keys are replaced, and
// credentials and phone numbers are cut out of messages, strings and errors.
func NewLogHandler(w io.Writer, tty bool, level slog.Leveler) slog.Handler {
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	if tty {
		return slog.NewTextHandler(w, o)
	}
	return slog.NewJSONHandler(w, o)
}

// redactAttr sees every attribute that is not a group, the built-in ones
// included. Groups reach it member by member.
func redactAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
		return a
	}
	key := strings.ToLower(a.Key)
	if hidden(key) {
		return slog.String(a.Key, redacted)
	}
	for _, g := range groups {
		if hidden(strings.ToLower(g)) {
			return slog.String(a.Key, redacted)
		}
	}
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindString:
		return slog.String(a.Key, RedactText(a.Value.String()))
	case slog.KindAny:
		return slog.String(a.Key, RedactText(printed(a.Value.Any())))
	default:
		return a
	}
}

// hidden reports whether values under a lower-case key are never written.
// A count of tokens is a number, not a credential.
func hidden(key string) bool {
	if personalKeys[key] {
		return true
	}
	if strings.HasSuffix(key, "_tokens") || key == "tokens" {
		return false
	}
	for _, part := range secretKeys {
		if strings.Contains(key, part) {
			return true
		}
	}
	return false
}

// printed is v as text, by the most specific way v offers: types that hide
// their value do so in all of them.
func printed(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case encoding.TextMarshaler:
		if b, err := v.MarshalText(); err == nil {
			return string(b)
		}
		return redacted
	case []byte:
		return redacted
	}
	return fmt.Sprintf("%+v", v)
}

// RedactText cuts credentials and phone numbers out of free text, keeping the
// last two digits of a number so that two of them can be told apart.
func RedactText(s string) string {
	s = credentialText.ReplaceAllStringFunc(s, func(hit string) string {
		for _, group := range credentialText.FindStringSubmatch(hit)[1:] {
			if group != "" {
				return group + redacted
			}
		}
		return redacted
	})
	return phoneText.ReplaceAllStringFunc(s, func(digits string) string {
		return "…" + digits[len(digits)-2:]
	})
}
