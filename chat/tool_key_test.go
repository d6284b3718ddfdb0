package chat_test

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/chumiai/chumi/chat"
)

func TestToolKey_IsOfTheCall(t *testing.T) {
	key := chat.ToolKey("conv_a", "book", json.RawMessage(`{"day":"Mon","at":{"h":9,"m":0}}`), 7)
	if again := chat.ToolKey("conv_a", "book", json.RawMessage(` { "at": {"m":0, "h":9}, "day":"Mon" } `), 7); again != key {
		t.Errorf("the order of members and spaces make another key: %s, %s", key, again)
	}
	for name, other := range map[string]string{
		"conversation": chat.ToolKey("conv_b", "book", json.RawMessage(`{"day":"Mon","at":{"h":9,"m":0}}`), 7),
		"tool":         chat.ToolKey("conv_a", "bookx", json.RawMessage(`{"day":"Mon","at":{"h":9,"m":0}}`), 7),
		"arguments":    chat.ToolKey("conv_a", "book", json.RawMessage(`{"day":"Tue","at":{"h":9,"m":0}}`), 7),
		"messages":     chat.ToolKey("conv_a", "book", json.RawMessage(`{"day":"Mon","at":{"h":9,"m":0}}`), 8),
		"a border":     chat.ToolKey("conv_ab", "ook", json.RawMessage(`{"day":"Mon","at":{"h":9,"m":0}}`), 7),
	} {
		if other == key {
			t.Errorf("another %s has the same key", name)
		}
	}
}

func TestCanonicalArgs(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"", "{}", ""}, {" {} ", "{}", ""}, {`{"b":1,"a":[{"d":1.50,"c":"<&>"}]}`, `{"a":[{"c":"<&>","d":1.50}],"b":1}`, ""},
		{`{"a":12345678901234567890}`, `{"a":12345678901234567890}`, ""},
		{`{"a":1e999999999}`, "", "range"}, {`{"a":[1e-999999999]}`, "", "range"}, {`{"a":1e20}`, `{"a":1e20}`, ""}, {`{"a":` + strings.Repeat("9", 100) + `}`, "", "range"},
		{`[]`, "", "not one"}, {`null`, "", "not one"}, {`{"a":NaN}`, "", "not one"}, {`{"a":1}{"b":2}`, "", "not one"}, {`{"a":1`, "", "not one"},
		{`{"a":1,"a":2}`, "", "twice"}, {`{"a":{"b":1,"b":2}}`, "", "twice"}, {`{"a":[{"b":1},{"b":2}]}`, `{"a":[{"b":1},{"b":2}]}`, ""}, {`{"a":"a","b":"a"}`, `{"a":"a","b":"a"}`, ""},
		{`{"a":` + strings.Repeat("[", 20) + strings.Repeat("]", 20) + "}", "", "deeply"},
		{`{"a":"` + strings.Repeat("x", chat.ToolArgsMax) + `"}`, "", "large"},
	} {
		got, err := chat.CanonicalArgs(json.RawMessage(c.in))
		if string(got) != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%.60s: %s, %v; want %s, %s", c.in, got, err, c.want, c.err)
		}
	}
}

func FuzzCanonicalArgs(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `{"\u0061":1,"a":2}`, "{\"a\":\"\xff\"}", `{"a":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, args []byte) {
		once, err := chat.CanonicalArgs(args)
		if err != nil {
			return
		}
		twice, err := chat.CanonicalArgs(once)
		if err != nil && len(once) <= chat.ToolArgsMax || err == nil && string(twice) != string(once) {
			t.Fatalf("%q: once %q, twice %q, %v", args, once, twice, err)
		}
	})
}

func TestCanonicalArgs_Property_Stable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := rapid.MapOf(rapid.String(), rapid.OneOf(rapid.String().AsAny(), rapid.Int64().AsAny(), rapid.Bool().AsAny(), rapid.SliceOf(rapid.String()).AsAny())).Draw(t, "tree")
		b, err := json.Marshal(tree)
		if err != nil || len(b) > chat.ToolArgsMax/2 {
			return
		}
		once, err := chat.CanonicalArgs(b)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := chat.CanonicalArgs(once); err != nil || string(twice) != string(once) {
			t.Fatalf("%s became %s, %v", once, twice, err)
		}
	})
}
