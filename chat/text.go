package chat

import (
	"hash/fnv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest text one message may carry: characters on WhatsApp, bytes on
// Instagram (Meta, messages/text and Instagram messaging send API).
const (
	WhatsAppTextMax  = 4096
	InstagramTextMax = 1000
)

// TextHash identifies a text among the few entries of one outbox.
func TextHash(text string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	return h.Sum64()
}

// FitsText reports whether text can go out as one message.
func FitsText(kind ChannelKind, text string) bool {
	if kind == Instagram {
		return len(text) <= InstagramTextMax
	}
	return len(text) <= WhatsAppTextMax || utf8.RuneCountInString(text) <= WhatsAppTextMax
}

// SplitText cuts text into messages the channel accepts, preferring the end of
// a paragraph, a line, a sentence or a word, and never inside a character that
// is written with several code points.
func SplitText(kind ChannelKind, text string) []string {
	text = strings.TrimSpace(text)
	var parts []string
	for text != "" {
		if FitsText(kind, text) {
			return append(parts, text)
		}
		cut := cutBefore(text, fitLen(kind, text))
		parts = append(parts, strings.TrimSpace(text[:cut]))
		text = strings.TrimSpace(text[cut:])
	}
	return parts
}

// fitLen is the byte length of the longest prefix that fits, on a character border.
func fitLen(kind ChannelKind, text string) int {
	n, runes := 0, 0
	for i, r := range text {
		runes++
		end := i + utf8.RuneLen(r)
		if r == utf8.RuneError {
			end = i + 1
		}
		if (kind == Instagram && end > InstagramTextMax) || (kind != Instagram && runes > WhatsAppTextMax) {
			break
		}
		n = end
	}
	for n > 0 && n < len(text) && joinsPrevious(text, n) {
		_, size := utf8.DecodeLastRuneInString(text[:n])
		n -= size
	}
	if n == 0 {
		_, n = utf8.DecodeRuneInString(text)
	}
	return n
}

// joinsPrevious reports whether the code point at i belongs to the character
// before it: combining marks, joiners, variation selectors, skin tones and the
// second half of a flag.
func joinsPrevious(text string, i int) bool {
	const zeroWidthJoiner = '\u200d'
	r, _ := utf8.DecodeRuneInString(text[i:])
	prev, _ := utf8.DecodeLastRuneInString(text[:i])
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc), r == zeroWidthJoiner, prev == zeroWidthJoiner:
		return true
	case r >= 0x1F3FB && r <= 0x1F3FF:
		return true
	case isRegional(r) && isRegional(prev):
		run := 0
		for j := i; j > 0; {
			p, size := utf8.DecodeLastRuneInString(text[:j])
			if !isRegional(p) {
				break
			}
			run++
			j -= size
		}
		return run%2 == 1
	}
	return false
}

func isRegional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }

// cutBefore finds the best place to cut in text[:limit].
func cutBefore(text string, limit int) int {
	head := text[:limit]
	for _, sep := range []string{"\n\n", "\n", ". ", "! ", "? ", " "} {
		if i := strings.LastIndex(head, sep); i > limit/2 {
			return i + len(sep)
		}
	}
	return limit
}
