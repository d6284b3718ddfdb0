package chat

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// ChannelState is what the engine knows of a channel beyond its configuration:
// its standing at Meta, its token, when it was last heard of. It is a document of
// the tenant, changed by tenant-level commits alone. News about a WABA changes the
// document of each of its channels: who asks whether a channel may send looks at one.
type ChannelState struct {
	Channel ChannelID `json:"channel_id"`
	// Restricted says that Meta refuses sends, in a word; RestrictedUntil when that
	// ends, zero when nobody said.
	Restricted      string    `json:"restricted,omitempty"`
	RestrictedUntil time.Time `json:"restricted_until,omitzero"`
	// StandingAt is when Meta wrote the latest word about a restriction: webhooks
	// come in any order.
	StandingAt time.Time `json:"standing_at,omitzero"`
	// Disconnected is when the channel was given up; zero for one in use. Its truth is
	// the channel's: whoever reads the document takes it from there.
	Disconnected time.Time `json:"disconnected_at,omitzero"`
	// Reauth says that the token is refused: sends are held until there is another.
	Reauth string `json:"reauth_required,omitempty"`
	// TokenDigest says which token Reauth and the facts below are about.
	TokenDigest string `json:"token_digest,omitempty"`
	// Token facts: its scopes, its beginning (at the latest when it was first used
	// here) and its end, zero for one that does not end or does not say.
	TokenScopes  []string  `json:"token_scopes,omitempty"`
	TokenIssued  time.Time `json:"token_issued_at,omitzero"`
	TokenExpires time.Time `json:"token_expires,omitzero"`
	// RefreshFailed is when a refresh of the token last failed; zero once one works.
	RefreshFailed time.Time `json:"token_refresh_failed_at,omitzero"`
	// Quality, Tier and PerSecond are as in Standing; Portfolio is the business that
	// shares the tier.
	Quality   string `json:"quality,omitempty"`
	Tier      string `json:"tier,omitempty"`
	PerSecond int    `json:"messages_per_second,omitempty"`
	Portfolio string `json:"portfolio_id,omitempty"`
	// Name and Number are what customers see: verified name and display number, or
	// the Instagram user name.
	Name   string `json:"name,omitempty"`
	Number string `json:"number,omitempty"`
	// NumberStatus and NameStatus are Meta's words: CONNECTED, APPROVED, ...
	NumberStatus string `json:"number_status,omitempty"`
	NameStatus   string `json:"name_status,omitempty"`
	// Health is AVAILABLE, LIMITED or BLOCKED, as Meta judged at Checked.
	Health string `json:"health,omitempty"`
	// Subscribed is true once Meta was told to post this account's webhooks.
	Subscribed bool `json:"subscribed,omitempty"`
	// Alert is the latest line Meta wrote about the account.
	Alert string `json:"alert,omitempty"`
	// Heard is when a webhook of this account last came in, to the hour.
	Heard time.Time `json:"last_webhook_at,omitzero"`
	// TemplatesSynced is when the templates of the WABA were last fetched, on the
	// first of its channels; TemplatesStale says that one of them changed since.
	TemplatesSynced time.Time `json:"templates_synced_at,omitzero"`
	TemplatesStale  bool      `json:"templates_stale,omitempty"`
	// Checked is when Meta was last asked, Changed when anything here changed.
	Checked time.Time `json:"checked_at,omitzero"`
	Changed time.Time `json:"changed_at,omitzero"`
}

// Sending reports whether sends may leave at now, and why not.
func (s *ChannelState) Sending(now time.Time) (held string) {
	switch {
	case !s.Disconnected.IsZero():
		return "disconnected"
	case s.Reauth != "":
		return "reauth_required"
	case s.Restricted != "" && (s.RestrictedUntil.IsZero() || now.Before(s.RestrictedUntil)):
		return "restricted"
	}
	return ""
}

// With is the state under the token the channel has: what is known of an earlier
// token says nothing about this one.
func (s ChannelState) With(token Secret) ChannelState {
	if s.TokenDigest == "" || s.TokenDigest == TokenDigest(token) {
		return s
	}
	s.Reauth, s.TokenDigest, s.TokenScopes = "", "", nil
	s.TokenIssued, s.TokenExpires, s.RefreshFailed = time.Time{}, time.Time{}, time.Time{}
	return s
}

// TokenDigest tells tokens apart without holding them.
func TokenDigest(token Secret) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:8])
}

