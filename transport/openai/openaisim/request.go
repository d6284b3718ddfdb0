package openaisim

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// completionRequest is what of a request has a meaning here. Unknown keys are
// sampling options and are allowed.
type completionRequest struct {
	Model    string    `json:"model"`
	Messages []message `json:"messages"`
	N        *int      `json:"n"`
	Stream   bool      `json:"stream"`
	Options  *struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Format *struct {
		Type string `json:"type"`
	} `json:"response_format"`
}

type message struct {
	Role    string  `json:"role"`
	Content content `json:"content"`
}

// content is a string, null, or a list of parts of which the texts count.
type content string

// UnmarshalJSON implements json.Unmarshaler.
func (c *content) UnmarshalJSON(b []byte) error {
	var s *string
	if json.Unmarshal(b, &s) == nil {
		if s != nil {
			*c = content(*s)
		}
		return nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := json.Unmarshal(b, &parts); err != nil {
		return fmt.Errorf("content must be a string or a list of parts")
	}
	var texts []string
	for _, p := range parts {
		if p.Type == "text" {
			texts = append(texts, p.Text)
		}
	}
	*c = content(strings.Join(texts, "\n"))
	return nil
}

// check returns the parameter that is wrong and why, or "".
func (r *completionRequest) check() (param, why string) {
	switch {
	case r.Model == "":
		return "model", "you must provide a model parameter"
	case len(r.Messages) == 0:
		return "messages", "[] is too short - 'messages'"
	case r.N != nil && *r.N != 1:
		return "n", "the simulator makes one choice"
	case r.Options != nil && !r.Stream:
		return "stream_options", "only allowed when stream is true"
	case r.Format != nil && r.Format.Type != "text":
		return "response_format", "the simulator answers in text only"
	}
	for i, m := range r.Messages {
		switch m.Role {
		case "system", "developer", "user", "assistant", "tool":
		default:
			return fmt.Sprintf("messages[%d].role", i), fmt.Sprintf("%q is not one of system, developer, user, assistant, tool", m.Role)
		}
	}
	return "", ""
}

// lastUserRun returns the texts of the last consecutive user messages.
func (r *completionRequest) lastUserRun() []string {
	end := len(r.Messages)
	for end > 0 && r.Messages[end-1].Role != "user" {
		end--
	}
	first := end
	for first > 0 && r.Messages[first-1].Role == "user" {
		first--
	}
	var texts []string
	for _, m := range r.Messages[first:end] {
		texts = append(texts, string(m.Content))
	}
	return texts
}

func (r *completionRequest) hash() string {
	parts := make([]string, 0, 2*len(r.Messages))
	for _, m := range r.Messages {
		parts = append(parts, m.Role, string(m.Content))
	}
	d := digest(0, parts...)
	return hex.EncodeToString(d[:16])
}

// tokens estimates what a text costs: four bytes of ASCII, or one other
// character, are about one token.
func tokens(text string) int {
	ascii, other := 0, 0
	for _, c := range text {
		if c < utf8.RuneSelf {
			ascii++
		} else {
			other++
		}
	}
	return (ascii+3)/4 + other
}

func (r *completionRequest) promptTokens() int {
	n := 3
	for _, m := range r.Messages {
		n += 4 + tokens(string(m.Content))
	}
	return n
}
