package main

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Problem is one thing wrong with a file, named so that it can be found.
type Problem struct {
	// Where is "file:line", an environment variable or a flag.
	Where string
	// Key is the full path of the offending key; empty for a syntax error.
	Key string
	// What says what is wrong and what would be right.
	What string
}

// Error is one line.
func (p *Problem) Error() string {
	if p.Key == "" {
		return p.Where + ": " + p.What
	}
	return p.Where + ": " + p.Key + ": " + p.What
}

// strict decodes one YAML document into a tree of Go values, refusing every key
// the type does not have. It reports all problems, not only the first.
type strict struct {
	file     string
	tag      string
	problems []error
	// elsewhere lists the full paths that a misplaced key may have meant.
	elsewhere []string
	// leaf, when set, is told of every scalar with the line it stands on.
	leaf func(key string, v any, line int)
}

// depthMax bounds nesting; the deepest valid file has three levels.
const depthMax = 16

// decodeStrict reads data into the struct that into points to. Fields are
// named by their struct tag. Problems are joined.
func (d *strict) decode(data []byte, into reflect.Value) error {
	dec := yaml.NewDecoder(strings.NewReader(string(data)))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return &Problem{Where: d.file, What: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return &Problem{Where: d.file, What: "holds more than one YAML document; keep one"}
	}
	if len(doc.Content) == 1 {
		d.walk(doc.Content[0], into, "", 0)
	}
	return errors.Join(d.problems...)
}

func (d *strict) problem(n *yaml.Node, key, format string, args ...any) {
	d.problems = append(d.problems, &Problem{
		Where: fmt.Sprintf("%s:%d", d.file, n.Line), Key: key, What: fmt.Sprintf(format, args...)})
}

func (d *strict) walk(n *yaml.Node, v reflect.Value, key string, depth int) {
	if depth > depthMax {
		d.problem(n, key, "is nested too deeply")
		return
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.problem(n, key, "uses an anchor or alias; write the value out")
		return
	}
	switch {
	case v.Type() == reflect.TypeFor[yaml.Node]():
		v.Set(reflect.ValueOf(*n))
	case v.Kind() == reflect.Struct:
		d.walkStruct(n, v, key, depth)
	case v.Kind() == reflect.Map:
		d.walkMap(n, v, key, depth)
	case v.Kind() == reflect.Slice:
		d.walkList(n, v, key, depth)
	default:
		d.walkScalar(n, v, key)
	}
}

func (d *strict) walkStruct(n *yaml.Node, v reflect.Value, key string, depth int) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		d.problem(n, key, "wants keys below it, got %s", kindWord(n))
		return
	}
	byName := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get(d.tag); name != "" {
			byName[name] = v.Field(i)
			names = append(names, name)
		}
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		path := join(key, clip(k.Value))
		field, known := byName[k.Value]
		switch {
		case k.Kind != yaml.ScalarNode:
			d.problem(k, key, "has a key that is not a word")
		case !known:
			d.problem(k, path, "is not a known key%s", suggest(key, k.Value, names, d.elsewhere))
		case seen[k.Value]:
			d.problem(k, path, "is set twice")
		default:
			seen[k.Value] = true
			d.walk(val, field, path, depth+1)
		}
	}
}

func (d *strict) walkList(n *yaml.Node, v reflect.Value, key string, depth int) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.problem(n, key, "wants a list, got %s", kindWord(n))
		return
	}
	leaf := d.leaf
	// A list of words is one value; one of structs has values of its own.
	words := v.Type().Elem().Kind() == reflect.String
	if words {
		d.leaf = nil
	}
	for i, item := range n.Content {
		e := reflect.New(v.Type().Elem()).Elem()
		d.walk(item, e, fmt.Sprintf("%s[%d]", key, i), depth+1)
		v.Set(reflect.Append(v, e))
	}
	if d.leaf = leaf; words && leaf != nil {
		leaf(key, v.Interface(), n.Line)
	}
}

// walkMap reads entries whose names are the operator's.
func (d *strict) walkMap(n *yaml.Node, v reflect.Value, key string, depth int) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.problem(n, key, "wants names below it, got %s", kindWord(n))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		path := join(key, clip(k.Value))
		switch {
		case k.Kind != yaml.ScalarNode || !entryName.MatchString(k.Value):
			d.problem(k, path, "has a name that is not a word of small letters, digits and _")
		case seen[k.Value]:
			d.problem(k, path, "is set twice")
		case val.Kind == yaml.ScalarNode && val.Tag == "!!null", val.Kind == yaml.MappingNode && len(val.Content) == 0:
			d.problem(k, path, "has no keys below it")
		default:
			seen[k.Value] = true
			d.walk(val, reflect.New(v.Type().Elem()).Elem(), path, depth+1)
		}
	}
}

func (d *strict) walkScalar(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.ScalarNode {
		d.problem(n, key, "wants %s, got %s", typeWord(v.Type()), kindWord(n))
		return
	}
	if n.Tag == "!!null" {
		d.problem(n, key, "has no value; remove the key or give it one")
		return
	}
	if v.Kind() == reflect.String && n.Tag == "!!bool" {
		d.problem(n, key, "wants text; put %s in quotes", n.Value)
		return
	}
	if v.Kind() == reflect.Int && v.Type() != durationType && n.Tag != "!!int" ||
		v.Kind() == reflect.Bool && n.Tag != "!!bool" {
		d.problem(n, key, "wants %s, got %q", typeWord(v.Type()), clip(n.Value))
		return
	}
	value, err := parseScalar(v.Type(), n.Value)
	if err != nil {
		d.problem(n, key, "%v", err)
		return
	}
	v.Set(reflect.ValueOf(value).Convert(v.Type()))
	if d.leaf != nil {
		d.leaf(key, value, n.Line)
	}
}

// suggest ends an "unknown key" message. elsewhere holds full paths: a key that
// stands one level too high, or whose path was written in one word, is found
// there.
func suggest(parent, name string, siblings, elsewhere []string) string {
	for _, key := range elsewhere {
		if key == name || strings.HasSuffix(key, "."+name) {
			return fmt.Sprintf("; did you mean %q?", key)
		}
	}
	if s := nearest(name, siblings); s != "" {
		return fmt.Sprintf("; did you mean %q?", join(parent, s))
	}
	return "; known here: " + strings.Join(siblings, ", ")
}

func join(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

func kindWord(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return fmt.Sprintf("%q", clip(n.Value))
	}
	return "something else"
}

func typeWord(t reflect.Type) string {
	switch {
	case t == durationType:
		return `a duration such as "2s"`
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.Int:
		return "a whole number"
	}
	return "text"
}
