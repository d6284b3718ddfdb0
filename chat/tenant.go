package chat

import "time"

// ChannelKind tells WhatsApp from Instagram. Stored; values never change.
type ChannelKind uint8

// The channel kinds.
const (
	WhatsApp  ChannelKind = 1
	Instagram ChannelKind = 2
)

// String returns the word used in configuration and the API.
func (k ChannelKind) String() string {
	switch k {
	case WhatsApp:
		return "whatsapp"
	case Instagram:
		return "instagram"
	}
	return "unknown"
}

// ParseChannelKind is the inverse of String.
func ParseChannelKind(s string) (ChannelKind, bool) {
	switch s {
	case "whatsapp":
		return WhatsApp, true
	case "instagram":
		return Instagram, true
	}
	return 0, false
}

// Secret is a credential in memory. Every way of printing it gives
// "[redacted]"; call Reveal where the bytes themselves are needed.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return "[redacted]" }

// MarshalText hides the secret from JSON, YAML and slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// App is a Meta app: the secrets that sign its webhooks and the tokens of its
// subscription handshakes.
type App struct {
	ID AppID
	// Secrets holds one or two app secrets, the current one first; two are valid
	// during a rotation.
	Secrets []Secret
	// VerifyTokens are those that a subscription handshake may name, the first one
	// first: a WABA or a number whose callback is overridden has its own.
	VerifyTokens []Secret
	// MetaID is the app's id at Meta, needed to exchange the code of an embedded
	// signup and to know what Meta says of the app itself; empty when nobody gave it.
	MetaID string
	// InstagramID and InstagramSecret are the second pair of an app with Instagram
	// Login; empty when it has none. Webhooks signed with that secret count too:
	// Meta does not say which one it uses.
	InstagramID     string
	InstagramSecret Secret
	// Declared is a digest of the secrets that a declaration last gave, empty for
	// none: a repetition of it does not undo a rotation made since. DeclaredRest is
	// that of all else.
	Declared, DeclaredRest string
}

// AppSettings changes an app beyond its secrets. Nil members change nothing.
type AppSettings struct {
	MetaID          *string
	InstagramID     *string
	InstagramSecret *Secret
}

// Signing lists every secret that may sign the app's webhooks.
func (a *App) Signing() []Secret {
	if a.InstagramSecret == "" {
		return a.Secrets
	}
	return append(a.Secrets[:len(a.Secrets):len(a.Secrets)], a.InstagramSecret)
}

// AtMeta lists the ids by which Meta names the app; nil while the app's own is not
// known, because nothing follows then from an id that is not among them.
func (a *App) AtMeta() []string {
	switch {
	case a.MetaID == "":
		return nil
	case a.InstagramID == "":
		return []string{a.MetaID}
	}
	return []string{a.MetaID, a.InstagramID}
}

// Connection is what somebody gives to connect an account to a tenant.
type Connection struct {
	// ID is the new channel's; empty makes one of the account.
	ID   ChannelID
	App  AppID
	Kind ChannelKind
	// Code is of a login and lives 30 s, or an hour on Instagram; or Token is given.
	Code        string
	RedirectURI string
	Token       Secret
	// WABA and Account name a WhatsApp number; an Instagram account is told by the
	// token itself.
	WABA, Account string
	// PIN registers the number; six digits, or empty for a number that is registered.
	PIN string
}

// Leftover is something that disconnecting a channel left as it was at Meta.
type Leftover struct {
	// What is subscription (the account's webhooks are posted) or registration (the
	// number is registered for the Cloud API).
	What string `json:"what"`
	// Reason is in a word why: Meta's refusal, or shared_waba.
	Reason string `json:"reason"`
}