// Template is a message Meta has approved for use outside the window. It is a
// document of the tenant, per WABA, name and language.
type Template struct {
	ID       string `json:"id"`
	WABA     string `json:"waba_id"`
	Name     string `json:"name"`
	Language string `json:"language"`
	Category string `json:"category,omitempty"`
	// Status is Meta's word; only APPROVED ones are sent.
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Quality string `json:"quality,omitempty"`
	// Named is true when parameters are named and not numbered.
	Named      bool                `json:"named_parameters,omitempty"`
	Components []TemplateComponent `json:"components,omitempty"`
	// Stale says that components changed at Meta since they were fetched.
	Stale   bool      `json:"stale,omitempty"`
	Fetched time.Time `json:"fetched_at,omitzero"`
}

// TemplateComponent is a part of a template as Meta stores it.
type TemplateComponent struct {
	// Type is HEADER, BODY, FOOTER or BUTTONS.
	Type string `json:"type"`
	// Format is of a header: TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION.
	Format  string           `json:"format,omitempty"`
	Text    string           `json:"text,omitempty"`
	Buttons []TemplateButton `json:"buttons,omitempty"`
}

// TemplateButton is one button of a template.
type TemplateButton struct {
	Type string `json:"type"` // QUICK_REPLY, URL, PHONE_NUMBER, COPY_CODE, FLOW, ...
	Text string `json:"text,omitempty"`
	URL  string `json:"url,omitempty"`
}

// Doc is a small document of a tenant outside its journals: the state of a
// channel, a template. It is sealed with the tenant's key. The latest one counts;
// writers of one noun are serialized by whoever owns it.
type Doc struct {
	Noun DocNoun
	// ID tells it from others of its noun.
	ID string
	// Value is its JSON; nil deletes it.
	Value []byte
}

// DocNoun is a kind of document. Stored; values never change.
type DocNoun byte

// The nouns of documents.
const (
	DocChannel  DocNoun = 'c' // ChannelState, by channel id
	DocTemplate DocNoun = 't' // Template, by WABA, name and language
	DocFiles    DocNoun = 'b' // MessageFiles, by message id
	DocUpload   DocNoun = 'u' // Upload, by the owner of its BlobID
	DocSettings DocNoun = 's' // ChannelSettings, by channel id

	DocAssistant DocNoun = 'a' // AssistantHead, by AssistantID
	DocVersion   DocNoun = 'v' // Assistant, by AssistantRef
	DocTool      DocNoun = 'o' // Tool, by name
	DocCatalog   DocNoun = 'i' // CatalogItem, by id

	DocSource  DocNoun = 'n' // Source, by SourceID; KnowledgeHead by the empty id
	DocChunk   DocNoun = 'k' // Chunk, by its Key
	DocVectors DocNoun = 'w' // VectorBatch, by its Key
)

// TemplateKey is the id of a template's document.
func TemplateKey(waba, name, language string) string { return waba + "/" + name + "/" + language }

// DocOf names the document that an update is news about. ok is false for an
// update that is news about none. News about a WABA as a whole concerns the
// document of each of its channels; this is the first of them.
func DocOf(in *Inbound, ch ChannelID) (noun DocNoun, id string, ok bool) {
	switch c := in.Content; {
	case c == nil:
		return 0, "", false
	case c.Standing != nil:
		return DocChannel, string(ch), true
	case c.Template != nil && c.Template.Name != "":
		return DocTemplate, TemplateKey(in.WABA, c.Template.Name, c.Template.Language), true
	case c.Template != nil:
		return DocChannel, string(ch), true // which one it is shows when they are fetched
	}
	return 0, "", false
}

// MediaRecord is what became of one file of a message: fetched and kept, or not
// to be had. At is the event it belongs to.
type MediaRecord struct {
	// Message and Index say which file of which message.
	Message MessageID `json:"message_id"`
	Index   int       `json:"index"`
	// Blob names the stored file; empty when it failed.
	Blob string `json:"blob,omitempty"`
	// Size is in bytes, SHA256 of the plain file in hex.
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	MIME   string `json:"mime_type,omitempty"`
	// Filename is the customer's; to be sanitised where it is used as one.
	Filename string `json:"filename,omitempty"`
	// Key opens the blob; never shown.
	Key []byte `json:"key,omitempty"`
	// Transcript is what is heard in it, of MediaTranscribed.
	Transcript string `json:"transcript,omitempty"`
	// Used is what that took; nil in other kinds.
	Used *Spend `json:"used,omitempty"`
	// Reason says why it failed.
	Reason string `json:"reason,omitempty"`
}
