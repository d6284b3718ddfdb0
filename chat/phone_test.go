package chat_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

func TestSameNumber(t *testing.T) {
	for _, c := range []struct {
		what, a, b string
		same       bool
	}{
		{"the same digits", "4915112345678", "4915112345678", true},
		{"nothing", "", "", false},
		{"Brazil: the ninth digit", "5541988887777", "554188887777", true},
		{"Brazil: a mobile that starts with 6", "5511966665555", "551166665555", true},
		{"Brazil: a fixed line is no mobile without its 9", "551133334444", "5511933334444", false},
		{"Brazil: a fixed line of another range", "552125556666", "5521925556666", false},
		{"Brazil: another area", "5541988887777", "554288887777", false},
		{"Brazil: the 9 is not the ninth digit", "5541888887777", "554188887777", false},
		{"Brazil: too short", "55419888877", "5541888877", false},
		{"Mexico: the 1", "5215512345678", "525512345678", true},
		{"Mexico: another line", "5215512345678", "525512345679", false},
		{"Mexico: an area code that starts with 1 keeps it", "521234567890", "52234567890", false},
		{"Argentina: the 9", "5491123456789", "541123456789", true},
		{"Argentina: the 15 of Buenos Aires", "5491123456789", "54111523456789", true},
		{"Argentina: the 15 behind an area code of three digits", "5493514567890", "54351154567890", true},
		{"Argentina: the 15 behind an area code of four digits", "5492901456789", "54290115456789", true},
		{"Argentina: 15 against nothing", "54351154567890", "543514567890", true},
		{"Argentina: another line", "5491123456789", "541123456780", false},
		{"Argentina: 15 elsewhere is a part of the line", "5491123415678", "54112341155678", false},
		{"another country's digits", "4419988887777", "441988887777", false},
		{"not a number", "BR.13491208655302741918", "BR.1349120865530274191", false},
	} {
		if chat.SameNumber(c.a, c.b) != c.same || chat.SameNumber(c.b, c.a) != c.same {
			t.Errorf("%s: %s and %s: want %v, have %v and %v", c.what, c.a, c.b, c.same,
				chat.SameNumber(c.a, c.b), chat.SameNumber(c.b, c.a))
		}
	}
}

// A variant's variants lead back, none is the number itself, and none is listed twice.
func TestNumberVariants_LeadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]string{"55", "52", "54", "549", "521", "5411", "5435115", "49"}).Draw(t, "country") +
			rapid.StringMatching(`[0-9]{0,12}`).Draw(t, "rest")
		seen := map[string]bool{n: true}
		for _, v := range chat.NumberVariants(n) {
			if seen[v] {
				t.Fatalf("%s lists %s twice or itself", n, v)
			}
			seen[v] = true
			if !chat.SameNumber(v, n) {
				t.Fatalf("%s is a variant of %s and not the other way round", v, n)
			}
		}
	})
}
