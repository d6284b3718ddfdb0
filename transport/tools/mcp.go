package tools

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/chumiai/chumi/chat"
)

// Limits of MCP servers.
const (
	// listLife is how long the tools of a server are taken for what they were.
	listLife = 5 * time.Minute
	// serverToolsMax and listPagesMax bound a server's list.
	serverToolsMax = 200
	listPagesMax   = 20
	// listsMax bounds the lists that are kept.
	listsMax = 1000
)

// servers remembers which tools servers have.
type servers struct {
	mu    sync.Mutex
	lists map[string]list
}

// list is the tools of a server at a time.
type list struct {
	at    time.Time
	tools []chat.PinnedTool
}

// carrier puts headers on the requests of a session, bounds what it reads, and lets
// nothing leave for another host.
type carrier struct {
	next    http.RoundTripper
	host    string
	headers http.Header
	most    int64
}

// RoundTrip implements http.RoundTripper.
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != c.host {
		return nil, chat.E("tools", chat.KindInvalid, "a session stays with its host", nil)
	}
	r = r.Clone(r.Context())
	for name, values := range c.headers {
		r.Header[name] = values
	}
	res, err := c.next.RoundTrip(r)
	if err == nil {
		res.Body = &bounded{ReadCloser: res.Body, left: c.most}
	}
	return res, err
}

var errLarge = errors.New("the answer is too large")

// bounded is a body that ends with an error where it is too long.
type bounded struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLarge
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// session opens a session with a server. The engine offers it nothing: no sampling, no
// files, no questions to people.
func (c *Client) session(ctx context.Context, t chat.TenantID, s *chat.ToolServer) (*mcp.ClientSession, []string, error) {
	if w := c.CheckServer(t, s); w != nil {
		return nil, nil, unusable(w)
	}
	headers, secrets, err := c.secrets(t, s.Headers)
	if err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, nil, failed(wordDefined, "The tool cannot be used as it is defined.")
	}
	web := &http.Client{CheckRedirect: c.http.CheckRedirect,
		Transport: &carrier{next: c.http.Transport, host: u.Host, headers: headers, most: c.opt.AnswerMax}}
	client := mcp.NewClient(&mcp.Implementation{Name: "chumi", Version: "1"}, &mcp.ClientOptions{Capabilities: &mcp.ClientCapabilities{}})
	open, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: s.URL, HTTPClient: web, MaxRetries: -1, DisableStandaloneSSE: true,
		MaxEventSize: int(c.opt.AnswerMax)}, nil) // #nosec G115 -- a few hundred KB
	if err != nil {
		return nil, nil, c.unserved(ctx, err)
	}
	return open, secrets, nil
}

// unserved is unreached for a session.
func (c *Client) unserved(ctx context.Context, err error) error {
	if errors.Is(err, errLarge) {
		return failed(wordLarge, "The answer is too large.")
	}
	return unreached(ctx, err)
}

// Discover asks a server for its tools, as they would be pinned. What cannot be used
// is left out and named. The reason of a KindConflict is the word of a failed call.
func (c *Client) Discover(ctx context.Context, t chat.TenantID, s *chat.ToolServer) (tools []chat.PinnedTool, left []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
	defer cancel()
	open, _, err := c.session(ctx, t, s)
	if err == nil {
		defer func() { _ = open.Close() }()
		tools, left, err = c.toolsOf(ctx, open)
	}
	var f *failure
	if errors.As(err, &f) {
		err = chat.E("tools.Discover", chat.KindConflict, f.word, nil)
	}
	return tools, left, err
}

