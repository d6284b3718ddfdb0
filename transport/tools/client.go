package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/chumiai/chumi/chat"
)

// The defaults of Options.
const (
	// DefaultTimeout is of a call whose tool says nothing, TimeoutMax of any.
	DefaultTimeout = 10 * time.Second
	TimeoutMax     = 60 * time.Second
	// DefaultAnswerMax is the largest answer that is read, in bytes: a model sees
	// chat.ToolResultMax of what is picked from it.
	DefaultAnswerMax = 256 << 10
)

// Documents reads the tenant's documents: secrets, hosts and servers of tools. Safe
// for concurrent use.
type Documents interface {
	// Doc returns the JSON of a document; found is false when there is none.
	Doc(t chat.TenantID, noun chat.DocNoun, id string) (value []byte, found bool, err error)
}

// Options is what a Client needs.
type Options struct {
	Documents Documents
	// HTTP is the guarded client: it dials nothing that a tenant may not reach.
	HTTP *http.Client
	// CheckURL refuses URLs that HTTP would refuse, before anything is stored.
	CheckURL func(raw string) (*url.URL, error)
	// Hosts are those the operator allows, as in chat.ToolHosts; none allows all that
	// a tenant names.
	Hosts []string
	// AnswerMax is the largest answer that is read.
	AnswerMax int64
}

// Client carries out calls. Safe for concurrent use.
type Client struct {
	opt      Options
	operator chat.ToolHosts
	http     *http.Client
	schemas  sync.Map // digest -> *jsonschema.Schema
	servers  servers
}

// New returns a Client.
func New(o Options) (*Client, error) {
	if o.Documents == nil || o.HTTP == nil || o.CheckURL == nil {
		return nil, chat.E("tools.New", chat.KindInvalid, "Documents, HTTP and CheckURL are required", nil)
	}
	if o.AnswerMax <= 0 {
		o.AnswerMax = DefaultAnswerMax
	}
	c := &Client{opt: o, operator: chat.ToolHosts{Hosts: o.Hosts}}
	plain := *o.HTTP
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &plain
	return c, nil
}

// The words of a failed call. What a model is told beside them holds no secret and
// nothing of where the engine looked.
const (
	wordArguments = "arguments_invalid"
	wordHost      = "host_not_allowed"
	wordSecret    = "secret_missing"
	wordDefined   = "definition_invalid"
	wordTimeout   = "timeout"
	wordFailed    = "unreachable"
	wordRefused   = "refused"
	wordRedirect  = "redirect_refused"
	wordType      = "answer_not_text"
	wordLarge     = "answer_too_large"
	wordPick      = "answer_without_part"
	wordStatus    = "answered_error"
	wordSchema    = "tool_changed"
	wordStored    = "unavailable"
)

// failure is a call that did not work: a word, and what the model may know.
type failure struct{ word, told string }

// Error implements error.
func (f *failure) Error() string { return f.word }

func failed(word, told string) error { return &failure{word, told} }

// result is what a call came to.
func result(content string, err error) chat.ToolResult {
	if err == nil {
		return chat.ToolResult{Content: content}
	}
	var f *failure
	if errors.As(err, &f) {
		return chat.ToolResult{Error: f.word, Content: f.told}
	}
	return chat.ToolResult{Error: wordFailed, Content: "The tool does not work now."}
}

// Run implements actors.RemoteTools.
func (c *Client) Run(ctx context.Context, r chat.ToolRun) chat.ToolResult {
	timeout := r.Tool.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, min(timeout, TimeoutMax))
	defer cancel()
	args, err := chat.CanonicalArgs(r.Call.Args)
	if err != nil {
		return result("", failed(wordArguments, "The arguments are "+err.Error()+"."))
	}
	if w := c.CheckTool(r.Tenant, &r.Tool); w != nil {
		return result("", unusable(w))
	}
	if r.Tool.Kind == chat.ToolMCP {
		return result(c.callServer(ctx, &r, args))
	}
	if err := c.valid(r.Tool.Parameters, args); err != nil {
		return result("", err)
	}
	return result(c.request(ctx, &r, args))
}

