package openai

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	goopenai "github.com/sashabaranov/go-openai"
)

var orderTool = chat.ToolSpec{Name: "order_status", Parameters: json.RawMessage(
	`{"type":"object","properties":{"order":{"type":"string","maxLength":40},"n":{"type":"integer","minimum":1}},"required":["order"],"additionalProperties":false}`)}

var anyTool = chat.ToolSpec{Name: "anything", Parameters: json.RawMessage(`{"type":"object"}`)}

var toolPrompt = &chat.Prompt{Call: 3, Tools: []chat.ToolSpec{orderTool, anyTool}}

// decodeOne is the decoder with one whole call.
func decodeOne(p *chat.Prompt, name, args string) chat.ToolCall {
	var g gatherer
	_ = g.add(&goopenai.ToolCall{Function: goopenai.FunctionCall{Name: name, Arguments: args}})
	return g.decode(p, &validator{})[0]
}

func TestDecode_JudgesArguments(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40)
	for _, c := range []struct{ name, args, want, invalid string }{
		{"order_status", `{"order":"1042"}`, `{"order":"1042"}`, ""},
		{"order_status", " {\n\"n\" : 2.0 , \"order\" : \"\\u0031\" } ", `{"n":2,"order":"1"}`, ""},
		{"anything", ``, `{}`, ""},
		{"anything", `{"b":1,"a":[true,null,1e2,-0,0.50,12345678901234567890,"<&>"]}`,
			`{"a":[true,null,100,0,0.5,12345678901234567890,"<&>"],"b":1}`, ""},
		{"order_status", `{}`, "", "schema: at the top: required"},
		{"order_status", `{"order":"1042","tenant":"other"}`, "", "schema: at the top: additionalProperties"},
		{"order_status", `{"order":"1042","n":0}`, "", "schema: at /n: minimum"},
		{"order_status", `{"order":1042}`, "", "schema: at /order: type"},
		{"order_status", `{"order":"1042"`, "", "malformed_json"},
		{"order_status", `{"order":"1042"}{}`, "", "malformed_json"},
		{"order_status", `{"order":NaN}`, "", "malformed_json"},
		{"order_status", `{"order":Infinity}`, "", "malformed_json"},
		{"order_status", "\xff", "", "malformed_json"},
		{"order_status", `["1042"]`, "", "not_an_object"},
		{"order_status", `null`, "", "not_an_object"},
		{"order_status", `"{\"order\":\"1042\"}"`, "", "not_an_object"},
		{"order_status", `{"order":"1","order":"2"}`, "", "duplicate_key"},
		{"anything", `{"a":{"k":1,"\u006b":2}}`, "", "duplicate_key"},
		{"anything", `{"n":1e999999999}`, "", "number_out_of_range"},
		{"anything", `{"n":-1e400}`, "", "number_out_of_range"},
		{"anything", `{"n":1e-400}`, "", "number_out_of_range"},
		{"anything", `{"n":` + strings.Repeat("9", 41) + `}`, "", "number_out_of_range"},
		{"anything", deep, "", "too_deep"},
		{"anything", strings.Repeat("[", 20_000), "", "malformed_json"},
		{"anything", `{"a":"` + strings.Repeat("x", argsMax) + `"}`, "", "too_large"},
		{"delete_everything", `{}`, "", "unknown_tool"},
		{"", `{}`, "", "unknown_tool"},
		{"order_status\n", `{"order":"1042"}`, "", "unknown_tool"},
		{strings.Repeat("n", 100_000), `{}`, "", "unknown_tool"},
	} {
		got := decodeOne(toolPrompt, c.name, c.args)
		if string(got.Args) != c.want || got.Invalid != c.invalid || got.ID != "3.0" {
			t.Errorf("%.20s(%.60s) is %s %.200s %q, want %s %q", c.name, c.args, got.ID, got.Args, got.Invalid, c.want, c.invalid)
		}
		if !nameForm.MatchString(got.Name) {
			t.Errorf("the name %.40q would be refused in the next request", got.Name)
		}
	}
}

