package chat

import (
	"encoding/json"
	"time"
)

// Tool is something a model may ask for. Who it is done for (tenant, contact,
// conversation) is supplied by the engine and never an argument. It is a document
// of the tenant, by name, except the engine's own.
type Tool struct {
	// Name is what the model calls: letters, digits, "_" and "-", at most 64.
	Name        string `json:"name"`
	Description string `json:"description"`
	// Parameters is the JSON schema of the arguments: an object.
	Parameters json.RawMessage `json:"parameters"`
	Kind       ToolKind        `json:"kind"`
	// Acts is true when a call changes something outside, so that it must not be made
	// twice, and a person may have to approve it.
	Acts bool `json:"acts,omitempty"`
	// Repeatable is true when the other side knows repetitions by the idempotency
	// key: a call whose answer was lost is made again.
	Repeatable bool          `json:"repeatable,omitempty"`
	Timeout    time.Duration `json:"timeout,omitempty"`
	HTTP       *HTTPTool     `json:"http,omitempty"`
	MCP        *MCPTool      `json:"mcp,omitempty"`
}

// ToolKind tells who does the work.
type ToolKind string

// The kinds of tools.
const (
	ToolEngine ToolKind = "engine"
	ToolHTTP   ToolKind = "http"
	ToolMCP    ToolKind = "mcp"
)

// The engine's own tools.
const (
	ToolHandoff         = "handoff"
	ToolSetContact      = "set_contact_field"
	ToolSearchKnowledge = "search_knowledge"
	ToolSearchCatalog   = "search_catalog"
	ToolOrderStatus     = "order_status"
)

// ToolGrant lets an assistant use a tool.
type ToolGrant struct {
	Name string `json:"name"`
	// Approval has a person look at each call first.
	Approval bool `json:"approval,omitempty"`
	// Max bounds calls in one conversation and day; 0 for no other bound than that
	// of the turn.
	Max int `json:"max_per_conversation,omitempty"`
}

// HTTPTool is a request to a server of the business. Arguments go into the JSON
// body, or into the query of a GET, besides those named in URL as {name}.
type HTTPTool struct {
	Method string `json:"method"`
	// URL is https; {name} stands for an argument, escaped.
	URL string `json:"url"`
	// Headers may hold {{secret:NAME}}, which never leaves the engine otherwise.
	Headers map[string]string `json:"headers,omitempty"`
	// Pick is a JSON pointer to the part of the answer that the model sees.
	Pick string `json:"pick,omitempty"`
}

// MCPTool is a tool of a Model Context Protocol server.
type MCPTool struct {
	Server string `json:"server"`
	Tool   string `json:"tool"`
}

// ToolSpec is a tool as a model sees it.
type ToolSpec struct {
	Name        string
	Description string
	Parameters  json.RawMessage
}

// ToolCall is a call that a model asks for.
type ToolCall struct {
	// ID is unique within the conversation's turn: the engine makes it of step and
	// place, whatever the model says.
	ID   string `json:"id"`
	Name string `json:"name"`
	// Args is canonical JSON: an object with sorted keys.
	Args json.RawMessage `json:"args,omitempty"`
	// Invalid says why the call cannot be made; it is told to the model and never done.
	Invalid string `json:"invalid,omitempty"`
}

// ToolRun is a call to be made, with what the engine supplies.
type ToolRun struct {
	Tenant       TenantID
	Channel      ChannelID
	Conversation ConversationID
	Contact      ContactID
	Turn         TurnID
	Call         ToolCall
	Tool         Tool
	// Key tells repetitions of the call from another one.
	Key string
}

// ToolResult is what a call came to.
type ToolResult struct {
	// Content is what the model sees, at most ToolResultMax bytes.
	Content string `json:"content"`
	// Error is a word when it failed; Content then says what the model may know.
	Error string `json:"error,omitempty"`
	// Saw is what of the knowledge or the catalog it found.
	Saw []Passage `json:"saw,omitempty"`
}

// ToolResultMax bounds the bytes of a result that a model sees.
const ToolResultMax = 8 << 10