// BusinessProfile is what customers see of a number. Nil members say nothing.
type BusinessProfile struct {
	About       *string   `json:"about,omitempty"`
	Address     *string   `json:"address,omitempty"`
	Description *string   `json:"description,omitempty"`
	Email       *string   `json:"email,omitempty"`
	Vertical    *string   `json:"vertical,omitempty"`
	Websites    *[]string `json:"websites,omitempty"`
	// Picture is the logo's address at Meta, short-lived and read only.
	Picture string `json:"picture_url,omitempty"`
}

// Tenant is a business.
type Tenant struct {
	ID   TenantID
	Name string
}

// Channel is one business endpoint of a tenant.
type Channel struct {
	ID     ChannelID
	Tenant TenantID
	App    AppID
	Kind   ChannelKind
	// Account is the id Meta routes by: phone_number_id or Instagram account id.
	Account string
	// WABA is the WhatsApp Business Account that owns the number; empty on Instagram.
	WABA string
	// Token is the Graph access token; empty when the channel is disconnected.
	Token Secret
	// Disconnected is when the channel was given up, zero for one in use: its account
	// is nobody's then, and another channel may have it.
	Disconnected Millis
	// Simulated is true for a channel that is served by the built-in simulator.
	Simulated bool
	// Declared is the digest of the token that a declaration last gave, empty for
	// none: a repetition of it does not undo a newer token.
	Declared string
}

// Settings is what decisions depend on besides the conversation: the tenant's
// and the engine's configuration, resolved by the shell. All durations are
// positive after EnsureDefaults.
type Settings struct {
	// Assistant is true when a model may answer for this tenant. When false,
	// customer messages are handed to people.
	Assistant bool
	// Simulated marks answers as coming from the built-in model simulator.
	Simulated bool
	// Typing shows customers that an answer is being written, while it is.
	Typing bool
	// QuietPeriod is how long a customer must pause before a turn starts.
	QuietPeriod time.Duration
	// RestartMax and RestartWindow bound how often and how long newer messages
	// may restart a turn, counted from the first unanswered message.
	RestartMax    int
	RestartWindow time.Duration
	// TurnTimeout bounds one model call.
	TurnTimeout time.Duration
	// ModelTryMax bounds model calls per turn.
	ModelTryMax int
	// SilenceDeadline is the longest a customer may wait without an answer, an
	// apology or a handoff.
	SilenceDeadline time.Duration
	// ReconcileAfter is how long an ambiguous send waits for a status or echo.
	ReconcileAfter time.Duration
	// AttemptMax bounds attempts of one send.
	AttemptMax int
	// EchoPause is how long the assistant stays silent after a person of the
	// business wrote from another app.
	EchoPause time.Duration
	// VolleyMax bounds Volley.Spent: a chat that spends more is handed to people.
	VolleyMax uint16
	// WhatsAppClass and InstagramClass say what to do with an ambiguous
	// ordinary reply after ReconcileAfter.
	WhatsAppClass, InstagramClass Class
	// TurnsPerDayMax is the tenant's daily limit of turns; 0 means no limit.
	TurnsPerDayMax int64
	// Apology is sent when the assistant cannot answer in time.
	Apology string
	// Handover is sent when the assistant gives the conversation to people and says
	// nothing itself.
	Handover string
	// Instructions is the assistant's system prompt for this tenant.
	Instructions string
	// Greeting is sent to a customer who opens the chat for the first time; empty
	// for no greeting.
	Greeting string
	// IgnoreGroups drops what is written in groups instead of storing it.
	IgnoreGroups bool
	// Profile is the assistant that answers here, with the variant of the channel; nil
	// for the configuration's. It is what a turn that begins now uses.
	Profile *Assistant
	// Zone is that of Profile's hours, nil when it has none.
	Zone *time.Location
	// Tools are those that Profile grants, by name.
	Tools map[string]Tool
	// CallCost is the most that one model call of Profile costs.
	CallCost CallCost
	// Budget bounds the money of the tenant's calendar month (UTC); 0 for no bound.
	// BudgetSoft is where the team is told.
	Budget, BudgetSoft Money
	// Broke says what follows when the budget is used up.
	Broke BudgetFallback
}

