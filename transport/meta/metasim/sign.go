package metasim

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"
)

// SignatureHeader carries Sign's result.
const SignatureHeader = "X-Hub-Signature-256"

// Sign returns the value of SignatureHeader for a body: the HMAC-SHA256 of its
// exact bytes under the app secret.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// Escape rewrites a JSON text as Meta's serializer would: every character
// outside ASCII as \uXXXX (lowercase, surrogate pairs above U+FFFF) and every
// slash as \/. Outside strings JSON has neither, so the text keeps its meaning.
func Escape(text []byte) []byte {
	out := make([]byte, 0, len(text)+len(text)/8)
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '/' && (i == 0 || text[i-1] != '\\' || escapedBackslash(text[:i])):
			out = append(out, '\\', '/')
			i++
		case c < utf8.RuneSelf:
			out = append(out, c)
			i++
		default:
			r, n := utf8.DecodeRune(text[i:])
			if r > 0xFFFF {
				hi, lo := utf16.EncodeRune(r)
				out = appendUnit(appendUnit(out, hi), lo)
			} else {
				out = appendUnit(out, r)
			}
			i += n
		}
	}
	return out
}

// escapedBackslash reports whether the backslash at the end of text is itself
// escaped, so that it does not escape what follows.
func escapedBackslash(text []byte) bool {
	n := 0
	for i := len(text) - 1; i >= 0 && text[i] == '\\'; i-- {
		n++
	}
	return n%2 == 0
}

func appendUnit(b []byte, r rune) []byte {
	const hexDigits = "0123456789abcdef"
	return append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
