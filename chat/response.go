package chat

import (
	"encoding/json"
	"io"
	"math"
	"slices"
	"strings"
	"unicode"
)

// Sentiments are the words of Response.Sentiment.
var Sentiments = []string{"positive", "neutral", "negative"}

// ResponseSchema is the JSON schema of Response, as models are asked for it: every
// property is required and no other is allowed, which strict servers insist on.
const ResponseSchema = `{"type":"object","additionalProperties":false,` +
	`"required":["messages","intent","sentiment","language","confidence","handoff","note","sources"],` +
	`"properties":{` +
	`"messages":{"type":"array","items":{"type":"string"},"description":"What the customer gets, in order; usually one message."},` +
	`"intent":{"type":"string","description":"What the customer wants, in at most five words."},` +
	`"sentiment":{"type":"string","enum":["positive","neutral","negative"],"description":"The customer's mood."},` +
	`"language":{"type":"string","description":"The language of the messages, as a BCP 47 tag."},` +
	`"confidence":{"type":"number","description":"From 0 to 1: how sure you are that the messages are right."},` +
	`"handoff":{"type":"string","description":"Why a person should take over; empty when none has to."},` +
	`"note":{"type":"string","description":"What that person should know; empty without a handoff."},` +
	`"sources":{"type":"array","items":{"type":"string"},"description":"Ids of the passages that the messages rest on."}}}`

// Response is what a model says to a customer, with what it makes of the talk.
type Response struct {
	// Messages go to the customer, in order.
	Messages []string `json:"messages"`
	// Intent is a short phrase, Sentiment one of Sentiments, Language a BCP 47 tag.
	Intent    string `json:"intent"`
	Sentiment string `json:"sentiment"`
	Language  string `json:"language"`
	// Confidence is from 0 to 1.
	Confidence float64 `json:"confidence"`
	// Handoff asks for a person, with the reason; empty for none. Note is for that
	// person.
	Handoff string `json:"handoff"`
	Note    string `json:"note"`
	// Sources are the chunks that the messages rest on. Of a recorded one they are
	// chunks that the model was shown, see Talk.Named.
	Sources []string `json:"sources"`
}

// Limits of a Response: nobody reads more, and a model that writes more is lost.
const (
	ResponseMessagesMax = 5
	labelMax            = 200
	noteMax             = 2000
	sourcesMax          = 20
)

// Structured reports whether the answer is meant to be a Response and not plain text.
func (a *Answer) Structured() bool { return structured(a.Text) != "" }

// structured is the JSON of an answer, out of the fence that some models put around
// it; empty for plain text.
func structured(text string) string {
	text = strings.TrimSpace(text)
	if inner, ok := strings.CutPrefix(text, "```json"); ok {
		text = strings.TrimSpace(strings.TrimSuffix(inner, "```"))
	}
	if strings.HasPrefix(text, "{") {
		return text
	}
	return ""
}

// ReadResponse reads what a model answered: a Response in JSON, which is held to its
// schema, or plain text, which is a message as it is. bad is a word for what is
// wrong; empty for an answer that may be used.
func ReadResponse(text string) (r Response, bad string) {
	raw := structured(text)
	if raw == "" {
		if text = strings.TrimSpace(text); visible(text) {
			r.Messages = []string{text}
		}
		return r, ""
	}
	dec := json.NewDecoder(strings.NewReader(raw))
	dec.DisallowUnknownFields()
	if dec.Decode(&r) != nil {
		return Response{}, "not_the_schema"
	}
	if _, err := dec.Token(); err != io.EOF {
		return Response{}, "not_the_schema"
	}
	kept := r.Messages[:0]
	for _, m := range r.Messages {
		if m = strings.TrimSpace(m); visible(m) {
			kept = append(kept, m)
		}
	}
	r.Messages = kept
	switch {
	case len(r.Messages) > ResponseMessagesMax:
		return Response{}, "too_many_messages"
	case r.Sentiment != "" && !slices.Contains(Sentiments, r.Sentiment),
		math.IsNaN(r.Confidence), r.Confidence < 0, r.Confidence > 1,
		len(r.Intent) > labelMax, len(r.Language) > labelMax, len(r.Handoff) > labelMax, len(r.Note) > noteMax,
		len(r.Sources) > sourcesMax:
		return Response{}, "not_the_schema"
	}
	return r, ""
}

// blanks are letters and symbols that show nothing: fillers of Hangul, and the Braille
// pattern without dots.
const blanks = "\u115f\u1160\u3164\uffa0\u2800"

// visible reports whether a person sees anything of a text.
func visible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !strings.ContainsRune(blanks, r)
	})
}
