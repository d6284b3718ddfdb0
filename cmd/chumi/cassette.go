package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
)

// cassette is what models answered, by the hash of the prompt: one JSON object per
// line. It stands in for a model where there is no key. Safe for concurrent use.
type cassette struct {
	mu      sync.Mutex // guards the fields below
	answers map[string]taped
	// live is asked for what is not there; nil for nobody.
	live actors.Model
	file string
	// fresh is true when something was added since it was read.
	fresh bool
}

// taped is one line.
type taped struct {
	Prompt   string          `json:"prompt"`
	Text     string          `json:"text,omitempty"`
	Calls    []chat.ToolCall `json:"calls,omitempty"`
	Provider string          `json:"provider,omitempty"`
	Model    string          `json:"model"`
	Tokens   chat.Tokens     `json:"tokens"`
}

// errNotTaped is the word of a prompt that a cassette does not hold.
const errNotTaped = "not_in_cassette"

// openCassette reads a cassette; a file that is not there is an empty one.
func openCassette(file string, live actors.Model) (*cassette, error) {
	c := &cassette{answers: map[string]taped{}, live: live, file: file}
	data, err := os.ReadFile(file) // #nosec G304 -- a file that the user names
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("%s cannot be read: %s", file, cause(err))
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 4<<20)
	for n := 1; lines.Scan(); n++ {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var t taped
		if err := d.Decode(&t); err != nil || t.Prompt == "" {
			return nil, &Problem{Where: fmt.Sprintf("%s:%d", file, n), What: "is no line of a cassette"}
		}
		c.answers[t.Prompt] = t
	}
	return c, lines.Err()
}

// Complete implements actors.Model.
func (c *cassette) Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	hash := p.Hash()
	c.mu.Lock()
	t, ok := c.answers[hash]
	c.mu.Unlock()
	if ok {
		return chat.Answer{Text: t.Text, Calls: t.Calls, Provider: t.Provider, Model: t.Model, Tokens: t.Tokens, PromptHash: hash}, nil
	}
	if c.live == nil {
		return chat.Answer{}, &chat.ModelError{Reason: errNotTaped, Permanent: true}
	}
	a, err := c.live.Complete(ctx, p)
	if err != nil {
		return a, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[hash] = taped{Prompt: hash, Text: a.Text, Calls: a.Calls, Provider: a.Provider, Model: a.Model, Tokens: a.Tokens}
	c.fresh = true
	return a, nil
}

// save writes what was added; hide is applied to each text first.
func (c *cassette) save(hide func(string) string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.fresh || c.file == "" {
		return nil
	}
	var out bytes.Buffer
	for _, hash := range sortedKeys(c.answers) {
		t := c.answers[hash]
		t.Text = hide(t.Text)
		line, err := json.Marshal(t)
		if err != nil {
			return err
		}
		out.Write(append(line, '\n'))
	}
	c.fresh = false
	return os.WriteFile(c.file, out.Bytes(), 0o600)
}
