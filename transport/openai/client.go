package openai

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	goopenai "github.com/sashabaranov/go-openai"
)

// The defaults of Options.
const (
	DefaultBaseURL = "https://api.openai.com/v1"
	DefaultTimeout = 60 * time.Second
	// DefaultOutputTokenMax leaves room for reasoning tokens, which count.
	DefaultOutputTokenMax = 4096
	// DefaultTextMax is four WhatsApp messages.
	DefaultTextMax = 16 << 10
	// DefaultResponseMax bounds one response with its framing.
	DefaultResponseMax = 4 << 20
	// DefaultFailureMax and DefaultPause: with ten seconds between probes a
	// provider that comes back meets one request, not all that waited.
	DefaultFailureMax = 5
	DefaultPause      = 10 * time.Second

	// connIdleMax keeps connections for a burst of turns; each costs about 30 KB.
	connIdleMax = 256
	dialTimeout = 5 * time.Second
	// pauseJitter spreads probes of several nodes.
	pauseJitter = 0.2
)

// Options configures a Client. The zero value of a field takes its default.
type Options struct {
	// BaseURL ends before /chat/completions: https://api.openai.com/v1.
	BaseURL string
	// Model is required.
	Model string
	// APIKey is sent as a bearer token; local servers may need none.
	APIKey chat.Secret
	// Whole asks for the answer in one piece, for servers that cannot stream.
	Whole bool
	// Timeout bounds one call; the caller's context may be shorter.
	Timeout time.Duration
	// OutputTokenMax bounds the answer at the provider; negative leaves the
	// field out, for servers that do not know it.
	OutputTokenMax int
	// TextMax bounds the answer here, in bytes.
	TextMax int
	// ResponseMax bounds the bytes read of one response.
	ResponseMax int64
	// FailureMax failures in a row make calls fail at once for Pause.
	FailureMax uint
	Pause      time.Duration
	// Simulated marks every answer as made by the built-in simulator.
	Simulated bool
	// Transport can be nil: then one with connection limits is built.
	Transport http.RoundTripper
}

// EnsureDefaults fills every unset field.
func (o *Options) EnsureDefaults() {
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.OutputTokenMax == 0 {
		o.OutputTokenMax = DefaultOutputTokenMax
	}
	if o.TextMax <= 0 {
		o.TextMax = DefaultTextMax
	}
	if o.ResponseMax <= 0 {
		o.ResponseMax = DefaultResponseMax
	}
	if o.FailureMax == 0 {
		o.FailureMax = DefaultFailureMax
	}
	if o.Pause <= 0 {
		o.Pause = DefaultPause
	}
}

// Validate names the option that is wrong.
func (o *Options) Validate() error {
	u, err := url.Parse(o.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return chat.E("openai.New", chat.KindInvalid, "BaseURL must be an http or https address without a user", nil)
	}
	if o.Model == "" {
		return chat.E("openai.New", chat.KindInvalid, "Model is required", nil)
	}
	return nil
}

// Client answers prompts with one model of one provider. It is safe for
// concurrent use; all calls share one circuit breaker.
type Client struct {
	opt     Options
	api     *goopenai.Client
	breaker circuitbreaker.CircuitBreaker[any]
	close   func()
}

// New returns a Client, or an error that names the option that is wrong.
func New(o Options) (*Client, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	rt, closeIdle := o.Transport, func() {}
	if rt == nil {
		own := newTransport()
		rt, closeIdle = own, own.CloseIdleConnections
	}
	cfg := goopenai.DefaultConfig(o.APIKey.Reveal())
	cfg.BaseURL = strings.TrimRight(o.BaseURL, "/")
	cfg.HTTPClient = &doer{
		responseMax: o.ResponseMax,
		http: &http.Client{
			Transport: rt,
			// A redirect would carry the key and the prompt elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	return &Client{
		opt:   o,
		api:   goopenai.NewClientWithConfig(cfg),
		close: closeIdle,
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(o.FailureMax).
			WithSuccessThreshold(1).
			WithDelay(o.Pause).
			WithJitterFactor(pauseJitter).
			Build(),
	}, nil
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		MaxIdleConns:          connIdleMax,
		MaxIdleConnsPerHost:   connIdleMax,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
}

// Close drops idle connections. Calls under way go on.
func (c *Client) Close() { c.close() }

// Complete makes one call. The error is always a *chat.ModelError.
func (c *Client) Complete(ctx context.Context, p chat.Prompt) (chat.Answer, error) {
	if !c.breaker.TryAcquirePermit() {
		return chat.Answer{}, &chat.ModelError{Reason: reasonBreakerOpen, RetryAfter: max(c.breaker.RemainingDelay(), time.Second)}
	}
	probe := c.breaker.IsHalfOpen()
	x := &exchange{turn: p.Turn}
	callCtx, cancel := context.WithTimeout(context.WithValue(ctx, exchangeKey{}, x), c.opt.Timeout)
	defer cancel()
	var a chat.Answer
	var err error
	if c.opt.Whole {
		a, err = c.whole(callCtx, p)
	} else {
		a, err = c.stream(callCtx, p)
	}
	failure := classify(ctx, err, x)
	c.record(failure, probe)
	if failure != nil {
		return chat.Answer{}, failure
	}
	a.PromptHash = p.Hash()
	a.Simulated = c.opt.Simulated
	return a, nil
}

// record tells the breaker whether the provider is alive. A provider that
// refuses is; a call the caller gave up says nothing, but a probe must end.
func (c *Client) record(failure *chat.ModelError, probe bool) {
	switch {
	case failure == nil:
		c.breaker.RecordSuccess()
	case failure.Reason == reasonCancelled:
		if probe && c.breaker.IsHalfOpen() {
			c.breaker.RecordFailure()
		}
	case sick[failure.Reason]:
		c.breaker.RecordFailure()
	default:
		c.breaker.RecordSuccess()
	}
}

func (c *Client) request(p chat.Prompt) goopenai.ChatCompletionRequest {
	r := goopenai.ChatCompletionRequest{
		Model:    c.opt.Model,
		Messages: make([]goopenai.ChatCompletionMessage, len(p.Lines)),
	}
	if c.opt.OutputTokenMax > 0 {
		r.MaxCompletionTokens = c.opt.OutputTokenMax
	}
	for i, l := range p.Lines {
		r.Messages[i] = goopenai.ChatCompletionMessage{Role: role(l.Role), Content: l.Text}
	}
	return r
}

func role(r chat.PromptRole) string {
	switch r {
	case chat.RoleSystem:
		return goopenai.ChatMessageRoleSystem
	case chat.RoleAssistant:
		return goopenai.ChatMessageRoleAssistant
	case chat.RoleCustomer:
	}
	return goopenai.ChatMessageRoleUser
}

// errIs is errors.Is over several targets.
func errIs(err error, targets ...error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}
