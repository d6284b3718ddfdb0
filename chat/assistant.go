package chat

import (
	"strconv"
	"strings"
	"time"
)

// AssistantID is a plain word that names an assistant of a tenant.
type AssistantID string

// DefaultAssistant answers on every channel that names no other.
const DefaultAssistant AssistantID = "main"

// AssistantRef names one version of an assistant, as "main@3". Version 0 is the
// configuration of the engine, which a tenant without an assistant of its own has.
type AssistantRef string

// RefOf builds the ref of a version.
func RefOf(id AssistantID, version int) AssistantRef {
	return AssistantRef(string(id) + "@" + strconv.Itoa(version))
}

// Configured reports whether the ref names the configuration of the engine.
func (r AssistantRef) Configured() bool { return strings.HasSuffix(string(r), "@0") }

// Assistant is one version of what a business wants its assistant to be. A version
// that was published never changes. It is a document of the tenant, by its ref.
type Assistant struct {
	ID      AssistantID `json:"id"`
	Version int         `json:"version"`
	Created time.Time   `json:"created_at,omitzero"`
	// Author is the member or key that wrote it.
	Author string `json:"author,omitempty"`
	// Note says what changed, for people.
	Note string `json:"note,omitempty"`

	// Instructions, Tone, Scope and Business are parts of the system prompt: what to
	// do, how to speak, what it is for, and what the business is.
	Instructions string `json:"instructions"`
	Tone         string `json:"tone,omitempty"`
	Business     string `json:"business,omitempty"`
	Scope        string `json:"scope,omitempty"`
	// Forbidden are topics it declines.
	Forbidden []string `json:"forbidden_topics,omitempty"`
	// Languages are those it may answer in, as BCP 47 tags; empty for the customer's.
	Languages []string `json:"languages,omitempty"`
	// Disclosure is sent before its first message to a person; empty for none.
	Disclosure string `json:"disclosure,omitempty"`
	// Hours are when it answers; nil for always. Away is sent instead, before the
	// conversation goes to people; empty for nothing.
	Hours *Hours `json:"hours,omitempty"`
	Away  string `json:"away,omitempty"`
	// Apology is sent when it cannot answer in time.
	Apology string `json:"apology,omitempty"`

	// Models are tried in order; empty for those of the configuration.
	Models []ModelRef `json:"models,omitempty"`
	// Tools may be called; any other is refused, whatever the model says.
	Tools []ToolGrant `json:"tools,omitempty"`
	// Links are the domains that its messages may link to; nil for any that the
	// knowledge or the customer named.
	Links []string `json:"link_domains,omitempty"`
	// Limits bound one turn.
	Limits TurnLimits `json:"limits,omitzero"`
	// Vision shows pictures to the model, Voice has voice notes transcribed first.
	Vision bool `json:"vision,omitempty"`
	Voice  bool `json:"voice,omitempty"`
	// Plain asks for text and not for a structured answer, for models that cannot.
	Plain bool `json:"plain,omitempty"`
	// Channels are variants: what is set there replaces what is set here.
	Channels map[ChannelID]AssistantVariant `json:"channels,omitempty"`
}

// Ref names this version.
func (a *Assistant) Ref() AssistantRef { return RefOf(a.ID, a.Version) }

// AssistantVariant is what one channel does differently; empty fields say nothing.
type AssistantVariant struct {
	Instructions string `json:"instructions,omitempty"`
	Tone         string `json:"tone,omitempty"`
	Disclosure   string `json:"disclosure,omitempty"`
	// Off hands the channel's conversations to people.
	Off bool `json:"off,omitempty"`
}

// AssistantHead says which versions of an assistant count. It is a document of the
// tenant, by AssistantID.
type AssistantHead struct {
	ID AssistantID `json:"id"`
	// Latest is the highest version there is, Published the one that answers; 0 for
	// none. Draft is the version being written, 0 for none.
	Latest    int `json:"latest"`
	Published int `json:"published"`
	Draft     int `json:"draft,omitempty"`
	// Channels are those it answers on; of DefaultAssistant none, which answers on the
	// others.
	Channels []ChannelID `json:"channels,omitempty"`
	// Past are the versions that were published, oldest first, at most 50.
	Past []Publication `json:"past,omitempty"`
}

// Ref names the version that answers.
func (h *AssistantHead) Ref() AssistantRef { return RefOf(h.ID, h.Published) }

// Publication is a version having been put to work.
type Publication struct {
	Version int       `json:"version"`
	At      time.Time `json:"at"`
	By      string    `json:"by,omitempty"`
}

// Hours are weekly opening times in a time zone.
type Hours struct {
	// Zone is an IANA name, such as "Europe/Berlin".
	Zone string `json:"zone"`
	// Open lists spans; a span belongs to the day it begins on.
	Open []OpenSpan `json:"open"`
}

// OpenSpan is from From until To on a weekday, in minutes since midnight. To above
// 24 h goes on into the next day.
type OpenSpan struct {
	Day  time.Weekday `json:"day"`
	From int          `json:"from_minute"`
	To   int          `json:"to_minute"`
}

// ModelRef names a model of a provider; an empty provider is that of the
// configuration.
type ModelRef struct {
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model"`
}

// TurnLimits bound one turn. Zero takes the default.
type TurnLimits struct {
	// Steps bounds model answers, Tools tool calls.
	Steps int `json:"steps,omitempty"`
	Tools int `json:"tool_calls,omitempty"`
	// OutTokens bounds each model answer, PromptTokens what is shown to the model.
	OutTokens    int64 `json:"output_tokens,omitempty"`
	PromptTokens int64 `json:"prompt_tokens,omitempty"`
	// Cost bounds the money of the turn.
	Cost Money `json:"cost,omitempty"`
	// Time bounds the turn from its first call.
	Time time.Duration `json:"time,omitempty"`
}
