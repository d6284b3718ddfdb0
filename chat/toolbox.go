package chat

import (
	"encoding/json"
	"maps"
	"slices"
)

// engineTools are the engine's own tools, as models see them.
var engineTools = map[string]Tool{
	ToolHandoff: {
		Description: "Hand the conversation to a person of the business. Use it when the customer asks for a person, or when you cannot help.",
		Parameters:  json.RawMessage(`{"type":"object","properties":{"reason":{"type":"string","description":"Why a person is needed, in a sentence for that person."}},"required":["reason"],"additionalProperties":false}`),
		Acts:        true, Repeatable: true,
	},
	ToolSetContact: {
		Description: "Remember something the customer said about themselves, such as their name or order number.",
		Parameters:  json.RawMessage(`{"type":"object","properties":{"field":{"type":"string","description":"What it is, in a word."},"value":{"type":"string"}},"required":["field","value"],"additionalProperties":false}`),
		Acts:        true, Repeatable: true,
	},
	ToolSearchKnowledge: {
		Description: "Search what the business has written down: opening hours, terms, instructions, answers to frequent questions.",
		Parameters:  json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","description":"What to look for, in the customer's words."}},"required":["query"],"additionalProperties":false}`),
	},
	ToolSearchCatalog: {
		Description: "Search the products of the business, with their prices and whether they are in stock.",
		Parameters:  json.RawMessage(`{"type":"object","properties":{"query":{"type":"string","description":"What to look for, in the customer's words."}},"required":["query"],"additionalProperties":false}`),
	},
	ToolOrderStatus: {
		Description: "Look up how orders of this customer stand. Orders of other customers cannot be looked up.",
		Parameters:  json.RawMessage(`{"type":"object","properties":{"order":{"type":"string","description":"The number of the order; empty for the latest ones."}},"required":["order"],"additionalProperties":false}`),
	},
}

// EngineTool is one of the engine's own tools; found is false for any other name.
func EngineTool(name string) (t Tool, found bool) {
	t, found = engineTools[name]
	t.Name, t.Kind = name, ToolEngine
	return t, found
}

// EngineTools are the engine's own tools, by name.
func EngineTools() []Tool {
	list := make([]Tool, 0, len(engineTools))
	for _, name := range slices.Sorted(maps.Keys(engineTools)) {
		t, _ := EngineTool(name)
		list = append(list, t)
	}
	return list
}
