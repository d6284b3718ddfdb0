package main

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// setting is one leaf of Config.
type setting struct {
	Key    string
	Doc    string
	Rule   string
	Enum   []string
	Secret bool
	Type   reflect.Type
	index  []int
}

// settings lists the leaves in the order of the struct.
var settings = leaves(reflect.TypeFor[Config](), "", nil)

var durationType = reflect.TypeFor[time.Duration]()

func leaves(t reflect.Type, prefix string, index []int) []setting {
	var out []setting
	for f := range fields(t) {
		key := prefix + f.Tag.Get("koanf")
		at := append(append([]int(nil), index...), f.Index...)
		if f.Type.Kind() == reflect.Struct {
			out = append(out, leaves(f.Type, key+".", at)...)
			continue
		}
		s := setting{Key: key, Doc: f.Tag.Get("doc"), Rule: f.Tag.Get("rule"),
			Secret: f.Tag.Get("secret") == "true", Type: f.Type, index: at}
		if words := f.Tag.Get("enum"); words != "" {
			s.Enum = strings.Split(words, ",")
		}
		out = append(out, s)
	}
	return out
}

// fields yields the fields of a struct that have a koanf tag.
func fields(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.Tag.Get("koanf") != "" && !yield(f) {
				return
			}
		}
	}
}

// find returns the setting with the key.
func find(key string) (setting, bool) {
	for _, s := range settings {
		if s.Key == key {
			return s, true
		}
	}
	return setting{}, false
}

// value reads the setting out of c.
func (s setting) value(c *Config) any {
	return reflect.ValueOf(c).Elem().FieldByIndex(s.index).Interface()
}

// text is the value as a config file would write it; secrets are hidden.
func (s setting) text(c *Config) string {
	v := reflect.ValueOf(c).Elem().FieldByIndex(s.index)
	switch {
	case s.Secret && v.String() != "":
		return "[redacted]"
	case v.Kind() == reflect.String:
		return v.String()
	}
	return fmt.Sprint(v.Interface())
}

// env is the environment variable of the setting.
func (s setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Key, ".", "__"))
}

// parse reads a value from an environment variable or a flag.
func (s setting) parse(text string) (any, error) { return parseScalar(s.Type, text) }

// parseScalar turns text into a value of type t.
func parseScalar(t reflect.Type, text string) (any, error) {
	if t == durationType {
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("wants a duration such as %q, got %q", "2s", clip(text))
		}
		return d, nil
	}
	switch t.Kind() {
	case reflect.Bool:
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, fmt.Errorf("wants true or false, got %q", clip(text))
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, fmt.Errorf("wants a whole number, got %q", clip(text))
		}
		return n, nil
	}
	return text, nil
}

// clip shortens text for an error message.
func clip(text string) string {
	const long = 40
	if len(text) > long {
		return strings.ToValidUTF8(text[:long], "") + "..."
	}
	return text
}

// nearest returns the candidate with the smallest edit distance to word, or ""
// when none is close enough to be what was meant.
func nearest(word string, candidates []string) string {
	best, least := "", len(word)/2+2
	for _, c := range candidates {
		if d := distance(word, c, least); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance is the Levenshtein distance of a and b, or at least limit when it
// is not below that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// keysOf lists the keys of all settings.
func keysOf() []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.Key
	}
	return keys
}
