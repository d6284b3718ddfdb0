package openai

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	// connIdleMax keeps connections for a burst of turns; each costs about 30 KB.
	connIdleMax = 256
	dialTimeout = 5 * time.Second
	// h2DialsMax connections to one address are begun at once: a burst of calls would
	// dial once for each otherwise, before the first connection takes any of them.
	h2DialsMax = 2
	// pingAfter and pingTimeout end a connection whose other side is gone: hundreds of
	// calls may wait on it.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second
)

func newTransport(connectionsMax int) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   dialTimeout,
		MaxConnsPerHost:       connectionsMax,
		MaxIdleConns:          connIdleMax,
		MaxIdleConnsPerHost:   connIdleMax,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
	}
}

// newH2Transport speaks HTTP/2 to http:// addresses without asking.
func newH2Transport() *http.Transport {
	t := newTransport(h2DialsMax)
	t.Protocols = &http.Protocols{}
	t.Protocols.SetUnencryptedHTTP2(true)
	t.Protocols.SetHTTP2(true)
	return t
}

func httpClient(rt http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: rt,
		// A redirect would carry the key and the prompt elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