// CallCost is the most that a model call costs, in its two parts.
type CallCost struct{ Prompt, Output Money }

// BudgetFallback is what customers get when the budget is used up.
type BudgetFallback string

// The fallbacks. Both hand the conversation to people; the first says so with the
// apology.
const (
	BrokeApology BudgetFallback = "apology"
	BrokeHandoff BudgetFallback = "handoff"
)

// The defaults of Settings.
const (
	DefaultQuietPeriod     = 2 * time.Second
	DefaultRestartMax      = 3
	DefaultRestartWindow   = 15 * time.Second
	DefaultTurnTimeout     = 45 * time.Second
	DefaultModelTryMax     = 3
	DefaultSilenceDeadline = 3 * time.Minute
	DefaultReconcileAfter  = 60 * time.Second
	DefaultAttemptMax      = 8
	DefaultEchoPause       = time.Hour
	DefaultVolleyMax       = 1200
	DefaultApology         = "Sorry, I could not answer that just now. A colleague will get back to you."
	DefaultHandover        = "I am passing you on to a colleague, who will answer you here."
	DefaultInstructions    = "You are the assistant of a business. Answer the customer briefly, in the customer's language, and only about this business."
)

// EnsureDefaults fills every unset field.
func (s *Settings) EnsureDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&s.QuietPeriod, DefaultQuietPeriod)
	def(&s.RestartWindow, DefaultRestartWindow)
	def(&s.TurnTimeout, DefaultTurnTimeout)
	def(&s.SilenceDeadline, DefaultSilenceDeadline)
	def(&s.ReconcileAfter, DefaultReconcileAfter)
	def(&s.EchoPause, DefaultEchoPause)
	if s.RestartMax <= 0 {
		s.RestartMax = DefaultRestartMax
	}
	if s.ModelTryMax <= 0 {
		s.ModelTryMax = DefaultModelTryMax
	}
	if s.AttemptMax <= 0 {
		s.AttemptMax = DefaultAttemptMax
	}
	if s.VolleyMax == 0 {
		s.VolleyMax = DefaultVolleyMax
	}
	if s.WhatsAppClass == 0 {
		s.WhatsAppClass = AtLeastOnce
	}
	if s.InstagramClass == 0 {
		s.InstagramClass = AtMostOnce
	}
	if s.Apology == "" {
		s.Apology = DefaultApology
	}
	if s.Handover == "" {
		s.Handover = DefaultHandover
	}
	if s.Instructions == "" {
		s.Instructions = DefaultInstructions
	}
}

// ClassOf is the send class of an ordinary reply on a channel.
func (s *Settings) ClassOf(k ChannelKind) Class {
	if k == Instagram {
		return s.InstagramClass
	}
	return s.WhatsAppClass
}

// Class is the policy for an ambiguous send. Stored; values never change.
type Class uint8

// The classes. AtLeastOnce is sent again after reconciliation failed;
// AtMostOnce is left as unknown and shown to the team.
const (
	AtLeastOnce Class = 1
	AtMostOnce  Class = 2
)

// String returns the API word.
func (c Class) String() string {
	if c == AtMostOnce {
		return "at_most_once"
	}
	return "at_least_once"
}

// Principal is who an API request acts as.
type Principal struct {
	Tenant TenantID
	// Key is the public id of the API key.
	Key string
	// Scopes holds "*" or permission words.
	Scopes []string
}

// ContactView is a person as the API shows it: a contact, those linked with it,
// nearest first, and the conversations with all of them.
type ContactView struct {
	Contact       Contact
	Linked        []Contact
	Conversations []ConversationView
}

// ConversationView is one conversation as lists show it.
type ConversationView struct {
	State   Conversation
	Contact Contact
}

// SendView is a send whose end is not known, as lists show it.
type SendView struct {
	Conversation ConversationID
	Channel      ChannelID
	Entry        OutboxEntry
	// Queued is when it was queued.
	Queued time.Time
}
