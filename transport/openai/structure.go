package openai

import (
	"encoding/json"
	"time"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

// form is how a server is asked for a structured answer. Servers that refuse one are
// asked for the next.
type form int

// The forms, from the strictest on.
const (
	formStrict form = iota // the schema, which the server holds the model to
	formSchema             // the schema, as a wish
	formObject             // any JSON object; the schema is in the prompt
	formText               // the schema is in the prompt
)

// formTime is how long a server that refused a form is not asked for it: it may be
// updated, and the model's name may come to mean another one.
const formTime = time.Hour

// knownMax bounds the models a provider is remembered by.
const knownMax = 256

// known is the form a model understands.
type known struct {
	form  form
	until time.Time
}

// responseName is what the schema is called on the wire.
const responseName = "response"

// formNote tells a model the schema that its server does not know.
const formNote = "Answer with one JSON object and nothing else. It must match this JSON schema: " + chat.ResponseSchema

// form returns what to ask a model for first.
func (p *provider) form(model string, now time.Time) form {
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.forms[model]; now.Before(k.until) {
		return k.form
	}
	return formStrict
}

// learn remembers the form that a model answered in.
func (p *provider) learn(model string, f form, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.forms) >= knownMax {
		clear(p.forms)
	}
	if p.forms == nil {
		p.forms = make(map[string]known)
	}
	p.forms[model] = known{f, now.Add(formTime)}
}

func chatFormat(f form) *goopenai.ChatCompletionResponseFormat {
	switch f {
	case formStrict, formSchema:
		return &goopenai.ChatCompletionResponseFormat{Type: goopenai.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &goopenai.ChatCompletionResponseFormatJSONSchema{
				Name: responseName, Strict: f == formStrict, Schema: json.RawMessage(chat.ResponseSchema)}}
	case formObject:
		return &goopenai.ChatCompletionResponseFormat{Type: goopenai.ChatCompletionResponseFormatTypeJSONObject}
	case formText:
	}
	return nil
}

func responsesFormat(f form) *goopenai.ResponseTextConfig {
	switch f {
	case formStrict, formSchema:
		return &goopenai.ResponseTextConfig{Format: &goopenai.ResponseTextFormat{
			Type: "json_schema", Name: responseName, Strict: f == formStrict, Schema: json.RawMessage(chat.ResponseSchema)}}
	case formObject:
		return &goopenai.ResponseTextConfig{Format: &goopenai.ResponseTextFormat{Type: "json_object"}}
	case formText:
	}
	return nil
}
