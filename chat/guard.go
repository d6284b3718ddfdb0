package chat

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
)

// The words that say why a response is blocked. The set is closed.
const (
	BlockedPrice   = "price_unknown"    // a price that nothing holds
	BlockedLink    = "link_not_allowed" // a link to somewhere else
	BlockedPicture = "picture"          // a picture that a client would fetch by itself
	BlockedAddress = "address_unknown"  // an e-mail address or a telephone number of nobody here
	BlockedAccount = "account_unknown"  // a bank account or a card of nobody here
	BlockedSecret  = "secret"           // something that looks like a key
	BlockedCanary  = "canary"           // a word that no customer may see
)

// Blocks are all words of GuardResponse, in the order in which it looks.
var Blocks = []string{BlockedCanary, BlockedSecret, BlockedPicture, BlockedLink, BlockedAddress, BlockedAccount, BlockedPrice}

// Sayable is what a response to one customer may repeat.
type Sayable struct {
	// Business are the texts the business stands for: its profile, what was found of
	// its knowledge and catalog, results of its tools. Customer are the messages of
	// the customer of this conversation.
	Business, Customer []string
	// Prices are those of the catalog and of orders, besides what the texts hold.
	Prices []Amount
	// Addresses are the customer's own.
	Addresses []Address
	// Links are the domains that may be linked to, with what is below them; nil for
	// those that the texts name.
	Links []string
	// Canaries are words that stand in prompts and belong into no answer.
	Canaries []string
}

// GuardResponse says why messages may not go to a customer, in one of Blocks; empty
// when they may. It holds whatever the model was told: it compares what is said with
// what there is. It sees through invisible characters, wide forms and digits of other
// scripts, and takes a domain for a link where an app would make one of it.
func GuardResponse(messages []string, may *Sayable) (blocked string) {
	text := strings.Join(messages, "\n")
	plain := plainDigits(text)
	known := may.known()
	switch {
	case hasCanary(text, plain, may.Canaries):
		return BlockedCanary
	case hasSecret(plain, known):
		return BlockedSecret
	case hasPicture(plain):
		return BlockedPicture
	}
	prices := scanPrices(plain)
	rest, links := takeLinks(plain)
	for _, l := range links {
		if !may.links(l, known) {
			return BlockedLink
		}
	}
	if blocked = may.addresses(rest, prices, known); blocked != "" {
		return blocked
	}
	allowed := slices.Clone(may.Prices)
	for _, t := range known {
		allowed = append(allowed, PricesIn(t)...)
	}
	if len(prices) > 0 && len(Quoted(plain, allowed)) > 0 {
		return BlockedPrice
	}
	return ""
}

// known are all texts that may be repeated, made plain.
func (m *Sayable) known() []string {
	list := make([]string, 0, len(m.Business)+len(m.Customer))
	for _, t := range [...][]string{m.Business, m.Customer} {
		for _, one := range t {
			list = append(list, plainDigits(one))
		}
	}
	return list
}

// hasCanary looks for canaries as they are, in any case, with anything but letters
// and digits between their characters, backwards, and in base64 and hex.
func hasCanary(text, plain string, canaries []string) bool {
	squeezed := squeeze(plain)
	for _, c := range canaries {
		bare := squeeze(c)
		if bare == "" {
			continue
		}
		backwards := []rune(bare)
		slices.Reverse(backwards)
		if strings.Contains(squeezed, bare) || strings.Contains(squeezed, string(backwards)) ||
			strings.Contains(strings.ToLower(plain), hex.EncodeToString([]byte(c))) {
			return true
		}
		// Base64 of a text depends on where in it the canary stands: of three ways
		// one holds the middle of it.
		for pad := range 3 {
			inner := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", pad) + c))
			if from, to := 4, len(inner)-4; pad == 0 && strings.Contains(text, inner[:to]) || to-from >= 8 && strings.Contains(text, inner[from:to]) {
				return true
			}
		}
	}
	return false
}

