package meta

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// The defaults of Options.
const (
	DefaultGraphURL     = "https://graph.facebook.com"
	DefaultInstagramURL = "https://graph.instagram.com"
	DefaultVersion      = "v25.0"
	// DefaultLoginURL is where Instagram turns the code of a login into a token.
	DefaultLoginURL = "https://api.instagram.com"
)

// Options configures a Client.
type Options struct {
	// GraphURL and InstagramURL are the bases of Graph calls, with or without a
	// slash at the end. InstagramURL serves channels of Instagram Login.
	GraphURL     string
	InstagramURL string
	// LoginURL is the base of Instagram's exchange of codes. When it is empty that is
	// InstagramURL, unless that is Meta's own.
	LoginURL string
	// Version is the Graph version in the path.
	Version string
	// HTTPClient can be nil, which is best: its Transport is tuned for sends.
	// Redirects are switched off in any case, on a copy.
	HTTPClient *http.Client
	// AppSecret gives the current secret of an app for appsecret_proof; nil,
	// or found false, sends none. It is used for WhatsApp only: an Instagram
	// app has a second secret, and a proof made of the wrong one is refused.
	AppSecret func(chat.AppID) (secret chat.Secret, found bool)
	// App gives an app with its ids and secrets, to exchange codes and to look at
	// tokens; nil when no account is to be connected.
	App func(chat.AppID) (app chat.App, found bool)
	// MediaMax is the largest file that is fetched, in bytes.
	MediaMax int64
	// MediaTransport carries files; nil is best: it dials no address inside.
	MediaTransport http.RoundTripper
	// Metrics can be nil.
	Metrics *metrics.Graph
}

// EnsureDefaults fills every unset field that has a default.
func (o *Options) EnsureDefaults() {
	if o.GraphURL == "" {
		o.GraphURL = DefaultGraphURL
	}
	if o.InstagramURL == "" {
		o.InstagramURL = DefaultInstagramURL
	}
	if o.LoginURL == "" {
		o.LoginURL = o.InstagramURL
		if o.InstagramURL == DefaultInstagramURL {
			o.LoginURL = DefaultLoginURL
		}
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{Transport: newTransport()}
	}
	if o.MediaMax <= 0 {
		o.MediaMax = DefaultMediaMax
	}
	if o.MediaTransport == nil {
		o.MediaTransport = newMediaTransport()
	}
	if o.Metrics == nil {
		o.Metrics = &metrics.New(nil).Graph
	}
}

// Validate checks the URLs.
func (o *Options) Validate() error {
	for key, base := range map[string]string{"meta.graph_url": o.GraphURL, "meta.instagram_url": o.InstagramURL, "meta.instagram_login_url": o.LoginURL} {
		u, err := url.Parse(base)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil {
			return chat.E("meta.NewClient", chat.KindInvalid, key+" must be an http or https URL without query and user", nil)
		}
	}
	return nil
}

// newTransport is sized for sends: all calls go to one or two hosts, up to 64
// at once for each channel.
func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ExpectContinueTimeout: time.Second,
		// A connection that Meta closes just as a send is written on it makes
		// that send ambiguous: let go of it first.
		IdleConnTimeout:        45 * time.Second,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    256,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
}

// Client makes Graph calls. It is safe for concurrent use.
type Client struct {
	options Options
	usage   usage
	// media carries files, from and to hosts.
	media *http.Client
	hosts hosts
}

// NewClient builds a Client.
func NewClient(o Options) (*Client, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	h := *o.HTTPClient
	// A redirect would carry the token to wherever it points.
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	o.HTTPClient = &h
	return &Client{options: o, usage: usage{until: make(map[usageKey]time.Time), now: time.Now},
		media: &http.Client{Transport: o.MediaTransport, CheckRedirect: h.CheckRedirect},
		hosts: newHosts(o.GraphURL, o.InstagramURL)}, nil
}

// Close lets go of idle connections. Sends under way go on.
func (c *Client) Close() {
	c.options.HTTPClient.CloseIdleConnections()
	c.media.CloseIdleConnections()
}

// Send makes one attempt to send one message, and returns within ctx. It never
// repeats a request that may have reached Graph. The outcome tells apart what
// is known to have gone (accepted), known not to have (refused, throttled,
// blocked, unstarted), and not known (ambiguous).
func (c *Client) Send(ctx context.Context, out chat.Outbound) chat.SendOutcome {
	start := time.Now()
	o := c.send(ctx, out)
	m := c.options.Metrics
	m.Attempts.WithLabelValues(out.Channel.Kind.String(), o.Result.String()).Inc()
	m.Attempt.Observe(time.Since(start).Seconds())
	if o.Code != 0 {
		m.Errors.WithLabelValues(metricCode(out.Channel.Kind, o)).Inc()
	}
	return o
}

func (c *Client) send(ctx context.Context, out chat.Outbound) chat.SendOutcome {
	if ctx.Err() != nil {
		return chat.SendOutcome{Result: chat.SendUnstarted, Reason: "cancelled"}
	}
	body, reason := encode(out)
	if reason != "" {
		return chat.SendOutcome{Result: chat.SendRefused, Reason: reason}
	}
	base, proof := c.messagesEdge(&out.Channel)
	var trace connTrace
	req, err := http.NewRequestWithContext(trace.with(ctx), http.MethodPost,
		address(base, c.options.Version, out.Channel.Account, proof), bytes.NewReader(body))
	if err != nil {
		return chat.SendOutcome{Result: chat.SendUnstarted, Reason: "bad_address"}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+out.Channel.Token.Reveal())
	// NB: no error of the HTTP client goes further: its text holds the URL with
	// the proof.
	res, err := c.options.HTTPClient.Do(req)
	if err != nil {
		return trace.failed(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, responseMax+1))
	if err != nil || len(answer) > responseMax {
		return chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "response_cut"}
	}
	return readOutcome(&out, res.Header, answer)
}

// messagesEdge is the base of a channel's requests, and the proof they need.
func (c *Client) messagesEdge(ch *chat.Channel) (base, proof string) {
	if ch.Kind == chat.Instagram {
		return c.options.InstagramURL, ""
	}
	if c.options.AppSecret != nil {
		if secret, found := c.options.AppSecret(ch.App); found && secret != "" {
			proof = proofOf(secret, ch.Token)
		}
	}
	return c.options.GraphURL, proof
}

// connTrace watches whether a request got a connection. Before that nothing can
// have been written. Afterwards nothing can be ruled out: the write runs on
// another goroutine, which may be about to write when the caller gives up.
type connTrace struct{ connected atomic.Bool }

func (t *connTrace) with(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// The HTTP client asks for a second connection only when it knows that
		// the first one, kept from before, did not carry the request.
		GetConn: func(string) { t.connected.Store(false) },
		GotConn: func(httptrace.GotConnInfo) { t.connected.Store(true) },
	})
}

// failed is the outcome of a request without a response.
func (t *connTrace) failed(ctx context.Context, err error) chat.SendOutcome {
	if !t.connected.Load() {
		return chat.SendOutcome{Result: chat.SendThrottled, Reason: "unreachable", RetryAfter: soon}
	}
	var slow net.Error
	if ctx.Err() != nil || errors.As(err, &slow) && slow.Timeout() {
		return chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "timeout"}
	}
	return chat.SendOutcome{Result: chat.SendAmbiguous, Reason: "connection_lost"}
}
