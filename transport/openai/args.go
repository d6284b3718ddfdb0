package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// depthMax bounds nesting of arguments.
	depthMax = 32
	// digitsMax bounds the characters of a number: ids have up to 20.
	digitsMax = 40
)

// canonical reads arguments and writes them so that equal ones have equal bytes: keys
// sorted, numbers in their shortest form, no white space. Nothing at all is an empty
// object, which is what some models say when a tool takes no arguments. The tree is
// the same value as a JSON schema is checked against. word says what is wrong.
func canonical(raw []byte) (args json.RawMessage, tree map[string]any, word string) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 {
		raw = []byte("{}")
	}
	if len(raw) > argsMax {
		return nil, nil, invalidSize
	}
	value, word := parse(raw)
	if word != "" {
		return nil, nil, word
	}
	tree, ok := value.(map[string]any)
	if !ok {
		return nil, nil, invalidObject
	}
	args = appendValue(nil, tree)
	if len(args) > argsMax {
		return nil, nil, invalidSize
	}
	return args, tree, ""
}

// parse reads one JSON value with exact numbers.
func parse(raw []byte) (any, string) {
	if !json.Valid(raw) {
		return nil, invalidJSON
	}
	r := reader{dec: json.NewDecoder(bytes.NewReader(raw))}
	r.dec.UseNumber()
	value, err := r.value(0)
	var w wordError
	switch {
	case errors.As(err, &w):
		return nil, string(w)
	case err != nil:
		return nil, invalidJSON
	}
	return value, ""
}

// wordError is one of the words of chat.ToolCall.Invalid.
type wordError string

// Error is the word.
func (w wordError) Error() string { return string(w) }

// reader walks tokens, because encoding/json takes the last of equal keys silently.
type reader struct{ dec *json.Decoder }

func (r *reader) value(depth int) (any, error) {
	if depth > depthMax {
		return nil, wordError(invalidDepth)
	}
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return r.object(depth)
		}
		return r.list(depth)
	case json.Number:
		return number(t)
	}
	return token, nil
}

func (r *reader) object(depth int) (any, error) {
	out := map[string]any{}
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return nil, err
		}
		key, ok := token.(string)
		if !ok {
			return nil, wordError(invalidJSON)
		}
		if _, twice := out[key]; twice {
			return nil, wordError(invalidDuplicate)
		}
		if out[key], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	_, err := r.dec.Token()
	return out, err
}

func (r *reader) list(depth int) (any, error) {
	out := []any{}
	for r.dec.More() {
		v, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := r.dec.Token()
	return out, err
}

// number returns the shortest form of a number. Whole numbers keep all their digits:
// they may be ids. One that a float64 cannot hold is refused: to check 1e999999999
// against a schema would take all memory there is.
func number(n json.Number) (json.Number, error) {
	text := n.String()
	if len(text) > digitsMax {
		return "", wordError(invalidNumber)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(f, 0) {
		return "", wordError(invalidNumber)
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(text), "e")
	if f == 0 && strings.Trim(mantissa, "-0.") != "" {
		return "", wordError(invalidNumber)
	}
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0", nil
		}
		return n, nil
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return json.Number(strconv.FormatInt(int64(f), 10)), nil
	}
	return json.Number(strconv.FormatFloat(f, 'g', -1, 64)), nil
}

func appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		b = append(b, '{')
		for i, k := range keys {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, k), ':')
			b = appendValue(b, v[k])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, e)
		}
		return append(b, ']')
	case json.Number:
		return append(b, v...)
	case string:
		return appendText(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	}
	return append(b, "null"...)
}

func appendText(b []byte, s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}
