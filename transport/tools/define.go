package tools

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// Places of secrets in headers.
const (
	secretOpen  = "{{secret:"
	secretClose = "}}"
)

// Limits of definitions.
const (
	nameMax        = 64
	descriptionMax = 2000
	headersMax     = 20
	headerValueMax = 2000
	urlMax         = 2000
	pickMax        = 200
)

func wrong(param, code, message string) *chat.LimitError {
	return &chat.LimitError{Param: param, Code: code, Message: message}
}

// unusable is what a model is told when a stored definition may not stand any more.
func unusable(w *chat.LimitError) error {
	if w.Code == wordHost {
		return failed(wordHost, "The tool is not allowed to do this.")
	}
	return failed(wordDefined, "The tool cannot be used as it is defined.")
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		sum := sha256.Sum256(p)
		_, _ = h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// CheckTool looks at the definition of a tool of a tenant; nil when it may stand. It is
// asked when a tool is written, and again at each call.
func (c *Client) CheckTool(t chat.TenantID, tool *chat.Tool) *chat.LimitError {
	if !chat.ValidToolName(tool.Name) {
		return wrong("name", "parameter_invalid", "name must hold letters, digits, _ and - only, at most 64.")
	}
	if _, ours := chat.EngineTool(tool.Name); ours {
		return wrong("name", "parameter_invalid", "The engine has a tool of this name; choose another.")
	}
	if tool.Description == "" || len(tool.Description) > descriptionMax {
		return wrong("description", "parameter_invalid", "description must say in at most 2000 bytes what the tool does: the model chooses by it.")
	}
	if tool.Timeout < 0 || tool.Timeout > TimeoutMax {
		return wrong("timeout", "parameter_invalid", "timeout must be at most 60 s.")
	}
	switch {
	case tool.Kind == chat.ToolHTTP && tool.HTTP != nil && tool.MCP == nil:
		if _, err := c.compile(tool.Parameters); err != nil {
			return wrong("parameters", "schema_invalid", "parameters must be the JSON schema of an object: "+err.Error()+".")
		}
		return c.checkHTTP(t, tool)
	case tool.Kind == chat.ToolMCP && tool.MCP != nil && tool.HTTP == nil:
		if !chat.ValidToolName(tool.MCP.Server) {
			return wrong("mcp.server", "parameter_invalid", "mcp.server must name a tool server; see GET /v1/tool-servers.")
		}
		if tool.MCP.Tool == "" || len(tool.MCP.Tool) > descriptionMax {
			return wrong("mcp.tool", "parameter_missing", "mcp.tool must name a tool of the server.")
		}
		return nil
	}
	return wrong("kind", "parameter_invalid", "kind must be http with http, or mcp with mcp.")
}

// methods are those a tool may use; those that change nothing need no acts.
var methods = map[string]bool{http.MethodGet: false, http.MethodPost: true, http.MethodPut: true, http.MethodPatch: true, http.MethodDelete: true}

func (c *Client) checkHTTP(t chat.TenantID, tool *chat.Tool) *chat.LimitError {
	h := tool.HTTP
	if _, ok := methods[h.Method]; !ok {
		return wrong("http.method", "parameter_invalid", "http.method must be GET, POST, PUT, PATCH or DELETE.")
	}
	if h.Method == http.MethodDelete && !tool.Acts {
		return wrong("acts", "parameter_invalid", "A DELETE changes something: set acts.")
	}
	if w := c.checkHeaders("http.headers", h.Headers); w != nil {
		return w
	}
	if len(h.Pick) > pickMax || h.Pick != "" && h.Pick[0] != '/' {
		return wrong("http.pick", "parameter_invalid", "http.pick must be a JSON pointer such as /data/status.")
	}
	template, err := parseTemplate(h.URL)
	if err != nil {
		return wrong("http.url", "url_unsafe", "http.url: "+err.Error()+".")
	}
	return c.checkURL(t, "http.url", template.sample())
}

// checkURL checks where a definition leads.
func (c *Client) checkURL(t chat.TenantID, param, raw string) *chat.LimitError {
	u, err := c.opt.CheckURL(raw)
	if err != nil {
		return wrong(param, "url_unsafe", param+" must be an https URL of a public host, without a user and on port 443 or 8443.")
	}
	ok, err := c.allowed(t, u.Hostname())
	switch {
	case err != nil:
		return wrong(param, wordStored, "The list of hosts cannot be read now; try again.")
	case !ok:
		return wrong(param, wordHost, "The host of "+param+" is not on the list of hosts that tools may talk to; add it with PUT /v1/tool-hosts.")
	}
	return nil
}

// heldHeaders are set by the engine alone, or would change where a request leads.
var heldHeaders = []string{"host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect", "cookie",
	"idempotency-key", "accept", "accept-encoding", "forwarded", "x-forwarded-for", "x-forwarded-host", "proxy-authorization", "proxy-connection",
	"mcp-session-id", "mcp-protocol-version", "mcp-method", "mcp-name", "last-event-id", "keep-alive"}

// credentialHeaders hold a credential by their name: it must be a secret.
var credentialHeaders = []string{"authorization", "x-api-key", "api-key", "apikey", "x-auth-token", "x-access-token", "x-token", "token", "x-shopify-access-token", "x-secret"}

func (c *Client) checkHeaders(param string, headers map[string]string) *chat.LimitError {
	if len(headers) > headersMax {
		return wrong(param, "parameter_too_many", "A tool may set at most 20 headers.")
	}
	for name, value := range headers {
		lower := strings.ToLower(name)
		at := param + "." + name
		switch {
		case !headerName(name):
			return wrong(param, "parameter_invalid", "The name of a header must hold letters, digits and - only.")
		case slices.Contains(heldHeaders, lower) || strings.HasPrefix(lower, "sec-") || strings.HasPrefix(lower, "proxy-"):
			return wrong(at, "header_unsafe", at+" is set by the engine; leave it out.")
		case len(value) > headerValueMax || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }):
			return wrong(at, "parameter_invalid", at+" must be one line of at most 2000 bytes.")
		}
		plain, err := withoutSecrets(value)
		if err != "" {
			return wrong(at, "parameter_invalid", at+": "+err)
		}
		if slices.Contains(credentialHeaders, lower) && plain == value || len(plain) >= 32 && !strings.ContainsAny(plain, " ,;") {
			return wrong(at, "secret_in_definition", at+" looks like a credential, and definitions are shown: store it with PUT /v1/tool-secrets/NAME and write {{secret:NAME}} here.")
		}
	}
	return nil
}

func headerName(name string) bool {
	return name != "" && len(name) <= nameMax && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-')
	})
}

// withoutSecrets is a header without the places of secrets in it.
func withoutSecrets(value string) (plain, wrong string) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(value, secretOpen)
		out.WriteString(before)
		if !found {
			return out.String(), ""
		}
		name, rest, closed := strings.Cut(after, secretClose)
		if !closed || !chat.ValidToolName(name) {
			return "", "a secret is written {{secret:NAME}}, with letters, digits, _ and - in its name."
		}
		value = rest
	}
}

// CheckServer looks at the definition of a tool server; nil when it may stand.
func (c *Client) CheckServer(t chat.TenantID, s *chat.ToolServer) *chat.LimitError {
	if !chat.ValidToolName(s.Name) {
		return wrong("name", "parameter_invalid", "name must hold letters, digits, _ and - only, at most 64.")
	}
	if w := c.checkHeaders("headers", s.Headers); w != nil {
		return w
	}
	if len(s.URL) > urlMax || strings.ContainsAny(s.URL, "{}#") {
		return wrong("url", "url_unsafe", "url must be the plain URL of a streamable HTTP endpoint.")
	}
	return c.checkURL(t, "url", s.URL)
}
