package openaisim

import (
	"encoding/json"
	"fmt"
	"slices"
)

// unstrict says why a strict server refuses a schema: every object must forbid other
// properties and require all of its own.
func unstrict(schema map[string]any) string {
	if properties, ok := schema["properties"].(map[string]any); ok {
		if schema["additionalProperties"] != false {
			return "'additionalProperties' is required to be supplied and to be false"
		}
		required, _ := schema["required"].([]any)
		for name, p := range properties {
			if !slices.Contains(required, any(name)) {
				return fmt.Sprintf("'required' must include every key in properties; missing %q", name)
			}
			if below, ok := p.(map[string]any); ok {
				if why := unstrict(below); why != "" {
					return why
				}
			}
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		return unstrict(items)
	}
	return ""
}

// fill makes a value that a schema allows. Properties that hints name get the hint,
// where the schema allows it.
func fill(schema map[string]any, name string, hints map[string]any) any {
	if enum, ok := schema["enum"].([]any); ok && len(enum) > 0 {
		if hint, ok := hints[name]; ok && slices.Contains(enum, hint) {
			return hint
		}
		return enum[0]
	}
	switch kind(schema) {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for key, p := range properties {
			below, _ := p.(map[string]any)
			out[key] = fill(below, key, hints)
		}
		return out
	case "array":
		if hint, ok := hints[name].([]any); ok {
			return hint
		}
		out := []any{}
		items, _ := schema["items"].(map[string]any)
		for least, _ := schema["minItems"].(float64); float64(len(out)) < least; {
			out = append(out, fill(items, name, hints))
		}
		return out
	case "number", "integer":
		if hint, ok := hints[name].(float64); ok {
			return hint
		}
		least, _ := schema["minimum"].(float64)
		return least
	case "boolean":
		return false
	case "null":
		return nil
	}
	if hint, ok := hints[name].(string); ok {
		return hint
	}
	hint, _ := hints[""].(string)
	if most, ok := schema["maxLength"].(float64); ok && float64(len(hint)) > most {
		hint = hint[:int(most)]
	}
	return hint
}

func kind(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		if first, ok := t[0].(string); ok {
			return first
		}
	}
	if _, ok := schema["properties"]; ok {
		return "object"
	}
	return "string"
}

// filled is fill as JSON.
func filled(raw json.RawMessage, hints map[string]any) string {
	var schema map[string]any
	if json.Unmarshal(raw, &schema) != nil {
		return "{}"
	}
	return string(encode(fill(schema, "", hints)))
}
