package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/chumiai/chumi/chat"
)

// Limits of a request.
const (
	// URLMax is longer than browsers send.
	URLMax = 4096
	// RedirectsMax is what a website needs: http to https, to www, to a language.
	RedirectsMax = 3
	// headerMax is of an answer's header.
	headerMax = 64 << 10
	// DefaultTimeout is of a whole exchange, with its redirects and its body.
	DefaultTimeout = 10 * time.Second
	// DefaultBodyMax is of a body after decompression.
	DefaultBodyMax = 8 << 20
)

// ReasonInside is the reason of a refusal because of where a name leads.
const ReasonInside = "address_refused"

// Options configures a Client. The zero value is the strict one.
type Options struct {
	// Inside are hosts, with or without a port, that the operator allows although
	// they may lie inside, on any port they are named with.
	Inside []string
	// PlainHTTP allows http beside https.
	PlainHTTP bool
	// Ports are allowed besides those of hosts in Inside; nil means 443 and 8443,
	// and 80 and 8080 with PlainHTTP.
	Ports []string
	// Timeout is of a whole exchange.
	Timeout time.Duration
	// BodyMax is the largest body that Do and Get return.
	BodyMax int64
	// UserAgent names the engine to websites.
	UserAgent string
	// TLS and Resolver can be nil: those of the system.
	TLS      *tls.Config
	Resolver *net.Resolver
}

// EnsureDefaults fills every unset field that has a default.
func (o *Options) EnsureDefaults() {
	if o.Ports == nil {
		o.Ports = []string{"443", "8443"}
		if o.PlainHTTP {
			o.Ports = append(o.Ports, "80", "8080")
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.BodyMax <= 0 {
		o.BodyMax = DefaultBodyMax
	}
	if o.UserAgent == "" {
		o.UserAgent = "chumi"
	}
	if o.TLS == nil {
		o.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
}

// Client makes requests to where tenants say. Safe for concurrent use.
type Client struct {
	opt    Options
	inside hosts
	http   *http.Client
}

// New builds a Client.
func New(o Options) (*Client, error) {
	o.EnsureDefaults()
	inside, err := newHosts(o.Inside)
	if err != nil {
		return nil, err
	}
	c := &Client{opt: o, inside: inside}
	c.http = &http.Client{Transport: guard{c, c.transport()}, CheckRedirect: c.redirect}
	return c, nil
}

// Close lets go of idle connections. Requests under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// HTTP is the guarded client for libraries that want one. It has no timeout and no
// limit of bodies: REQUIRES: its user bounds both. Every URL of it is checked.
func (c *Client) HTTP() *http.Client { return c.http }

// transport dials only what is outside or named. A connection that is kept is
// of the name it was checked for.
func (c *Client) transport() *http.Transport {
	dialer := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Resolver: c.opt.Resolver}
	outside := dialer
	outside.Control = refuseInside
	return &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(addr); err == nil && c.inside.named(host, port) {
				return dialer.DialContext(ctx, network, addr)
			}
			return outside.DialContext(ctx, network, addr)
		},
		TLSClientConfig:        c.opt.TLS,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxResponseHeaderBytes: headerMax,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
	}
}

// guard checks the URL of every request, those of redirects too.
type guard struct {
	c    *Client
	next *http.Transport
}

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := g.c.check(r.URL); err != nil {
		if r.Body != nil {
			_ = r.Body.Close()
		}
		return nil, err
	}
	return g.next.RoundTrip(r)
}

// CloseIdleConnections is found by http.Client.
func (g guard) CloseIdleConnections() { g.next.CloseIdleConnections() }

// redirect follows few redirects, of reads only. What the caller put into the
// header, a key perhaps, is for the origin it named.
func (c *Client) redirect(next *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) > RedirectsMax {
		return refused("too_many_redirects")
	}
	if first.Method != http.MethodGet && first.Method != http.MethodHead {
		return http.ErrUseLastResponse
	}
	if origin(next.URL) != origin(first.URL) {
		kept := http.Header{}
		for _, name := range []string{"Accept", "Accept-Language", "User-Agent"} {
			if v := first.Header.Values(name); len(v) > 0 {
				kept[name] = v
			}
		}
		next.Header = kept
	}
	return c.check(next.URL)
}

// Response is an answer that was read to its end.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// URL is where it came from, after redirects.
	URL *url.URL
}

// Do makes one request and reads the answer. bodyMax bounds the answer's body, 0
// means Options.BodyMax; a larger one is an error, not a part. Errors are
// *chat.Error whose reason is a word without the URL: KindInvalid for what is
// refused, by rule or by size, KindUnavailable for what did not answer.
func (c *Client) Do(ctx context.Context, r *http.Request, bodyMax int64) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opt.Timeout)
	defer cancel()
	if bodyMax <= 0 {
		bodyMax = c.opt.BodyMax
	}
	r = r.Clone(ctx)
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", c.opt.UserAgent)
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, failure(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.ContentLength > bodyMax {
		return nil, refused("body_too_large")
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, bodyMax+1))
	switch {
	case err != nil:
		return nil, failure(err)
	case int64(len(body)) > bodyMax:
		return nil, refused("body_too_large")
	}
	return &Response{Status: res.StatusCode, Header: res.Header, Body: body, URL: res.Request.URL}, nil
}

// Get is Do for a GET of a URL.
func (c *Client) Get(ctx context.Context, raw string, bodyMax int64) (*Response, error) {
	u, err := c.Check(raw)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, refused("url_unreadable")
	}
	return c.Do(ctx, r, bodyMax)
}

func refused(reason string) error { return chat.E("egress", chat.KindInvalid, reason, nil) }

// failure is what an error of the HTTP client means; its text holds the URL and
// goes no further.
func failure(err error) error {
	var known *chat.Error
	var dns *net.DNSError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, errInside):
		return refused(ReasonInside)
	case errors.Is(err, context.Canceled):
		return chat.E("egress", chat.KindUnavailable, "cancelled", nil)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return chat.E("egress", chat.KindUnavailable, "timeout", nil)
	case errors.As(err, &dns) && dns.IsNotFound:
		return chat.E("egress", chat.KindUnavailable, "no_such_host", nil)
	}
	return chat.E("egress", chat.KindUnavailable, "unreachable", nil)
}
