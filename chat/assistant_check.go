package chat

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Bounds of one version of an assistant. Texts are counted in characters.
const (
	assistantIDMax    = 40
	instructionsMax   = 20_000
	businessMax       = 8_000
	mannerMax         = 2_000
	saidMax           = 1_000
	versionNoteMax    = 500
	topicMax          = 200
	topicsMax         = 50
	languagesMax      = 20
	modelsMax         = 5
	modelNameMax      = 200
	grantsMax         = 64
	grantCallsMax     = 10_000
	domainsMax        = 100
	domainMax         = 253
	variantsMax       = 100
	spansMax          = 100
	zoneMax           = 64
	stepsMax          = 32
	toolCallsMax      = 64
	outTokensMax      = 32 << 10
	promptTokensMax   = 1_000_000
	turnTimeMax       = 10 * time.Minute
	assistantBytesMax = 96 << 10
	minutesPerDay     = 24 * 60
)

// CheckAssistant reports the first part of an assistant that cannot be; nil when all
// can. Whether its models, tools, channels and time zone exist others know.
func CheckAssistant(a *Assistant) *LimitError {
	c := checker{}
	c.plainWord("id", string(a.ID), assistantIDMax)
	c.needed("instructions", a.Instructions, instructionsMax)
	c.atMost("business", a.Business, businessMax)
	c.atMost("tone", a.Tone, mannerMax)
	c.atMost("scope", a.Scope, mannerMax)
	c.atMost("disclosure", a.Disclosure, saidMax)
	c.atMost("away", a.Away, saidMax)
	c.atMost("apology", a.Apology, saidMax)
	c.atMost("note", a.Note, versionNoteMax)
	c.count("forbidden_topics", len(a.Forbidden), 0, topicsMax)
	for i, t := range a.Forbidden {
		c.atMost(nth("forbidden_topics", i), t, topicMax)
	}
	c.languages(a.Languages)
	c.hours(a.Hours)
	c.models(a.Models)
	c.grants(a.Tools)
	c.count("link_domains", len(a.Links), 0, domainsMax)
	for i, d := range a.Links {
		if !isDomain(d) {
			c.fail(nth("link_domains", i), "parameter_invalid", "%s must be a domain such as example.com.", nth("link_domains", i))
		}
	}
	c.turnLimits(&a.Limits)
	c.count("channels", len(a.Channels), 0, variantsMax)
	for _, ch := range slices.Sorted(maps.Keys(a.Channels)) {
		v := a.Channels[ch]
		c.atMost("channels."+string(ch)+".instructions", v.Instructions, instructionsMax)
		c.atMost("channels."+string(ch)+".tone", v.Tone, mannerMax)
		c.atMost("channels."+string(ch)+".disclosure", v.Disclosure, saidMax)
	}
	if b, err := json.Marshal(a); err != nil || len(b) > assistantBytesMax {
		c.fail("", "parameter_too_long", "The assistant is larger than %d KB in all.", assistantBytesMax>>10)
	}
	return c.err
}

func nth(param string, i int) string { return fmt.Sprintf("%s[%d]", param, i) }

// plainWord wants a word of lower-case letters, digits, dashes and underscores.
func (c *checker) plainWord(param, s string, most int) {
	ok := s != "" && len(s) <= most && s[0] != '-' && s[0] != '_'
	for _, r := range []byte(s) {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	if !ok {
		c.fail(param, "parameter_invalid", "%s must be a word of at most %d lower-case letters, digits, dashes and underscores.", param, most)
	}
}

func (c *checker) languages(tags []string) {
	c.count("languages", len(tags), 0, languagesMax)
	for i, t := range tags {
		if !isLanguage(t) {
			c.fail(nth("languages", i), "parameter_invalid", "%s must be a language tag such as de, pt-BR or zh-Hant.", nth("languages", i))
		}
	}
}

// isLanguage reports whether a tag is of BCP 47 in its usual parts: language, script
// and region.
func isLanguage(tag string) bool {
	parts := strings.Split(tag, "-")
	if n := len(parts[0]); n < 2 || n > 3 || !asciiLetters(parts[0]) || strings.ToLower(parts[0]) != parts[0] {
		return false
	}
	parts = parts[1:]
	if len(parts) > 0 && len(parts[0]) == 4 && asciiLetters(parts[0]) {
		parts = parts[1:]
	}
	if len(parts) > 0 && (len(parts[0]) == 2 && asciiLetters(parts[0]) || len(parts[0]) == 3 && digits(parts[0], 3)) {
		parts = parts[1:]
	}
	return len(parts) == 0
}

func asciiLetters(s string) bool {
	for _, r := range []byte(s) {
		if (r|0x20) < 'a' || (r|0x20) > 'z' {
			return false
		}
	}
	return true
}

func (c *checker) hours(h *Hours) {
	if h == nil {
		return
	}
	c.needed("hours.zone", h.Zone, zoneMax)
	c.count("hours.open", len(h.Open), 0, spansMax)
	for _, s := range h.Open {
		if s.Day < time.Sunday || s.Day > time.Saturday || s.From < 0 || s.From >= minutesPerDay || s.To <= s.From || s.To > s.From+minutesPerDay {
			c.fail("hours.open", "parameter_invalid", "Each of hours.open must begin on a weekday and end after it, at most 24 hours later.")
		}
	}
}

func (c *checker) models(list []ModelRef) {
	c.count("models", len(list), 0, modelsMax)
	for i, m := range list {
		c.needed(nth("models", i)+".model", m.Model, modelNameMax)
		c.atMost(nth("models", i)+".provider", m.Provider, modelNameMax)
	}
}

func (c *checker) grants(list []ToolGrant) {
	c.count("tools", len(list), 0, grantsMax)
	seen := make(map[string]bool, len(list))
	for i, g := range list {
		switch {
		case !IsToolName(g.Name):
			c.fail(nth("tools", i)+".name", "parameter_invalid", "%s.name must be at most 64 letters, digits, dashes and underscores.", nth("tools", i))
		case seen[g.Name]:
			c.fail(nth("tools", i)+".name", "parameter_invalid", "%s names a tool for the second time.", nth("tools", i))
		case g.Max < 0 || g.Max > grantCallsMax:
			c.fail(nth("tools", i)+".max_per_conversation", "parameter_invalid", "%s.max_per_conversation must be between 0 and %d.", nth("tools", i), grantCallsMax)
		}
		seen[g.Name] = true
	}
}

// IsToolName reports whether models can call a tool by this name.
func IsToolName(s string) bool {
	for _, r := range []byte(s) {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || !IsToolName(l) {
			return false
		}
	}
	return len(s) <= domainMax && len(labels) > 1
}

func (c *checker) turnLimits(l *TurnLimits) {
	bound := func(param string, n, most int64) {
		if n < 0 || n > most {
			c.fail("limits."+param, "parameter_invalid", "limits.%s must be between 0 and %d.", param, most)
		}
	}
	bound("steps", int64(l.Steps), stepsMax)
	bound("tool_calls", int64(l.Tools), toolCallsMax)
	bound("output_tokens", l.OutTokens, outTokensMax)
	bound("prompt_tokens", l.PromptTokens, promptTokensMax)
	if l.Cost < 0 {
		c.fail("limits.cost", "parameter_invalid", "limits.cost must not be negative.")
	}
	if l.Time < 0 || l.Time > turnTimeMax {
		c.fail("limits.time_seconds", "parameter_invalid", "limits.time_seconds must be at most %d minutes.", int(turnTimeMax.Minutes()))
	}
}