// squeeze is a text's letters and digits, in lower case.
func squeeze(text string) string {
	return strings.Map(func(r rune) rune {
		if isWordRune(r) {
			return r
		}
		return -1
	}, strings.ToLower(plainDigits(text)))
}

// keyHeads begin keys and tokens of well-known services. What follows is at least
// keyTailMin characters long.
var keyHeads = []string{"sk-", "sk_live_", "sk_test_", "pk_live_", "rk_live_", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-",
	"AKIA", "ASIA", "AIza", "ya29.", "EAA", "IGQ", "whsec_", "hf_", "npm_", "shpat_", "SG.", "eyJ"}

const (
	keyTailMin = 12
	// randomMin is from where on a word of mixed characters is no word.
	randomMin = 32
)

// hasSecret reports whether a text holds what looks like a key: the head of one, the
// place of one in a tool, or a long random word that nothing known holds.
func hasSecret(plain string, known []string) bool {
	lower := strings.ToLower(plain)
	if strings.Contains(lower, "{{secret:") || strings.Contains(lower, "-----begin ") {
		return true
	}
	if _, after, ok := strings.Cut(lower, "bearer "); ok && len(keyRun(after)) >= 20 {
		return true
	}
	for at := 0; at < len(plain); {
		run := keyRun(plain[at:])
		if run == "" {
			at++
			continue
		}
		for _, h := range keyHeads {
			if i := strings.Index(run, h); i >= 0 && (i == 0 || !isWordRune(rune(run[i-1]))) && len(run)-i-len(h) >= keyTailMin && hasDigit(run[i+len(h):]) {
				return true
			}
		}
		word := strings.Trim(run, "-_.+/=")
		if randomWord(word) && !inLink(plain, at) && !slices.ContainsFunc(known, func(t string) bool { return strings.Contains(t, word) }) {
			return true
		}
		at += len(run)
	}
	return false
}

// keyRun is the run of characters that keys are made of, at the begin of a text.
func keyRun(text string) string {
	for i := range len(text) {
		c := text[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-_.+/=", c) >= 0) {
			return text[:i]
		}
	}
	return text
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }

// randomWord reports whether a run looks drawn: long, digits among letters, and no
// punctuation of a sentence in it.
func randomWord(run string) bool {
	for part := range strings.SplitSeq(run, ".") {
		letters, digits, turns := 0, 0, 0
		for i := range len(part) {
			isNumber := part[i] >= '0' && part[i] <= '9'
			if isNumber {
				digits++
			} else if strings.IndexByte("-_+/=", part[i]) < 0 {
				letters++
			}
			if i > 0 && isNumber != (part[i-1] >= '0' && part[i-1] <= '9') {
				turns++
			}
		}
		if len(part) >= randomMin && letters >= 4 && digits >= 4 && turns >= 6 {
			return true
		}
	}
	return false
}

// inLink reports whether a place is within a word that a scheme begins: links are
// looked at by their domain.
func inLink(text string, at int) bool {
	from := strings.LastIndexAny(text[:at], " \n\t<>()\"") + 1
	return strings.Contains(text[from:at], "://") || strings.HasPrefix(text[from:], "http")
}

// hasPicture reports whether a text shows a picture: some clients fetch it without
// being asked, and tell its server whatever stands in the address.
func hasPicture(plain string) bool {
	lower := strings.ToLower(plain)
	for at := strings.Index(lower, "!["); at >= 0; {
		rest := lower[at+2:]
		if end := strings.IndexByte(rest, ']'); end >= 0 && end+1 < len(rest) && (rest[end+1] == '(' || rest[end+1] == '[') {
			return true
		}
		next := strings.Index(rest, "![")
		if next < 0 {
			break
		}
		at += 2 + next
	}
	for _, tag := range []string{"<img", "<svg", "<iframe", "<object", "<embed", "<video", "<audio", "<script", "<link", "<style"} {
		if strings.Contains(lower, tag) {
			return true
		}
	}
	return false
}
