package openai

import (
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const (
	// schemaMax bounds the schema of a tool, in bytes; schemasMax the compiled ones kept.
	schemaMax  = 64 << 10
	schemasMax = 512
	// whereMax bounds what is told of where arguments are wrong.
	whereMax = 160
)

// validator checks arguments against schemas, which it compiles once. Safe for
// concurrent use.
type validator struct {
	mu       sync.Mutex // guards compiled
	compiled map[string]*jsonschema.Schema
}

// check returns the word that says why the arguments do not match, "" when they do. A
// schema that cannot be used lets nothing through.
func (v *validator) check(schema []byte, tree map[string]any) (word string) {
	// The library is not ours, and both the schema and the arguments are strangers'.
	defer func() {
		if recover() != nil {
			word = invalidTool
		}
	}()
	if len(schema) == 0 {
		return ""
	}
	s := v.compile(schema)
	if s == nil {
		return invalidTool
	}
	err := s.Validate(tree)
	var wrong *jsonschema.ValidationError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &wrong):
		return invalidSchema + where(wrong)
	}
	return invalidTool
}

// where names the place of the first thing wrong and the keyword it breaks: enough to
// do better, without repeating a value.
func where(e *jsonschema.ValidationError) string {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	var b strings.Builder
	b.WriteString(": at ")
	for _, part := range e.InstanceLocation {
		b.WriteString("/" + part)
	}
	if len(e.InstanceLocation) == 0 {
		b.WriteString("the top")
	}
	if path := e.ErrorKind.KeywordPath(); len(path) > 0 {
		b.WriteString(": " + path[len(path)-1])
	}
	text := strings.ToValidUTF8(b.String(), "")
	if len(text) > whereMax {
		text = text[:whereMax]
		for !utf8.ValidString(text) {
			text = text[:len(text)-1]
		}
	}
	return text
}

// compile returns nil for a schema that cannot be used.
func (v *validator) compile(schema []byte) *jsonschema.Schema {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s, ok := v.compiled[string(schema)]; ok {
		return s
	}
	s := compile(schema)
	if len(v.compiled) >= schemasMax || v.compiled == nil {
		v.compiled = make(map[string]*jsonschema.Schema)
	}
	v.compiled[string(schema)] = s
	return s
}

func compile(schema []byte) (s *jsonschema.Schema) {
	defer func() {
		if recover() != nil {
			s = nil
		}
	}()
	if len(schema) > schemaMax {
		return nil
	}
	// Numbers of a schema may be as absurd as those of arguments.
	tree, word := parse(schema)
	if word != "" {
		return nil
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(nothing{})
	const here = "tool:///schema"
	if c.AddResource(here, tree) != nil {
		return nil
	}
	s, err := c.Compile(here)
	if err != nil {
		return nil
	}
	return s
}

// nothing loads no schema: a $ref must not read files or call anybody.
type nothing struct{}

// Load implements jsonschema.URLLoader.
func (nothing) Load(string) (any, error) { return nil, errors.New("schemas stand alone") }
