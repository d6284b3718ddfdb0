package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/api"
)

// assistantNode is an assistant in a YAML file: a mapping of the members that the API
// knows.
type assistantNode struct {
	file string
	node *yaml.Node
}

// readAssistantFile reads a file of one assistant.
func readAssistantFile(path string) (assistantNode, error) {
	data, err := readSmall(path)
	if err != nil {
		return assistantNode{}, &Problem{Where: path, What: "cannot be read: " + cause(err)}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return assistantNode{}, &Problem{Where: path, What: strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	if len(doc.Content) != 1 {
		return assistantNode{}, &Problem{Where: path, What: "is empty"}
	}
	return assistantNode{path, doc.Content[0]}, nil
}

// read is the content, with the body that the API takes for it. Problems name file,
// line and key.
func (n assistantNode) read() (a chat.Assistant, body []byte, err error) {
	tree, err := plainTree(n.node, "", 0)
	if err == nil {
		body, err = json.Marshal(tree)
	}
	if err != nil {
		return a, nil, n.problem("", err.Error())
	}
	if a, err = api.ReadAssistant(body); err == nil {
		a.ID = chat.DefaultAssistant
		if wrong := chat.CheckAssistant(&a); wrong != nil {
			err = wrong
		}
	}
	var wrong *chat.LimitError
	if errors.As(err, &wrong) {
		return a, nil, n.problem(wrong.Param, wrong.Message)
	}
	return a, body, err
}

// problem places what is wrong with a member.
func (n assistantNode) problem(param, what string) *Problem {
	return &Problem{Where: fmt.Sprintf("%s:%d", n.file, lineOf(n.node, param)), Key: param, What: what}
}

// lineOf is the line that a path such as hours.open[1].from leads to, or that of what
// it leads to there is.
func lineOf(n *yaml.Node, path string) int {
	line := n.Line
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		var next *yaml.Node
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == part {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		case yaml.SequenceNode:
			for i := range n.Content {
				if fmt.Sprint(i) == part {
					next, line = n.Content[i], n.Content[i].Line
				}
			}
		}
		if next == nil {
			return line
		}
		n = next
	}
	return line
}

// plainTree is a node as JSON knows values. Money stays as it is written: as a number
// it would not be exact.
func plainTree(n *yaml.Node, key string, depth int) (any, error) {
	switch {
	case depth > depthMax:
		return nil, errors.New("is nested too deeply")
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return nil, fmt.Errorf("uses an anchor or alias in line %d; write the value out", n.Line)
	case n.Kind == yaml.MappingNode:
		tree := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if _, twice := tree[name]; twice {
				return nil, fmt.Errorf("has %s twice, the second time in line %d", clip(name), n.Content[i].Line)
			}
			v, err := plainTree(n.Content[i+1], name, depth+1)
			if err != nil {
				return nil, err
			}
			tree[name] = v
		}
		return tree, nil
	case n.Kind == yaml.SequenceNode:
		list := make([]any, 0, len(n.Content))
		for _, item := range n.Content {
			v, err := plainTree(item, "", depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case key == "cost" && n.Tag != "!!null":
		return n.Value, nil
	}
	var v any
	err := n.Decode(&v)
	return v, err
}

// asYAML is JSON as YAML that people edit, with its members in their order.
func asYAML(body []byte, without ...string) (string, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(body, &doc); err != nil {
		return "", fmt.Errorf("the engine's answer is unreadable: %w", err)
	}
	if len(doc.Content) == 1 {
		unflow(doc.Content[0])
		for _, key := range without {
			dropKey(doc.Content[0], key)
		}
	}
	out, err := yaml.Marshal(&doc)
	return string(out), err
}

// unflow writes a node over several lines, texts of several lines as blocks.
func unflow(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && strings.Contains(n.Value, "\n") {
		n.Style = yaml.LiteralStyle
	}
	for _, c := range n.Content {
		unflow(c)
	}
}

func dropKey(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = append(n.Content[:i], n.Content[i+2:]...)
			return
		}
	}
}
