package main

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
)

// schemaNode is the part of JSON Schema a config needs.
type schemaNode struct {
	Schema      string      `json:"$schema,omitempty"`
	Title       string      `json:"title,omitempty"`
	Description string      `json:"description,omitempty"`
	Type        string      `json:"type"`
	Enum        []string    `json:"enum,omitempty"`
	Pattern     string      `json:"pattern,omitempty"`
	Minimum     *int        `json:"minimum,omitempty"`
	Default     any         `json:"default,omitempty"`
	Properties  *properties `json:"properties,omitempty"`
	// Additional is false, or what each property that is not named must be.
	Additional any         `json:"additionalProperties,omitempty"`
	Names      *schemaNode `json:"propertyNames,omitempty"`
	Items      *schemaNode `json:"items,omitempty"`
}

// properties keeps the order of the struct.
type properties struct {
	names []string
	nodes map[string]*schemaNode
}

// MarshalJSON writes the properties in order.
func (p *properties) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range p.names {
		if i > 0 {
			b.WriteByte(',')
		}
		node, err := json.Marshal(p.nodes[name])
		if err != nil {
			return nil, err
		}
		b.WriteString(strconv.Quote(name))
		b.WriteByte(':')
		b.Write(node)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// writeSchema prints the JSON Schema of chumi.yaml, for editors.
func writeSchema(w io.Writer) error {
	root := schemaOf(reflect.ValueOf(DefaultConfig()))
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "chumi.yaml"
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the schema: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", out)
	return err
}

func schemaOf(v reflect.Value) *schemaNode {
	node := &schemaNode{Type: "object", Additional: false,
		Properties: &properties{nodes: map[string]*schemaNode{}}}
	for f := range fields(v.Type()) {
		name, fv := f.Tag.Get("koanf"), v.FieldByIndex(f.Index)
		var child *schemaNode
		if f.Type.Kind() == reflect.Struct {
			child = schemaOf(fv)
		} else if f.Type.Kind() == reflect.Map {
			child = &schemaNode{Type: "object", Additional: schemaOf(reflect.Zero(f.Type.Elem())), Names: &schemaNode{Type: "string", Pattern: entryName.String()}}
		} else {
			child = schemaLeaf(f, fv)
		}
		child.Description = f.Tag.Get("doc")
		node.Properties.names = append(node.Properties.names, name)
		node.Properties.nodes[name] = child
	}
	return node
}

func schemaLeaf(f reflect.StructField, v reflect.Value) *schemaNode {
	if f.Type == durationType {
		return &schemaNode{Type: "string", Default: fmt.Sprint(v.Interface()),
			Pattern: `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`}
	}
	switch f.Type.Kind() {
	case reflect.Bool:
		return &schemaNode{Type: "boolean", Default: v.Bool()}
	case reflect.Int:
		least := 1
		if f.Tag.Get("rule") == "optional" {
			least = 0
		}
		return &schemaNode{Type: "integer", Default: v.Int(), Minimum: &least}
	}
	if f.Type.Kind() == reflect.Slice {
		return &schemaNode{Type: "array", Items: &schemaNode{Type: "string"}}
	}
	node := &schemaNode{Type: "string"}
	if v.String() != "" {
		node.Default = v.String()
	}
	if words := f.Tag.Get("enum"); words != "" {
		node.Enum = strings.Split(words, ",")
	}
	return node
}
