package openai

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

const (
	// callsMax calls of one answer are looked at; those after it are told to be too
	// many, up to callsEver, where the answer is none.
	callsMax  = 16
	callsEver = 64
	// argsMax bounds the arguments of a call, in bytes.
	argsMax = 32 << 10
	// nameMax is the longest name of a tool.
	nameMax = 64
)

// Why a call cannot be made: the words of chat.ToolCall.Invalid. Some are followed by
// a colon and where in the arguments it is.
const (
	invalidName      = "unknown_tool"
	invalidJSON      = "malformed_json"
	invalidObject    = "not_an_object"
	invalidDuplicate = "duplicate_key"
	invalidNumber    = "number_out_of_range"
	invalidDepth     = "too_deep"
	invalidSize      = "too_large"
	invalidMany      = "too_many_calls"
	invalidSchema    = "schema"
	invalidTool      = "tool_schema"
)

// gathered is one call as it comes in.
type gathered struct {
	index    int
	id, name string
	args     []byte
	large    bool
}

func (g *gathered) write(args string) {
	if len(g.args)+len(args) > argsMax {
		g.large = true
		return
	}
	g.args = append(g.args, args...)
}

// gatherer puts calls together from deltas, in the order they were begun.
type gatherer struct{ calls []*gathered }

// begin adds a call.
func (g *gatherer) begin(index int, id, name string) (*gathered, error) {
	if len(g.calls) == callsEver {
		return nil, errToolCall
	}
	if len(name) > nameMax {
		name = name[:nameMax+1]
	}
	c := &gathered{index: index, id: id, name: name}
	g.calls = append(g.calls, c)
	return c, nil
}

// add takes one delta. Calls are told apart by index; some servers have none, or the
// same for all, and an id that differs then begins a new call.
func (g *gatherer) add(d *goopenai.ToolCall) error {
	var c *gathered
	for i := len(g.calls) - 1; i >= 0 && c == nil; i-- {
		if d.Index == nil || g.calls[i].index == *d.Index {
			c = g.calls[i]
		}
	}
	if c == nil || d.ID != "" && d.ID != c.id {
		index := len(g.calls)
		if d.Index != nil {
			index = *d.Index
		}
		var err error
		if c, err = g.begin(index, d.ID, d.Function.Name); err != nil {
			return err
		}
	}
	if c.name == "" {
		c.name = d.Function.Name
	}
	c.write(d.Function.Arguments)
	return nil
}

var nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// decode turns what was gathered into calls that may be made or say why not. Ids are
// of the call and the place, whatever the provider said.
func (g *gatherer) decode(p *chat.Prompt, v *validator) []chat.ToolCall {
	var out []chat.ToolCall
	for i, c := range g.calls {
		call := chat.ToolCall{ID: fmt.Sprintf("%d.%d", p.Call, i), Name: c.name}
		if i >= callsMax {
			call.Invalid = invalidMany
		} else {
			call.Args, call.Invalid = c.decode(p, v)
		}
		if !nameForm.MatchString(call.Name) {
			// Servers refuse a talk in which such a name occurs.
			call.Name, call.Args, call.Invalid = "unknown", nil, invalidName
		}
		out = append(out, call)
	}
	return out
}

func (c *gathered) decode(p *chat.Prompt, v *validator) (json.RawMessage, string) {
	var tool *chat.ToolSpec
	for i := range p.Tools {
		if p.Tools[i].Name == c.name {
			tool = &p.Tools[i]
		}
	}
	switch {
	case tool == nil:
		return nil, invalidName
	case c.large:
		return nil, invalidSize
	}
	args, tree, word := canonical(c.args)
	if word != "" {
		return nil, word
	}
	if word := v.check(tool.Parameters, tree); word != "" {
		return nil, word
	}
	return args, ""
}
