package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
)

// decode reads a body strictly: one object, no members the contract does not
// name. encoding/json copies every string. An empty body passes when it may.
func decode(body []byte, into any, mayBeEmpty bool) *failure {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		if mayBeEmpty {
			return nil
		}
		return invalid("body_missing", "", "The request needs a JSON body.")
	}
	if body[0] != '{' {
		return invalid("body_invalid", "", "The body must be a JSON object.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return explain(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("body_invalid", "", "Something follows the JSON object.")
	}
	return nil
}

func explain(err error) *failure {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return invalid("parameter_invalid", wrong.Field, wrong.Field+" must be a "+wrong.Type.String()+", not a "+wrong.Value+".")
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		name = strings.Trim(name, `"`)
		return invalid("parameter_unknown", name, "There is no member of this name.")
	}
	return invalid("body_invalid", "", "The body is not valid JSON.")
}
