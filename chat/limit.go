package chat

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Types of messages of the business, in Meta's words where it has one. On WhatsApp
// all but the last five, on Instagram text, image, video, audio, reaction and the
// last five.
const (
	TypeImage           = "image"
	TypeVideo           = "video"
	TypeAudio           = "audio"
	TypeDocument        = "document"
	TypeSticker         = "sticker"
	TypeLocation        = "location"
	TypeContacts        = "contacts"
	TypeReaction        = "reaction"
	TypeInteractive     = "interactive"
	TypeTemplate        = "template"
	TypePin             = "pin"
	TypeFile            = "file"
	TypeLikeHeart       = "like_heart"
	TypeMediaShare      = "media_share"
	TypeGenericTemplate = "generic_template"
	TypeButtonTemplate  = "button_template"
)

// MediaVoice is the Media.Kind of an audio that is a voice note.
const MediaVoice = "voice"

// Limits that both products share.
const (
	// mediaIDMax bounds the digits of an uploaded file's id. Meta's have 15 to 17.
	mediaIDMax = 32
	// linkMax is the longest URL: Meta names 2,000 for buttons of templates.
	linkMax = 2000
	// remoteIDMax is the longest wamid or mid that is taken.
	remoteIDMax = 512
)

// LimitError says which part of a message a channel would not take, and why.
type LimitError struct {
	// Param is the path of the part in the request, such as
	// interactive.action.buttons[1].reply.title.
	Param string
	// Code is a word: parameter_missing, parameter_invalid, parameter_too_long,
	// parameter_too_many, text_too_long or type_not_supported.
	Code string
	// Message says it to people. It holds nothing of the message.
	Message string
}

// Error returns the message.
func (e *LimitError) Error() string { return e.Message }

// Check reports the first part of a message of the business that a channel of this
// kind would refuse; nil when it would take it all. It knows every documented limit
// and nothing of windows, templates that exist, or people. Nothing is queued that
// does not pass, and nothing leaves.
func Check(kind ChannelKind, m *Message) *LimitError {
	c := checker{}
	switch kind {
	case WhatsApp:
		c.whatsApp(m)
	case Instagram:
		c.instagram(m)
	default:
		c.fail("type", "type_not_supported", "The channel takes no messages.")
	}
	return c.err
}

// checker keeps the first thing that is wrong.
type checker struct{ err *LimitError }

func (c *checker) fail(param, code, format string, args ...any) {
	if c.err == nil {
		c.err = &LimitError{Param: param, Code: code, Message: fmt.Sprintf(format, args...)}
	}
}

func (c *checker) missing(param string) {
	c.fail(param, "parameter_missing", "%s is required.", param)
}

func (c *checker) invalid(param, format string, args ...any) {
	c.fail(param, "parameter_invalid", param+" "+format, args...)
}

// needed checks a text that must be there, of at most max characters.
func (c *checker) needed(param, value string, max int) {
	if strings.TrimSpace(value) == "" {
		c.missing(param)
		return
	}
	c.atMost(param, value, max)
}

// atMost checks a text that may be absent, of at most max characters.
func (c *checker) atMost(param, value string, max int) {
	if !utf8.ValidString(value) {
		c.invalid(param, "must be valid UTF-8.")
		return
	}
	if len(value) <= max {
		return
	}
	if n := utf8.RuneCountInString(value); n > max {
		c.fail(param, "parameter_too_long", "%s must be at most %d characters long; it has %d.", param, max, n)
	}
}

// count checks how many items a list has.
func (c *checker) count(param string, n, min, max int) {
	switch {
	case n == 0 && min > 0:
		c.missing(param)
	case n < min:
		c.invalid(param, "must have at least %d items.", min)
	case n > max:
		c.fail(param, "parameter_too_many", "%s must have at most %d items; it has %d.", param, max, n)
	}
}

// oneOf checks a word.
func (c *checker) oneOf(param, value string, words ...string) {
	if value == "" {
		c.missing(param)
		return
	}
	for _, w := range words {
		if value == w {
			return
		}
	}
	c.invalid(param, "must be one of: %s.", strings.Join(words, ", "))
}

// link checks the address of something on the web.
func (c *checker) link(param, value string) {
	if value == "" {
		c.missing(param)
		return
	}
	if !webAddress(value) {
		c.invalid(param, "must be an http or https URL.")
		return
	}
	c.atMost(param, value, linkMax)
}

// webAddress reports whether s is an http or https URL with a host.
func webAddress(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(s, "http://"); !ok {
			return false
		}
	}
	host, _, _ := strings.Cut(rest, "/")
	if host == "" || strings.ContainsAny(host[:1], ":?#@") {
		return false
	}
	for i := range len(s) {
		switch b := s[i]; {
		case b <= ' ' || b == 0x7F || strings.IndexByte("\"<>\\^`{|}", b) >= 0:
			return false
		case b == '%' && (i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2])):
			return false
		}
	}
	return true
}

func isHex(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F'
}

// remote checks a wamid or mid.
func (c *checker) remote(param string, id RemoteID) { c.needed(param, string(id), remoteIDMax) }

// absent refuses a part that this kind of message does not take.
func (c *checker) absent(param string, there bool, why string) {
	if there {
		c.invalid(param, "is not taken: %s.", why)
	}
}

// file checks where a file is.
func (c *checker) file(param string, f *File) {
	if f == nil {
		c.missing(param)
		return
	}
	c.source(param, f.ID, f.Link, f.Blob)
}

func (c *checker) source(param, id, link, blob string) {
	n := 0
	for _, s := range [...]string{id, link, blob} {
		if s != "" {
			n++
		}
	}
	switch {
	case n != 1:
		c.invalid(param, "takes exactly one of id, link and blob.")
	case link != "":
		c.link(param+".link", link)
	case id != "" && !digits(id, mediaIDMax):
		c.invalid(param+".id", "must be the id of an uploaded file: digits.")
	}
}

// oneFile is the only file of a message.
func (c *checker) oneFile(param string, list []Media) *Media {
	if len(list) != 1 {
		c.count(param, len(list), 1, 1)
		return &Media{}
	}
	m := &list[0]
	c.source(param, m.ID, m.URL, m.Blob)
	return m
}

func digits(s string, max int) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= max
}

// What a message without them holds. Never written to.
var (
	noContent Content
	noOffer   Offer
)

// content is what a message holds, never nil.
func content(m *Message) *Content {
	if m.Content != nil {
		return m.Content
	}
	return &noContent
}

// offer is the offer of a message, never nil.
func offer(m *Message) *Offer {
	if m.Content != nil && m.Content.Offer != nil {
		return m.Content.Offer
	}
	return &noOffer
}
