package openai

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	goopenai "github.com/sashabaranov/go-openai"
)

// API is the way a provider is spoken to.
type API string

// The APIs; the empty word is APIChat.
const (
	APIChat      API = "chat"      // Chat Completions, which every server speaks
	APIResponses API = "responses" // Responses, stateless: nothing is kept at the provider
	APIAzure     API = "azure"     // Chat Completions of Azure, by deployment
)

// DefaultAzureVersion is the version asked for where none is set: go-openai's own
// is from before tools.
const DefaultAzureVersion = "2024-10-21"

// ProviderOptions says where a provider is and how it is spoken to.
type ProviderOptions struct {
	// BaseURL ends before /chat/completions: https://api.openai.com/v1. For Azure it is
	// the resource: https://name.openai.azure.com.
	BaseURL string
	// APIKey is sent as a bearer token, to Azure as api-key; local servers may need none.
	APIKey chat.Secret
	API    API
	// APIVersion is of Azure.
	APIVersion string
	// Models are the only ones asked for; empty for any. For Azure they are names of
	// deployments.
	Models []string
	// Whole asks for the answer in one piece, for servers that cannot stream.
	Whole bool
	// HTTP2 speaks HTTP/2 without TLS to an http:// base URL, which must know it. With
	// https:// it is negotiated anyway.
	HTTP2 bool
}

func (o *ProviderOptions) ensureDefaults() {
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
	}
	if o.API == "" {
		o.API = APIChat
	}
	if o.API == APIAzure && o.APIVersion == "" {
		o.APIVersion = DefaultAzureVersion
	}
}

// Providers finds providers that tenants have of their own. It is safe for concurrent
// use and does not block.
type Providers interface {
	// Provider returns false for a name that the tenant has no provider by: that of the
	// configuration is then asked, if there is one.
	Provider(t chat.TenantID, name string) (ProviderOptions, bool)
}

// place tells one provider from another, whoever names it.
type place struct {
	url, version string
	key          chat.Secret
	api          API
	whole, http2 bool
}

// provider is one place with what is known of its health. All tenants that name the
// same place share it.
type provider struct {
	place
	api     *goopenai.Client
	breaker circuitbreaker.CircuitBreaker[any]
	budget  budget

	mu sync.Mutex // guards the fields below
	// throttles counts refusals in a row; until is when the next call may be made.
	throttles int
	until     time.Time
	// forms are what models were found to understand, until it is tried anew.
	forms map[string]known
}

const (
	// throttledMax refusals in a row stop the calls of everybody: the limit is of the
	// key, and more calls make it later.
	throttledMax = 3
	// throttlePauseMax lets a call look whether the limit is over, whatever was asked for.
	throttlePauseMax = 10 * time.Second
)

// throttled returns how long the provider wants no call, zero when it takes one.
func (p *provider) throttled(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.until.Sub(now), 0)
}

// record tells what became of a call. A provider that refuses is alive; a call the
// caller gave up says nothing, but a probe must end.
func (p *provider) record(failure *chat.ModelError, probe bool, now time.Time) {
	switch {
	case failure == nil:
		p.breaker.RecordSuccess()
	case failure.Reason == reasonCancelled:
		if probe && p.breaker.IsHalfOpen() {
			p.breaker.RecordFailure()
		}
		return
	case sick[failure.Reason]:
		p.breaker.RecordFailure()
	default:
		p.breaker.RecordSuccess()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if failure == nil || failure.Reason != reasonThrottled {
		p.throttles = 0
		return
	}
	if p.throttles++; p.throttles >= throttledMax && failure.RetryAfter > 0 {
		p.until = now.Add(min(failure.RetryAfter, throttlePauseMax))
	}
}

// budget bounds second calls to a provider that failed a first one, so that one that
// is sick does not get double the load.
type budget struct{ calls, again atomic.Int64 }

const (
	// againShare of the calls under way may be second ones, againMin always.
	againShare = 5
	againMin   = 3
)

// begin counts a call; false says that there is no room for a second one.
func (b *budget) begin(again bool) bool {
	if again {
		if n := b.again.Add(1); n > againMin && n*againShare > b.calls.Load() {
			b.again.Add(-1)
			return false
		}
	}
	b.calls.Add(1)
	return true
}

func (b *budget) end(again bool) {
	b.calls.Add(-1)
	if again {
		b.again.Add(-1)
	}
}
