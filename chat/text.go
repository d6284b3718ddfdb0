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
	whole := n
	for n > 0 && n < len(text) && joinsPrevious(text, n) {
		_, size := utf8.DecodeLastRuneInString(text[:n])
		n -= size
	}
	if n == 0 {
		return whole // one character that no message can hold
	}
	return n
}

// joinsPrevious reports whether the code point at i belongs to the character
// before it: combining marks, joiners, variation selectors, skin tones, the tags
// and the second half of a flag, the vowel and end of a Korean syllable, and an
// Indic consonant after a virama.
func joinsPrevious(text string, i int) bool {
	const zeroWidthJoiner, zeroWidthNonJoiner = '\u200d', '\u200c'
	r, _ := utf8.DecodeRuneInString(text[i:])
	prev, _ := utf8.DecodeLastRuneInString(text[:i])
	switch {
	case prev == '\r' && r == '\n':
		return true
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc), r == zeroWidthJoiner, r == zeroWidthNonJoiner, prev == zeroWidthJoiner:
		return true
	case r >= 0x1F3FB && r <= 0x1F3FF, r >= 0xE0020 && r <= 0xE007F, r == 0x0E33, r == 0x0EB3, r == 0xFF9E, r == 0xFF9F:
		return true
	case sameSyllable(prev, r):
		return true
	case isVirama(prev) && unicode.Is(unicode.Lo, r):
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

// hangul is what a Korean code point is of a syllable.
type hangul uint8

const (
	hangulNone hangul = iota
	hangulL           // begins one
	hangulV           // is its vowel
	hangulT           // ends it
	hangulLV          // is one that may still end
	hangulLVT         // is a whole one
)

func hangulOf(r rune) hangul {
	const first, last, ends = 0xAC00, 0xD7A3, 28
	switch {
	case r >= 0x1100 && r <= 0x115F, r >= 0xA960 && r <= 0xA97C:
		return hangulL
	case r >= 0x1160 && r <= 0x11A7, r >= 0xD7B0 && r <= 0xD7C6:
		return hangulV
	case r >= 0x11A8 && r <= 0x11FF, r >= 0xD7CB && r <= 0xD7FB:
		return hangulT
	case r < first || r > last:
		return hangulNone
	case (r-first)%ends == 0:
		return hangulLV
	}
	return hangulLVT
}

// sameSyllable reports whether r goes on with the Korean syllable that prev is in.
func sameSyllable(prev, r rune) bool {
	next := hangulOf(r)
	switch hangulOf(prev) {
	case hangulL:
		return next != hangulNone && next != hangulT
	case hangulV, hangulLV:
		return next == hangulV || next == hangulT
	case hangulT, hangulLVT:
		return next == hangulT
	case hangulNone:
	}
	return false
}

// isVirama reports whether r joins Indic consonants to one character.
func isVirama(r rune) bool {
	switch r {
	case 0x094D, 0x09CD, 0x0A4D, 0x0ACD, 0x0B4D, 0x0BCD, 0x0C4D, 0x0CCD, 0x0D4D, 0x0DCA:
		return true
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

// characters counts what a reader sees as characters.
func characters(text string) (n int) {
	for i := range text {
		if i == 0 || !joinsPrevious(text, i) {
			n++
		}
	}
	return n
}