// A schema comes from a tenant: it reads no files, calls nobody, and one that cannot be
// used lets nothing through.
func TestDecode_SchemasStandAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(file, []byte(`{"required":["n"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ schema, invalid string }{
		"file":            {`{"$ref":"file://` + file + `"}`, "tool_schema"},
		"http":            {`{"$ref":"http://169.254.169.254/"}`, "tool_schema"},
		"metaschema":      {`{"$schema":"http://example.com/schema"}`, "tool_schema"},
		"absurd number":   {`{"properties":{"n":{"multipleOf":1e-999999999}}}`, "tool_schema"},
		"bad pattern":     {`{"properties":{"n":{"pattern":"("}}}`, "tool_schema"},
		"no schema":       {`"x"`, "tool_schema"},
		"not json":        {`{`, "tool_schema"},
		"ever deeper":     {`{"$ref":"#"}`, "schema: at the top"},
		"large":           {`{"description":"` + strings.Repeat("x", schemaMax) + `"}`, "tool_schema"},
		"none is allowed": {``, ""},
		"itself is fine":  {`{"properties":{"next":{"$ref":"#"}}}`, ""},
	} {
		p := &chat.Prompt{Tools: []chat.ToolSpec{{Name: "t", Parameters: json.RawMessage(c.schema)}}}
		if got := decodeOne(p, "t", `{"n":1,"next":{}}`); got.Invalid != c.invalid {
			t.Errorf("%s: %q, want %q", name, got.Invalid, c.invalid)
		}
	}
}

// deltas of several calls come in any order; whatever the server says of indexes and
// ids, each call is put together.
func TestGatherer_PutsCallsTogether(t *testing.T) {
	at := func(i int) *int { return &i }
	delta := func(index *int, id, name, args string) *goopenai.ToolCall {
		return &goopenai.ToolCall{Index: index, ID: id, Function: goopenai.FunctionCall{Name: name, Arguments: args}}
	}
	for name, c := range map[string]struct {
		deltas []*goopenai.ToolCall
		want   []string
	}{
		"interleaved": {[]*goopenai.ToolCall{delta(at(0), "a", "one", ""), delta(at(1), "b", "two", `{"x`), delta(at(0), "", "", `{"y":`),
			delta(at(1), "", "", `":1}`), delta(at(0), "", "", `2}`)}, []string{`one{"y":2}`, `two{"x":1}`}},
		"equal ids":        {[]*goopenai.ToolCall{delta(at(0), "a", "one", `{}`), delta(at(1), "a", "two", `{}`)}, []string{`one{}`, `two{}`}},
		"one index, ids":   {[]*goopenai.ToolCall{delta(at(0), "a", "one", `{}`), delta(at(0), "b", "two", `{}`)}, []string{`one{}`, `two{}`}},
		"no index":         {[]*goopenai.ToolCall{delta(nil, "a", "one", `{`), delta(nil, "", "", `}`), delta(nil, "b", "two", `{}`)}, []string{`one{}`, `two{}`}},
		"id in each delta": {[]*goopenai.ToolCall{delta(at(0), "a", "one", `{`), delta(at(0), "a", "one", `}`)}, []string{`one{}`}},
		"absurd indexes":   {[]*goopenai.ToolCall{delta(at(-7), "a", "one", `{}`), delta(at(1<<40), "b", "two", `{}`)}, []string{`one{}`, `two{}`}},
	} {
		var g gatherer
		for _, d := range c.deltas {
			if err := g.add(d); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for _, call := range g.calls {
			got = append(got, call.name+string(call.args))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestGatherer_BoundsCalls(t *testing.T) {
	var g gatherer
	for i := range callsEver {
		if err := g.add(&goopenai.ToolCall{Index: &i, Function: goopenai.FunctionCall{Name: "anything"}}); err != nil {
			t.Fatal(err)
		}
	}
	calls := g.decode(toolPrompt, &validator{})
	for i, c := range calls {
		if want := map[bool]string{true: "", false: "too_many_calls"}[i < callsMax]; c.Invalid != want || c.ID != fmt.Sprintf("3.%d", i) {
			t.Errorf("call %d is %+v", i, c)
		}
	}
	last := callsEver
	if err := g.add(&goopenai.ToolCall{Index: &last}); err == nil {
		t.Error("any number of calls is taken")
	}
}

// FuzzToolCalls: whatever a model says, a call is either refused with a word or its
// arguments are one canonical object that the schema was held against.
func FuzzToolCalls(f *testing.F) {
	for _, args := range []string{`{"order":"1042"}`, `{"order":"1","n":2e0}`, `{"a":[1,2,{"b":null}]}`, `{"n":1e999}`, `{"a":1,"a":2}`, "", "[", "{\"\u2028\":\"\\ud800\"}"} {
		f.Add("order_status", args, string(orderTool.Parameters))
		f.Add("anything", args, `{"properties":{"n":{"multipleOf":0.1}}}`)
	}
	f.Fuzz(func(t *testing.T, name, args, schema string) {
		p := &chat.Prompt{Call: 1, Tools: []chat.ToolSpec{orderTool, {Name: "anything", Parameters: json.RawMessage(schema)}}}
		v := &validator{}
		var g gatherer
		half := len(args) / 2
		for _, part := range []string{args[:half], args[half:]} {
			if err := g.add(&goopenai.ToolCall{Function: goopenai.FunctionCall{Name: name, Arguments: part}}); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range g.decode(p, v) {
			if c.Invalid != "" {
				if len(c.Args) != 0 {
					t.Fatalf("refused with %q and still has arguments %q", c.Invalid, c.Args)
				}
				continue
			}
			var object map[string]any
			if json.Unmarshal(c.Args, &object) != nil || object == nil {
				t.Fatalf("%q is no object", c.Args)
			}
			again, tree, word := canonical(c.Args)
			if word != "" || !bytes.Equal(again, c.Args) {
				t.Fatalf("%q is not canonical: %q %q", c.Args, again, word)
			}
			if c.Name != "order_status" && c.Name != "anything" {
				t.Fatalf("made up a tool %q", c.Name)
			}
			if c.Name == "order_status" && v.check(orderTool.Parameters, tree) != "" {
				t.Fatalf("%q does not match the schema", c.Args)
			}
		}
	})
}
