package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decodeStrict is decode for bodies with objects inside objects: what is wrong is
// named by its path, such as interactive.action.buttons[1].reply.title. Names are
// compared exactly, and a null is a member that is not there.
func decodeStrict(body []byte, into any) *failure {
	body = bytes.TrimSpace(body)
	switch {
	case len(body) == 0:
		return invalid("body_missing", "", "The request needs a JSON body.")
	case body[0] != '{':
		return invalid("body_invalid", "", "The body must be a JSON object.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var tree any
	if d.Decode(&tree) != nil {
		return invalid("body_invalid", "", "The body is not valid JSON.")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("body_invalid", "", "Something follows the JSON object.")
	}
	if fail := fits(tree, reflect.TypeOf(into).Elem(), ""); fail != nil {
		return fail
	}
	if json.Unmarshal(body, into) != nil {
		return invalid("body_invalid", "", "The body is not what the contract says.")
	}
	return nil
}

var (
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	rawType         = reflect.TypeFor[json.RawMessage]()
)

// fits compares a JSON value with the type it is for.
func fits(v any, t reflect.Type, path string) *failure {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case v == nil, t == rawType:
		return nil
	case reflect.PointerTo(t).Implements(unmarshalerType):
		return fitsOwn(v, t, path)
	}
	switch t.Kind() {
	case reflect.Struct:
		return fitsStruct(v, t, path)
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			return mustBe(path, "an array", v)
		}
		for i := range list {
			if fail := fits(list[i], t.Elem(), path+"["+strconv.Itoa(i)+"]"); fail != nil {
				return fail
			}
		}
		return nil
	case reflect.Map:
		members, ok := v.(map[string]any)
		if !ok {
			return mustBe(path, "an object", v)
		}
		for _, name := range sorted(members) {
			if fail := fits(members[name], t.Elem(), path+"."+name); fail != nil {
				return fail
			}
		}
		return nil
	}
	return fitsScalar(v, t, path)
}

func fitsStruct(v any, t reflect.Type, path string) *failure {
	members, ok := v.(map[string]any)
	if !ok {
		return mustBe(path, "an object", v)
	}
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = t.Field(i).Type
	}
	for _, name := range sorted(members) {
		at := strings.TrimPrefix(path+"."+name, ".")
		field, known := fields[name]
		if !known {
			return invalid("parameter_unknown", at, "There is no member of this name.")
		}
		if fail := fits(members[name], field, at); fail != nil {
			return fail
		}
	}
	return nil
}

func fitsScalar(v any, t reflect.Type, path string) *failure {
	n, number := v.(json.Number)
	switch t.Kind() {
	case reflect.String:
		if _, ok := v.(string); !ok {
			return mustBe(path, "a string", v)
		}
	case reflect.Bool:
		if _, ok := v.(bool); !ok {
			return mustBe(path, "true or false", v)
		}
	case reflect.Int, reflect.Int64:
		if i, err := n.Int64(); !number || err != nil || i > math.MaxInt || i < math.MinInt {
			return mustBe(path, "a whole number", v)
		}
	case reflect.Float64:
		if _, err := n.Float64(); !number || err != nil {
			return mustBe(path, "a number", v)
		}
	default:
		return invalid("parameter_unknown", path, "There is no member of this name.")
	}
	return nil
}

// fitsOwn asks a type that reads its own JSON.
func fitsOwn(v any, t reflect.Type, path string) *failure {
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, reflect.New(t).Interface())
	}
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong):
		return mustBe(path, "a "+wrong.Type.String(), v)
	}
	return mustBe(path, "something else", v)
}

func mustBe(path, what string, v any) *failure {
	return invalid("parameter_invalid", path, path+" must be "+what+", not "+kindOf(v)+".")
}

// kindOf names a JSON value.
func kindOf(v any) string {
	switch v.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "an array"
	case string:
		return "a string"
	case bool:
		return "a boolean"
	case json.Number:
		return "a number"
	}
	return "null"
}

func sorted(members map[string]any) []string {
	names := make([]string, 0, len(members))
	for name := range members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
