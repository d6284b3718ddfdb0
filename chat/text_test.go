package chat_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
)

// whole are characters that must not be cut, each written with several code points
// or with one.
var whole = []string{
	"a", "é", "e\u0301", "ñ", "字", "ß", "🙂", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "🇮🇳", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
	"1️⃣", "❤️", "가", "각", "\u1112\u1161\u11ab", "\u1100\u1161", "क्षि", "न्त्र", "ন্ত্র", "กำ", "q\u0323\u0307", "\u0639\u064e",
}

// borders are the byte offsets at which text may be cut.
func borders(chars []string) (text string, at map[int]bool) {
	at = map[int]bool{0: true}
	var b strings.Builder
	for _, c := range chars {
		b.WriteString(c)
		at[b.Len()] = true
	}
	return b.String(), at
}

func TestSplitText_CutsBetweenCharactersOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 11))
	for range 400 {
		chars := make([]string, 300+r.IntN(4000))
		for i := range chars {
			chars[i] = whole[r.IntN(len(whole))]
			if i > 0 && r.IntN(60) == 0 {
				chars[i] = " "
			}
		}
		text, at := borders(chars)
		for _, kind := range []chat.ChannelKind{chat.WhatsApp, chat.Instagram} {
			rest, gone := text, 0
			for _, part := range chat.SplitText(kind, text) {
				if !chat.FitsText(kind, part) || part == "" {
					t.Fatalf("%s: a part of %d bytes, %d code points does not fit", kind, len(part), utf8.RuneCountInString(part))
				}
				i := strings.Index(rest, part)
				if i < 0 || strings.TrimSpace(rest[:i]) != "" {
					t.Fatalf("%s: the text before %q is lost", kind, part[:min(len(part), 20)])
				}
				if from := gone + i; !at[from] || !at[from+len(part)] {
					t.Fatalf("%s: cut inside a character near %q", kind, text[max(0, from+len(part)-12):min(len(text), from+len(part)+12)])
				}
				gone, rest = gone+i+len(part), rest[i+len(part):]
			}
			if strings.TrimSpace(rest) != "" {
				t.Fatalf("%s: %d bytes at the end are lost", kind, len(rest))
			}
		}
	}
}

// Text without spaces is cut near the limit, not after each character: Korean and
// Chinese would otherwise go out a letter at a time.
func TestSplitText_UsesTheRoomThereIs(t *testing.T) {
	for _, char := range whole {
		text := strings.Repeat(char, 12000/utf8.RuneCountInString(char))
		for _, kind := range []chat.ChannelKind{chat.WhatsApp, chat.Instagram} {
			size, max := utf8.RuneCountInString(text), chat.WhatsAppTextMax
			if kind == chat.Instagram {
				size, max = len(text), chat.InstagramTextMax
			}
			if parts := chat.SplitText(kind, text); len(parts) > size/(max-40)+1 {
				t.Errorf("%s, %q: %d parts for %d of at most %d", kind, char, len(parts), size, max)
			}
		}
	}
}

func TestSplitText_CutsACharacterThatNoMessageHolds(t *testing.T) {
	zalgo := "z" + strings.Repeat("\u0301", 5000)
	for _, kind := range []chat.ChannelKind{chat.WhatsApp, chat.Instagram} {
		parts := chat.SplitText(kind, zalgo)
		if strings.Join(parts, "") != zalgo || len(parts) > 12 {
			t.Errorf("%s: %d parts", kind, len(parts))
		}
		for _, p := range parts {
			if !chat.FitsText(kind, p) || !utf8.ValidString(p) {
				t.Errorf("%s: a part of %d bytes does not fit", kind, len(p))
			}
		}
	}
}
