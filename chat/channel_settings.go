package chat

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of ChannelSettings.
const (
	// KeywordsMax and KeywordMax bound the words that a comment must have one of.
	KeywordsMax = 50
	KeywordMax  = 100
)

// ChannelSettings is what a business decides about one of its channels while the
// engine runs. It is a document of the tenant with a version: who changes it names the
// version that they have seen, and each change is an event that says who made it.
type ChannelSettings struct {
	Channel ChannelID `json:"channel_id"`
	// Version counts changes; 0 is of a channel that nobody has set anything for.
	Version int64 `json:"version"`
	// Changed is when, and By the public id of the API key that set it.
	Changed  time.Time        `json:"changed_at,omitzero"`
	By       string           `json:"changed_by,omitempty"`
	Comments *CommentSettings `json:"comments,omitempty"`
	// Greeting is instead of Settings.Greeting; empty for no greeting, nil for that one.
	Greeting *string `json:"greeting,omitempty"`
}

// CommentSettings is what follows from a comment on Instagram.
type CommentSettings struct {
	PrivateReply *PrivateReply `json:"private_reply,omitempty"`
}

// PrivateReply is the message that who wrote a comment gets, once for each comment.
type PrivateReply struct {
	Enabled bool   `json:"enabled"`
	Text    string `json:"text"`
	// Keywords, when there are any, are words of which the comment must have one.
	Keywords []string `json:"only_keywords,omitempty"`
}

// Check reports the first part of the settings that a channel of this kind cannot
// have; nil when it can have all.
func (s *ChannelSettings) Check(kind ChannelKind) *LimitError {
	c := checker{}
	if s.Version < 0 {
		c.invalid("version", "must be that of the settings you have read.")
	}
	if s.Greeting != nil {
		c.absent("greeting", kind != WhatsApp, "only WhatsApp tells that a customer opened the chat")
		c.words("greeting", kind, *s.Greeting)
	}
	if s.Comments == nil {
		return c.err
	}
	c.absent("comments", kind != Instagram, "only Instagram has comments")
	if r := s.Comments.PrivateReply; r != nil {
		const at = "comments.private_reply."
		if r.Enabled && strings.TrimSpace(r.Text) == "" {
			c.missing(at + "text")
		}
		c.words(at+"text", kind, r.Text)
		if len(r.Keywords) > KeywordsMax {
			c.fail(at+"only_keywords", "parameter_too_many", "At most %d keywords.", KeywordsMax)
		}
		for i, k := range r.Keywords {
			c.needed(at+"only_keywords["+strconv.Itoa(i)+"]", k, KeywordMax)
		}
	}
	return c.err
}

// words checks a text that may be absent and must fit into one message.
func (c *checker) words(param string, kind ChannelKind, text string) {
	if text == "" {
		return
	}
	if wrong := Check(kind, &Message{Type: TypeText, Text: text}); wrong != nil {
		c.fail(param, wrong.Code, "%s", wrong.Message)
	}
}

// SettingsChange replaces the settings of a channel. It belongs to no conversation.
type SettingsChange struct {
	// Settings has the version that was seen; Changed is not read.
	Settings ChannelSettings
}

func (SettingsChange) fact() {}

func (p *step) settingsChange(f SettingsChange) {
	was := p.custom()
	next := f.Settings
	same := was
	same.Version, same.Changed = next.Version, next.Changed
	switch {
	case was.Version == next.Version+1 && reflect.DeepEqual(same, next):
		p.duplicate() // the answer to it was lost
		return
	case was.Version != next.Version:
		p.refuse("settings_changed")
		return
	}
	next.Version, next.Changed = next.Version+1, p.now
	told := next
	p.emit(Event{Kind: SettingsChanged, Settings: &told})
	p.d.Events[len(p.d.Events)-1].Channel = next.Channel
	p.putDoc(Doc{Noun: DocSettings, ID: string(next.Channel)}, &next)
}

// SettingsOf reads the settings of a channel from its document, which may have no value.
func SettingsOf(d Doc) (s ChannelSettings) {
	if d.Noun != DocSettings || d.Value == nil || json.Unmarshal(d.Value, &s) != nil {
		s = ChannelSettings{}
	}
	s.Channel = ChannelID(d.ID)
	return s
}

// NeedsSettings reports whether Step must know the channel's settings to decide about
// an update.
func NeedsSettings(in *Inbound) bool {
	return in.Type == typeWelcome || in.comment() != nil
}

// typeWelcome is the type of the message that says that a customer opened the chat.
const typeWelcome = "request_welcome"

// comment is the comment that an update brings; nil for none. A mention brings none: it
// stands below what is not the business's.
func (in *Inbound) comment() *Comment {
	if in.Content == nil || in.Content.Comment == nil || in.Content.Comment.ID == "" || in.Content.Comment.Mention {
		return nil
	}
	return in.Content.Comment
}

// custom is what the business has set for the channel.
func (p *step) custom() ChannelSettings {
	for _, d := range p.in.Known.Docs {
		if d.Noun == DocSettings {
			return SettingsOf(d)
		}
	}
	return ChannelSettings{}
}

// replyPrivately answers a comment in private, when the business has set that: once,
// while Meta takes it, and not while a person holds the conversation. It is queued in the
// commit that makes the comment known: a comment that is known gets none.
func (p *step) replyPrivately(f *Inbound) {
	c := f.comment()
	if c == nil || p.c.ID == "" || p.in.Known.Replied || p.c.Holder == HolderMember || p.c.Owing() >= OutboxMax {
		return
	}
	set := p.custom().Comments
	if set == nil || set.PrivateReply == nil || !set.PrivateReply.Enabled || !set.PrivateReply.wants(c.Text) {
		return
	}
	until := c.until(f.Time, p.now)
	if p.closed(PassComment, until) != "" {
		return
	}
	id := p.queueUntil(Message{Author: AuthorEngine, Text: set.PrivateReply.Text, Class: AtMostOnce,
		Content: &Content{Offer: &Offer{Comment: c.ID}}}, until)
	p.claimReply(c.ID, id)
}

// wants reports whether a comment has one of the keywords, where there are any: whole
// words, in any case.
func (r *PrivateReply) wants(text string) bool {
	if len(r.Keywords) == 0 {
		return true
	}
	for _, k := range r.Keywords {
		if hasWord(strings.ToLower(text), strings.ToLower(strings.TrimSpace(k))) {
			return true
		}
	}
	return false
}

// hasWord reports whether word stands in text between what are no letters or digits.
func hasWord(text, word string) bool {
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	for rest := text; word != ""; {
		at := strings.Index(rest, word)
		if at < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(rest[:at])
		after, _ := utf8.DecodeRuneInString(rest[at+len(word):])
		if !inWord(before) && !inWord(after) {
			return true
		}
		_, n := utf8.DecodeRuneInString(rest[at:])
		rest = rest[at+n:]
	}
	return false
}
