package tools

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// template is the URL of a tool in its parts: fixed text, and the names of arguments
// between. What stands in a path cannot leave its segment, what stands in a query not
// its value.
type template struct {
	// text has one part more than names; query counts the names from which on they
	// stand in the query.
	text  []string
	names []string
	query int
}

var (
	errTemplateLong  = errors.New("it is longer than 2000 bytes")
	errTemplateHTTPS = errors.New("it must begin with https://")
	errTemplateHost  = errors.New("an argument may stand in the path or the query only, not in the host")
	errTemplateHash  = errors.New("it must have no fragment")
	errTemplateBrace = errors.New("arguments are written {name}, with letters, digits, _ and -")
)

// parseTemplate reads the URL of a definition.
func parseTemplate(raw string) (*template, error) {
	rest, ok := strings.CutPrefix(raw, "https://")
	switch {
	case len(raw) > urlMax:
		return nil, errTemplateLong
	case !ok && !strings.HasPrefix(raw, "http://"):
		return nil, errTemplateHTTPS
	case strings.ContainsRune(raw, '#'):
		return nil, errTemplateHash
	case strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }):
		return nil, errTemplateBrace
	}
	if !ok {
		rest = strings.TrimPrefix(raw, "http://")
	}
	authority, _, _ := strings.Cut(strings.ReplaceAll(rest, "?", "/"), "/")
	if strings.ContainsAny(authority, "{}") {
		return nil, errTemplateHost
	}
	t := &template{query: -1}
	for {
		before, after, found := strings.Cut(raw, "{")
		if strings.ContainsRune(before, '}') {
			return nil, errTemplateBrace
		}
		if t.query < 0 && strings.ContainsRune(before, '?') {
			t.query = len(t.names)
		}
		t.text = append(t.text, before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed || !chat.ValidToolName(name) {
			return nil, errTemplateBrace
		}
		t.names, raw = append(t.names, name), tail
	}
	if t.query < 0 {
		t.query = len(t.names)
	}
	return t, nil
}

// sample is the URL with something in the place of every argument.
func (t *template) sample() string { return strings.Join(t.text, "x") }

// fill puts arguments into the URL, and takes them out of args.
func (t *template) fill(args map[string]any) (*url.URL, error) {
	var out strings.Builder
	for i, text := range t.text {
		out.WriteString(text)
		if i == len(t.names) {
			break
		}
		name := t.names[i]
		value, ok := scalar(args[name])
		if !ok {
			return nil, failed(wordArguments, "The argument "+name+" must be a text, a number, true or false.")
		}
		if i >= t.query {
			out.WriteString(url.QueryEscape(value))
			continue
		}
		// A segment of dots would lead to another path, an empty one too.
		if strings.Trim(value, ".") == "" || strings.ContainsAny(value, "/\\") {
			return nil, failed(wordArguments, "The argument "+name+" cannot stand in a path.")
		}
		out.WriteString(url.PathEscape(value))
	}
	for _, name := range t.names {
		delete(args, name)
	}
	u, err := url.Parse(out.String())
	if err != nil {
		return nil, failed(wordArguments, "The arguments make no URL.")
	}
	return u, nil
}

// scalar is a value that can stand in a URL. Controls cannot.
func scalar(v any) (text string, ok bool) {
	switch v := v.(type) {
	case string:
		return v, !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0xfffd })
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	}
	return "", false
}

// intoQuery puts what is left of the arguments into the query of a URL.
func intoQuery(u *url.URL, args map[string]any) error {
	q := u.Query()
	names := make([]string, 0, len(args))
	for name := range args {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if q.Has(name) {
			return failed(wordArguments, "The argument "+name+" is fixed.")
		}
		list, many := args[name].([]any)
		if !many {
			list = []any{args[name]}
		}
		for _, v := range list {
			text, ok := scalar(v)
			if !ok {
				return failed(wordArguments, "The argument "+name+" must be a text, a number, true or false, or a list of such.")
			}
			q.Add(name, text)
		}
	}
	u.RawQuery = q.Encode()
	return nil
}
