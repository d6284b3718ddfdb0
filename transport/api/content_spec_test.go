package api_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/chumiai/chumi/chat"
)

// TestSpec_NamesEveryMemberOfContent: what integrators read about is what they get,
// member by member and type by type. An offer is as its sender wrote it.
func TestSpec_NamesEveryMemberOfContent(t *testing.T) {
	compareSchema(t, "content", contract(t).Components.Schemas["Content"], reflect.TypeFor[chat.Content]())
}

func compareSchema(t *testing.T, at string, ref *openapi3.SchemaRef, is reflect.Type) {
	t.Helper()
	if ref == nil {
		t.Errorf("%s is not in openapi.yaml; describe it there", at)
		return
	}
	if is.Kind() == reflect.Pointer {
		is = is.Elem()
	}
	want := map[reflect.Kind]string{reflect.String: "string", reflect.Bool: "boolean", reflect.Int: "integer", reflect.Float64: "number",
		reflect.Slice: "array", reflect.Struct: "object"}[is.Kind()]
	text := is.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]())
	if text || is == reflect.TypeFor[time.Time]() {
		want = "string"
	}
	schema := ref.Value
	if !schema.Type.Is(want) {
		t.Errorf("%s is a %s, in openapi.yaml a %v", at, want, schema.Type)
		return
	}
	switch {
	case want == "array":
		compareSchema(t, at+"[]", schema.Items, is.Elem())
	case want == "object" && is != reflect.TypeFor[chat.Offer]():
		members := map[string]bool{}
		for i := range is.NumField() {
			name, _, _ := strings.Cut(is.Field(i).Tag.Get("json"), ",")
			members[name] = true
			compareSchema(t, at+"."+name, schema.Properties[name], is.Field(i).Type)
		}
		for name := range schema.Properties {
			if !members[name] {
				t.Errorf("%s.%s is in openapi.yaml and nowhere else", at, name)
			}
		}
	}
}
