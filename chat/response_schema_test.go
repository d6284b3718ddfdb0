package chat

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// The schema and the struct name the same properties, and all are required.
func TestResponseSchema_IsOfResponse(t *testing.T) {
	var s struct {
		Required   []string
		Properties map[string]struct {
			Type string
			Enum []string
		}
	}
	if err := json.Unmarshal([]byte(ResponseSchema), &s); err != nil {
		t.Fatal(err)
	}
	typ := reflect.TypeFor[Response]()
	for i := range typ.NumField() {
		name := typ.Field(i).Tag.Get("json")
		want := map[reflect.Kind]string{reflect.String: "string", reflect.Float64: "number", reflect.Slice: "array"}[typ.Field(i).Type.Kind()]
		if s.Properties[name].Type != want || !slices.Contains(s.Required, name) {
			t.Errorf("%s is %q in the schema, want %q and required", name, s.Properties[name].Type, want)
		}
	}
	if len(s.Properties) != typ.NumField() || len(s.Required) != typ.NumField() {
		t.Error("the schema has properties that the struct has not")
	}
	if !slices.Equal(s.Properties["sentiment"].Enum, Sentiments) {
		t.Errorf("sentiments %v", s.Properties["sentiment"].Enum)
	}
}
