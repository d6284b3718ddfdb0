package main

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
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
	// of leads to the map that holds what index is of, under name; nil for a setting that
	// is there in any case.
	of   []int
	name string
}

// settings lists the leaves in the order of the struct, without those of maps.
var settings, patterns = leaves(reflect.TypeFor[Config](), "", nil)

// anyName stands for the name of an entry of a map in the key of a pattern.
const anyName = "*"

// entryName is what entries of maps may be called: a word that an environment variable
// can hold.
var entryName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

var durationType = reflect.TypeFor[time.Duration]()

func leaves(t reflect.Type, prefix string, index []int) (out, ofMaps []setting) {
	for f := range fields(t) {
		key := prefix + f.Tag.Get("koanf")
		at := append(append([]int(nil), index...), f.Index...)
		if f.Type.Kind() == reflect.Struct {
			fixed, named := leaves(f.Type, key+".", at)
			out, ofMaps = append(out, fixed...), append(ofMaps, named...)
			continue
		}
		if f.Type.Kind() == reflect.Map {
			named, _ := leaves(f.Type.Elem(), key+"."+anyName+".", nil)
			for i := range named {
				named[i].of = at
			}
			ofMaps = append(ofMaps, named...)
			continue
		}
		s := setting{Key: key, Doc: f.Tag.Get("doc"), Rule: f.Tag.Get("rule"),
			Secret: f.Tag.Get("secret") == "true", Type: f.Type, index: at}
		if words := f.Tag.Get("enum"); words != "" {
			s.Enum = strings.Split(words, ",")
		}
		out = append(out, s)
	}
	return out, ofMaps
}

// named is a pattern's setting of one entry.
func (s setting) named(name string) setting {
	s.Key, s.name = strings.Replace(s.Key, anyName, name, 1), name
	return s
}

// settingsOf lists the settings of c, those of entries after the others of their
// section.
func settingsOf(c *Config) []setting {
	out := slices.Clone(settings)
	for _, p := range patterns {
		section, _, _ := strings.Cut(p.Key, ".")
		var names []string
		for _, k := range reflect.ValueOf(c).Elem().FieldByIndex(p.of).MapKeys() {
			names = append(names, k.String())
		}
		slices.Sort(names)
		for _, name := range names {
			s := p.named(name)
			at := len(out)
			for at > 0 && !strings.HasPrefix(out[at-1].Key, section+".") {
				at--
			}
			// Entries stand together, in the order of their names.
			for at > 0 && out[at-1].name > name {
				at--
			}
			out = slices.Insert(out, at, s)
		}
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
	for _, p := range patterns {
		head, tail, _ := strings.Cut(p.Key, anyName)
		name, ok := strings.CutPrefix(key, head)
		if name, ok = strings.CutSuffix(name, tail); ok && head+name+tail == key && entryName.MatchString(name) {
			return p.named(name), true
		}
	}
	return setting{}, false
}

// field is where the setting stands in c.
func (s setting) field(c *Config) reflect.Value {
	v := reflect.ValueOf(c).Elem()
	if s.of != nil {
		v = v.FieldByIndex(s.of).MapIndex(reflect.ValueOf(s.name))
	}
	return v.FieldByIndex(s.index)
}

// value reads the setting out of c.
func (s setting) value(c *Config) any { return s.field(c).Interface() }

// text is the value as a config file would write it; secrets are hidden.
func (s setting) text(c *Config) string {
	v := s.field(c)
	switch {
	case s.Secret && v.String() != "":
		return "[redacted]"
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Slice:
		return strings.Join(v.Interface().([]string), ",")
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
	case reflect.Slice:
		return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }), nil
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
	var keys []string
	for _, s := range slices.Concat(settings, patterns) {
		keys = append(keys, s.Key)
	}
	return keys
}