// toolsOf lists the tools of a session.
func (c *Client) toolsOf(ctx context.Context, open *mcp.ClientSession) (tools []chat.PinnedTool, left []string, err error) {
	cursor := ""
	for range listPagesMax {
		page, err := open.ListTools(ctx, &mcp.ListToolsParams{Cursor: cursor})
		if err != nil {
			return nil, nil, c.unserved(ctx, err)
		}
		for _, tool := range page.Tools {
			pinned, ok := c.pin(tool)
			if !ok || len(tools) == serverToolsMax {
				left = append(left, cut(clean(tool.Name, nil), 100))
				continue
			}
			tools = append(tools, pinned)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	slices.SortFunc(tools, func(a, b chat.PinnedTool) int { return strings.Compare(a.Name, b.Name) })
	return tools, left, nil
}

// pin is a tool as it would be approved.
func (c *Client) pin(tool *mcp.Tool) (p chat.PinnedTool, ok bool) {
	schema, err := json.Marshal(tool.InputSchema)
	if err != nil {
		return p, false
	}
	if schema, err = chat.CanonicalSchema(schema); err != nil {
		return p, false
	}
	if _, err := c.compile(schema); err != nil || tool.Name == "" || len(tool.Name) > descriptionMax {
		return p, false
	}
	p = chat.PinnedTool{Name: tool.Name, Description: cut(clean(tool.Description, nil), descriptionMax), Schema: schema}
	p.Digest = digest([]byte(tool.Name), []byte(tool.Description), schema)
	return p, true
}

// live is what a server has now, or had a few minutes ago.
func (c *Client) live(ctx context.Context, t chat.TenantID, s *chat.ToolServer, open *mcp.ClientSession) ([]chat.PinnedTool, error) {
	headers, err := json.Marshal(s.Headers)
	if err != nil {
		return nil, failed(wordDefined, "The tool cannot be used as it is defined.")
	}
	key := digest([]byte(t), []byte(s.Name), []byte(s.URL), headers)
	c.servers.mu.Lock()
	known, ok := c.servers.lists[key]
	c.servers.mu.Unlock()
	if ok && time.Since(known.at) < listLife {
		return known.tools, nil
	}
	tools, _, err := c.toolsOf(ctx, open)
	if err != nil {
		return nil, err
	}
	c.servers.mu.Lock()
	defer c.servers.mu.Unlock()
	if len(c.servers.lists) >= listsMax || c.servers.lists == nil {
		c.servers.lists = map[string]list{}
	}
	c.servers.lists[key] = list{at: time.Now(), tools: tools}
	return tools, nil
}

// callServer calls a tool of an MCP server.
func (c *Client) callServer(ctx context.Context, r *chat.ToolRun, args json.RawMessage) (string, error) {
	stored, found, err := c.opt.Documents.Doc(r.Tenant, chat.DocToolServer, r.Tool.MCP.Server)
	var server chat.ToolServer
	switch {
	case err != nil:
		return "", failed(wordStored, "The tool does not work now.")
	case !found || json.Unmarshal(stored, &server) != nil:
		return "", failed(wordDefined, "The tool cannot be used as it is defined.")
	}
	pinned := server.Pinned(r.Tool.MCP.Tool)
	if pinned == nil {
		return "", failed(wordSchema, "The tool is not approved.")
	}
	// What the model saw is the schema that was approved; the tool may restate it.
	if err := c.valid(pinned.Schema, args); err != nil {
		return "", err
	}
	if len(r.Tool.Parameters) > 0 {
		if err := c.valid(r.Tool.Parameters, args); err != nil {
			return "", err
		}
	}
	open, secrets, err := c.session(ctx, r.Tenant, &server)
	if err != nil {
		return "", err
	}
	defer func() { _ = open.Close() }()
	tools, err := c.live(ctx, r.Tenant, &server, open)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(tools, func(p chat.PinnedTool) bool { return p.Name == pinned.Name && p.Digest == pinned.Digest }) {
		return "", failed(wordSchema, "The tool was changed by its server and is not approved as it is now.")
	}
	params := &mcp.CallToolParams{Name: pinned.Name, Arguments: args}
	if r.Key != "" {
		params.Meta = mcp.Meta{"chumi.dev/idempotency-key": r.Key}
	}
	answered, err := open.CallTool(ctx, params)
	if err != nil {
		return "", c.unserved(ctx, err)
	}
	return spoken(answered, secrets)
}

// spoken is what a model sees of a tool's answer: its texts, or what it structured.
func spoken(answered *mcp.CallToolResult, secrets []string) (string, error) {
	var parts []string
	for _, content := range answered.Content {
		switch one := content.(type) {
		case *mcp.TextContent:
			parts = append(parts, one.Text)
		case *mcp.EmbeddedResource:
			if one.Resource != nil && one.Resource.Text != "" {
				parts = append(parts, one.Resource.Text)
			}
		}
	}
	if len(parts) == 0 && answered.StructuredContent != nil {
		if b, err := json.Marshal(answered.StructuredContent); err == nil {
			parts = append(parts, string(b))
		}
	}
	text := clean(strings.Join(parts, "\n"), secrets)
	switch {
	case answered.IsError:
		return "", failed(wordStatus, cut("The tool answered with an error. "+text, errorShown))
	case text == "":
		return "Done; the tool said nothing that is text.", nil
	}
	return cut(text, chat.ToolResultMax), nil
}
