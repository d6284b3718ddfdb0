package openai

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
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
	// DefaultEmbeddingModel and DefaultTranscriptionModel are asked for where none is set.
	DefaultEmbeddingModel     = "text-embedding-3-small"
	DefaultTranscriptionModel = "whisper-1"

	// pauseJitter spreads probes of several nodes.
	pauseJitter = 0.2
	// providersMax bounds the places whose health is remembered.
	providersMax = 4096
)

// Options configures a Client. The zero value of a field takes its default.
type Options struct {
	// BaseURL, APIKey, API, APIVersion, Whole and HTTP2 are of the provider without a
	// name; see ProviderOptions.
	BaseURL    string
	APIKey     chat.Secret
	API        API
	APIVersion string
	Whole      bool
	HTTP2      bool
	// Model is asked for by prompts that name none. Required.
	Model string
	// Named are the other providers, by name; Providers, which can be nil, finds those of
	// a tenant, which come first.
	Named     map[string]ProviderOptions
	Providers Providers
	// Embedding and Transcription are the models of Embed and Transcribe.
	Embedding, Transcription chat.ModelRef
	// Timeout bounds one call, all models of its list together; the caller's context may
	// be shorter.
	Timeout time.Duration
	// OutputTokenMax bounds the answer at the provider, for prompts that do not; negative
	// leaves the field out, for servers that do not know it.
	OutputTokenMax int
	// TextMax bounds the answer here, in bytes.
	TextMax int
	// ResponseMax bounds the bytes read of one response.
	ResponseMax int64
	// FailureMax failures in a row make calls of a provider fail at once for Pause.
	FailureMax uint
	Pause      time.Duration
	// ConnectionsMax bounds connections to one address, besides those of HTTP/2; calls
	// above it wait. 0 for no bound.
	ConnectionsMax int
	// Simulated marks every answer as made by the built-in simulator.
	Simulated bool
	// Spent is told what each request of Embed used, but for its cost, on its goroutine:
	// also of those before one that failed. Can be nil.
	Spent func(chat.TenantID, chat.Spend)
	// Metrics can be nil.
	Metrics *metrics.Model
	// Transport can be nil: then one with connection limits is built.
	Transport http.RoundTripper
	// Now is the clock; time.Now when nil.
	Now func() time.Time
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
	if o.Embedding.Model == "" {
		o.Embedding.Model = DefaultEmbeddingModel
	}
	if o.Transcription.Model == "" {
		o.Transcription.Model = DefaultTranscriptionModel
	}
	if o.Metrics == nil {
		o.Metrics = &metrics.New(nil).Model
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// Validate names the option that is wrong.
func (o *Options) Validate() error {
	wrong := func(what string) error { return chat.E("openai.New", chat.KindInvalid, what, nil) }
	if o.Model == "" {
		return wrong("Model is required")
	}
	unnamed := o.unnamed()
	if what := unnamed.wrong(); what != "" {
		return wrong(what)
	}
	for name, p := range o.Named {
		if what := p.wrong(); what != "" {
			return wrong("provider " + name + ": " + what)
		}
	}
	for _, ref := range []chat.ModelRef{o.Embedding, o.Transcription} {
		if _, ok := o.Named[ref.Provider]; ref.Provider != "" && !ok {
			return wrong("there is no provider " + ref.Provider)
		}
	}
	return nil
}

func (o *Options) unnamed() ProviderOptions {
	return ProviderOptions{BaseURL: o.BaseURL, APIKey: o.APIKey, API: o.API, APIVersion: o.APIVersion, Whole: o.Whole, HTTP2: o.HTTP2}
}

// wrong says what is wrong with o, "" for nothing.
func (o ProviderOptions) wrong() string {
	o.ensureDefaults()
	u, err := url.Parse(o.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https"):
		return "BaseURL must be an http or https address without a user"
	case !slices.Contains([]API{APIChat, APIResponses, APIAzure}, o.API):
		return "API must be chat, responses or azure"
	}
	return ""
}

// Client answers prompts with the models of one or several providers. It is safe for
// concurrent use; calls to the same place share one circuit breaker.
type Client struct {
	opt       Options
	http      [2]*http.Client // [1] speaks HTTP/2 without TLS
	close     func()
	validator validator

	mu     sync.Mutex // guards places
	places map[place]*provider
}

// New returns a Client, or an error that names the option that is wrong.
func New(o Options) (*Client, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Client{opt: o, close: func() {}, places: make(map[place]*provider)}
	if o.Transport != nil {
		c.http[0], c.http[1] = httpClient(o.Transport), httpClient(o.Transport)
		return c, nil
	}
	plain, h2 := newTransport(o.ConnectionsMax), newH2Transport()
	c.http[0], c.http[1] = httpClient(plain), httpClient(h2)
	c.close = func() { plain.CloseIdleConnections(); h2.CloseIdleConnections() }
	return c, nil
}

// Close drops idle connections. Calls under way go on.
func (c *Client) Close() { c.close() }

// provider finds who serves a model for a tenant.
func (c *Client) provider(t chat.TenantID, ref chat.ModelRef) (*provider, *chat.ModelError) {
	o, ok := c.options(t, ref.Provider)
	switch {
	case !ok || o.wrong() != "":
		return nil, &chat.ModelError{Reason: reasonNoProvider, Permanent: true}
	case ref.Model == "" || len(o.Models) > 0 && !slices.Contains(o.Models, ref.Model):
		return nil, &chat.ModelError{Reason: reasonModelNotFound, Permanent: true}
	}
	o.ensureDefaults()
	at := place{url: strings.TrimRight(o.BaseURL, "/"), version: o.APIVersion, key: o.APIKey, api: o.API, whole: o.Whole, http2: o.HTTP2}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, known := c.places[at]; known {
		return p, nil
	}
	if len(c.places) >= providersMax {
		// Keys that were rotated away, mostly; who is in use is found again.
		clear(c.places)
	}
	p := c.open(at)
	c.places[at] = p
	return p, nil
}

func (c *Client) options(t chat.TenantID, name string) (ProviderOptions, bool) {
	if c.opt.Providers != nil {
		if o, ok := c.opt.Providers.Provider(t, name); ok {
			return o, true
		}
	}
	if name == "" {
		return c.opt.unnamed(), true
	}
	o, ok := c.opt.Named[name]
	return o, ok
}

func (c *Client) open(at place) *provider {
	cfg := goopenai.DefaultConfig(at.key.Reveal())
	if at.api == APIAzure {
		cfg = goopenai.DefaultAzureConfig(at.key.Reveal(), at.url)
		cfg.APIVersion = at.version
		// Deployments are named as the configuration names them.
		cfg.AzureModelMapperFunc = func(model string) string { return url.PathEscape(model) }
	}
	cfg.BaseURL = at.url
	speaks := c.http[0]
	if at.http2 {
		speaks = c.http[1]
	}
	cfg.HTTPClient = &doer{responseMax: c.opt.ResponseMax, http: speaks}
	return &provider{
		place: at,
		api:   goopenai.NewClientWithConfig(cfg),
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureThreshold(c.opt.FailureMax).
			WithSuccessThreshold(1).
			WithDelay(c.opt.Pause).
			WithJitterFactor(pauseJitter).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				switch {
				case e.OldState == circuitbreaker.ClosedState:
					c.opt.Metrics.Breakers.Inc()
				case e.NewState == circuitbreaker.ClosedState:
					c.opt.Metrics.Breakers.Dec()
				}
			}).
			Build(),
	}
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
