package chat

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// ToolKey names a call of a tool to whoever carries it out: repeated with the same
// arguments for the same customer messages it is the same call, however often the
// model asks. oldest is the seq of the oldest customer message that the turn answers.
func ToolKey(c ConversationID, tool string, args json.RawMessage, oldest Seq) string {
	if canonical, err := CanonicalArgs(args); err == nil {
		args = canonical
	}
	h := sha256.New()
	for _, part := range [...]string{string(c), tool, string(args), strconv.FormatUint(uint64(oldest), 10)} {
		_, _ = io.WriteString(h, strconv.Itoa(len(part))+":"+part)
	}
	return "tool_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// Limits of arguments.
const (
	// ToolArgsMax bounds their bytes, argsDepthMax objects and arrays within one
	// another.
	ToolArgsMax  = 16 << 10
	argsDepthMax = 16
	// ToolSchemaMax bounds the schema of arguments, and how deep it goes.
	ToolSchemaMax  = 64 << 10
	schemaDepthMax = 32
	// numberLenMax and exponentMax bound numbers: a reader that counts in exact
	// fractions takes all memory for one with a large exponent.
	numberLenMax = 64
	exponentMax  = 300
)

var (
	errArgsSize   = errors.New("too large")
	errArgsObject = errors.New("not one JSON object")
	errArgsDepth  = errors.New("nested too deeply")
	errArgsTwice  = errors.New("a member stands twice")
	errArgsNumber = errors.New("a number is out of range")
)

// CanonicalArgs is the canonical form of arguments: one JSON object, sorted keys, no
// spaces, numbers as they are written. Nothing is an empty object. It refuses what two
// readers could read in two ways.
func CanonicalArgs(args json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(args)) == 0 {
		return json.RawMessage("{}"), nil
	}
	return canonical(args, ToolArgsMax, argsDepthMax)
}

// CanonicalSchema is CanonicalArgs for the schema of arguments.
func CanonicalSchema(schema json.RawMessage) (json.RawMessage, error) {
	return canonical(schema, ToolSchemaMax, schemaDepthMax)
}

func canonical(args json.RawMessage, most, depth int) (json.RawMessage, error) {
	args = bytes.TrimSpace(args)
	switch {
	case len(args) > most:
		return nil, errArgsSize
	case len(args) == 0 || args[0] != '{':
		return nil, errArgsObject
	}
	if err := checkArgs(args, depth); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	var tree map[string]any
	if d.Decode(&tree) != nil {
		return nil, errArgsObject
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errArgsObject
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, errArgsObject
	}
	return bytes.TrimRight(out.Bytes(), "\n"), nil
}

// inRange reports whether a number can be counted with.
func inRange(n string) bool {
	if _, exponent, ok := strings.Cut(strings.ToLower(n), "e"); ok {
		if e, err := strconv.Atoi(exponent); err != nil || e > exponentMax || e < -exponentMax {
			return false
		}
	}
	return len(n) <= numberLenMax
}

// checkArgs walks the tokens for depth, for numbers, and for members that stand
// twice.
func checkArgs(args []byte, depth int) error {
	d := json.NewDecoder(bytes.NewReader(args))
	d.UseNumber()
	type level struct {
		seen map[string]bool // nil for an array
		key  bool
	}
	var open []level
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errArgsObject
		}
		if len(open) > 0 && open[len(open)-1].key {
			if name, ok := t.(string); ok {
				top := &open[len(open)-1]
				if top.seen[name] {
					return errArgsTwice
				}
				top.seen[name], top.key = true, false
				continue
			}
		}
		if n, ok := t.(json.Number); ok && !inRange(n.String()) {
			return errArgsNumber
		}
		switch t {
		case json.Delim('{'):
			open = append(open, level{seen: map[string]bool{}, key: true})
		case json.Delim('['):
			open = append(open, level{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
			if len(open) > 0 {
				open[len(open)-1].key = open[len(open)-1].seen != nil
			}
		default:
			if len(open) > 0 {
				open[len(open)-1].key = open[len(open)-1].seen != nil
			}
		}
		if len(open) > depth {
			return errArgsDepth
		}
	}
}
