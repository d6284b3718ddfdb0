package metasim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"unicode/utf8"
)

// Limits of what a business may send.
const (
	WhatsAppTextMax  = 4096 // characters
	InstagramTextMax = 1000 // bytes
	CallbackMax      = 512  // characters of biz_opaque_callback_data
	requestMax       = 1 << 20
)

// request is a well-formed request to an account's messages edge: a message, or a
// sign (read, typing) without one.
type request struct {
	to, callback string
	// kind is the type of the message, text what the phone shows of it.
	kind, text string
	// input is the recipient as the client wrote it.
	input string
	// userID is set when the recipient was given as a business-scoped user id.
	userID bool
	// sign is "" for a message, else "read", "typing" or "typing_off".
	sign string
	// human is true when a person is said to have written it, on Instagram.
	human bool
	// comment is set when the recipient was given as the comment they wrote.
	comment bool
	// about is the message a read or typing sign is about, on WhatsApp.
	about string
}

// The signs a business can give without a message.
const (
	signRead      = "read"
	signTyping    = "typing"
	signTypingOff = "typing_off"
)

// shown is what a phone shows of a message of some type: its words, or where it
// has none the type in brackets.
func shown(kind, words string) string {
	if words == "" {
		return "[" + kind + "]"
	}
	return words
}

// decodeStrict refuses what Meta would refuse or silently ignore: both are
// mistakes of the client.
func decodeStrict(body []byte, into any) *graphError {
	if !utf8.Valid(body) {
		return badParameter("The body is not valid UTF-8.")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return badParameter("The body is not a valid request: " + err.Error())
	}
	if _, err := dec.Token(); err != io.EOF {
		return badParameter("The body is more than one JSON value.")
	}
	return nil
}

func digits(s string, min, max int) bool {
	if len(s) < min || len(s) > max {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// length checks the characters of a value that must be there.
func length(name, value string, max int) *graphError {
	if value == "" {
		return badParameter(fmt.Sprintf("The parameter %s is required.", name))
	}
	return atMost(name, value, max)
}

// atMost checks the characters of a value that may be absent.
func atMost(name, value string, max int) *graphError {
	if n := utf8.RuneCountInString(value); n > max {
		return badParameter(fmt.Sprintf("Param %s must be at most %d characters long, it has %d.", name, max, n))
	}
	return nil
}

// count checks how many items a list has.
func count(name string, n, min, max int) *graphError {
	if n < min || n > max {
		return badParameter(fmt.Sprintf("Param %s must have %d to %d items, it has %d.", name, min, max, n))
	}
	return nil
}

// webLink checks the address of something on the web.
func webLink(name, link string) *graphError {
	u, err := url.Parse(link)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return badParameter("Param " + name + " is not a valid URL.")
	}
	return nil
}

// first is the first refusal.
func first(list ...*graphError) *graphError {
	for _, e := range list {
		if e != nil {
			return e
		}
	}
	return nil
}