// valid checks arguments against a schema.
func (c *Client) valid(schema, args json.RawMessage) (err error) {
	compiled, err := c.compile(schema)
	if err != nil {
		return failed(wordDefined, "The tool cannot be used as it is defined.")
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(args))
	if err != nil {
		return failed(wordArguments, "The arguments are not JSON.")
	}
	defer func() {
		if recover() != nil {
			err = failed(wordDefined, "The tool cannot be used as it is defined.")
		}
	}()
	var wrong *jsonschema.ValidationError
	if err := compiled.Validate(v); errors.As(err, &wrong) {
		for len(wrong.Causes) > 0 {
			wrong = wrong.Causes[0]
		}
		return failed(wordArguments, "The arguments do not match the schema at /"+strings.Join(wrong.InstanceLocation, "/")+".")
	} else if err != nil {
		return failed(wordArguments, "The arguments do not match the schema.")
	}
	return nil
}

// nothing loads no schema from anywhere: a schema stands alone.
type nothing struct{}

// Load implements jsonschema.URLLoader.
func (nothing) Load(string) (any, error) { return nil, errors.New("a schema must stand alone") }

// compile returns the compiled schema of arguments: an object's.
func (c *Client) compile(schema json.RawMessage) (s *jsonschema.Schema, err error) {
	key := digest(schema)
	if known, ok := c.schemas.Load(key); ok {
		return known.(*jsonschema.Schema), nil
	}
	canonical, err := chat.CanonicalSchema(schema)
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(canonical))
	if err != nil {
		return nil, err
	}
	if object, ok := doc.(map[string]any); !ok || object["type"] != "object" {
		return nil, errors.New(`its "type" must be "object"`)
	}
	defer func() {
		if recover() != nil {
			err = errors.New("it cannot be compiled")
		}
	}()
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(nothing{})
	if err := compiler.AddResource("tool:///schema", doc); err != nil {
		return nil, errors.New("it is no JSON schema")
	}
	if s, err = compiler.Compile("tool:///schema"); err != nil {
		return nil, errors.New("it is no JSON schema that stands alone")
	}
	c.schemas.Store(key, s)
	return s, nil
}

// allowed reports whether a tenant's tools may talk to a host.
func (c *Client) allowed(t chat.TenantID, host string) (bool, error) {
	if len(c.operator.Hosts) > 0 && !c.operator.Allows(host) {
		return false, nil
	}
	value, found, err := c.opt.Documents.Doc(t, chat.DocToolHosts, chat.ToolHostsID)
	if err != nil || !found {
		return false, err
	}
	var hosts chat.ToolHosts
	if json.Unmarshal(value, &hosts) != nil {
		return false, chat.E("tools", chat.KindCorrupt, "the list of hosts is unreadable", nil)
	}
	return hosts.Allows(host), nil
}

// secrets fills the places of secrets in headers; values are those that were used.
func (c *Client) secrets(t chat.TenantID, headers map[string]string) (filled http.Header, values []string, err error) {
	filled = http.Header{}
	for name, value := range headers {
		var out strings.Builder
		rest := value
		for {
			before, after, found := strings.Cut(rest, secretOpen)
			out.WriteString(before)
			if !found {
				break
			}
			id, tail, closed := strings.Cut(after, secretClose)
			if !closed {
				return nil, nil, failed(wordDefined, "The tool cannot be used as it is defined.")
			}
			stored, known, err := c.opt.Documents.Doc(t, chat.DocToolSecret, id)
			if err != nil {
				return nil, nil, failed(wordStored, "The tool does not work now.")
			}
			var secret string
			if !known || json.Unmarshal(stored, &secret) != nil || secret == "" {
				return nil, nil, failed(wordSecret, "The tool is not set up completely.")
			}
			values = append(values, secret)
			out.WriteString(secret)
			rest = tail
		}
		filled.Set(name, out.String())
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return filled, values, nil
}
