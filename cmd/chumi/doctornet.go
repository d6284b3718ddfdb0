package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// serverTimeout bounds one request to a server that the configuration names.
	serverTimeout = 10 * time.Second
	// skewWarn and skewFail: Date has seconds, and the answer takes its time.
	// Certificates, windows and the order of statuses go by this clock.
	skewWarn, skewFail = 5 * time.Second, time.Minute
)

// servers asks the servers that the configuration names for their heads, and holds
// this machine's clock against theirs.
func (d *doctor) servers(ctx context.Context) (list []finding) {
	named := d.models()
	named["meta.graph_url"], named["meta.instagram_url"] = d.config.Meta.GraphURL, d.config.Meta.InstagramURL
	if s3 := &d.config.Media.S3; s3.On() {
		scheme := "http://"
		if s3.TLS {
			scheme = "https://"
		}
		named["media.s3.endpoint"] = scheme + s3.Endpoint
	}
	if d.offline {
		return []finding{okay("server", "%d servers and the clock are not looked at: --offline", len(named))}
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: serverTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var skews []time.Duration
	for _, key := range slices.Sorted(maps.Keys(named)) {
		f, skew, dated := d.server(ctx, client, key, named[key])
		list = append(list, f)
		if dated {
			skews = append(skews, skew)
		}
	}
	return append(list, clockOf(skews))
}

// server asks one server. Any answer will do: it is there, and proves who it is.
func (d *doctor) server(ctx context.Context, client *http.Client, key, base string) (f finding, skew time.Duration, dated bool) {
	u, err := url.Parse(base)
	if err != nil {
		return fail("server", "correct "+key, "%s is no URL", key), 0, false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, base, nil)
	if err != nil {
		return fail("server", "correct "+key, "%s is no URL", key), 0, false
	}
	begin := d.now()
	resp, err := client.Do(req)
	if err != nil {
		return unreachable(key, u.Host, err), 0, false
	}
	took := d.now().Sub(begin)
	_ = resp.Body.Close()
	f = okay("server", "%s: %s answers", key, u.Host)
	if overheard(u) {
		f = warn("server", "use https, or a network that nobody else is on", "%s: %s answers without TLS: keys and messages can be read on the way", key, u.Host)
	}
	at, err := http.ParseTime(resp.Header.Get("Date"))
	// The header says the second that the answer was made in, between the two looks.
	return f, begin.Add(took / 2).Sub(at.Add(time.Second / 2)), err == nil
}

// overheard reports whether what is sent to u leaves this machine without TLS.
func overheard(u *url.URL) bool {
	return u.Scheme == "http" && remote(net.JoinHostPort(u.Hostname(), "0"))
}

// unreachable says what kept a server from answering, without the URL.
func unreachable(key, host string, err error) finding {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &dns):
		return fail("server", "look at the name, and at /etc/resolv.conf", "%s: the name of %s does not resolve", key, host)
	case errors.As(err, &authority):
		return fail("server", "install the authority's certificate on this machine (SSL_CERT_FILE), or end what reads the traffic", "%s: the certificate of %s is vouched for by nobody this machine trusts", key, host)
	case errors.As(err, &certificate):
		return fail("server", "look at the name, at this machine's clock and at the server's certificate", "%s: the certificate of %s does not hold: %v", key, host, certificate.Err)
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return fail("server", "let this machine through to it", "%s: %s does not answer within %s", key, host, serverTimeout)
	}
	return fail("server", "let this machine through to it, and see whether it runs", "%s: %s cannot be reached: %v", key, host, unwrapped(err))
}

// bucket asks for the bucket of files with the engine's own keys.
func (d *doctor) bucket(ctx context.Context) []finding {
	s3 := &d.config.Media.S3
	if !s3.On() || d.offline {
		return nil
	}
	const fix = "correct media.s3.access_key, secret_key and region, and what they may do"
	_, b, err := openFiles(d.config)
	if err != nil {
		return []finding{fail("bucket", fix, "media.s3 cannot be used: %v", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, bucketWait)
	defer cancel()
	switch err := b.Check(ctx); {
	case chat.KindOf(err) == chat.KindNotFound:
		return []finding{fail("bucket", "make it, or correct media.s3.bucket", "there is no bucket %s at %s", s3.Bucket, s3.Endpoint)}
	case err != nil:
		return []finding{fail("bucket", fix, "the bucket %s cannot be used: %v", s3.Bucket, err)}
	}
	return []finding{okay("bucket", "the bucket %s is there", s3.Bucket)}
}

// clockOf judges the clock by the server it is nearest to: one server's may be wrong.
func clockOf(skews []time.Duration) finding {
	if len(skews) == 0 {
		return okay("clock", "no server told the time")
	}
	least := slices.MinFunc(skews, func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) })
	word := "ahead"
	if least < 0 {
		word = "behind"
	}
	const fix = "run chrony or systemd-timesyncd"
	off := fmt.Sprintf("this machine's clock is %s %s", least.Abs().Round(time.Second), word)
	switch {
	case least.Abs() > skewFail:
		return fail("clock", fix, "%s: windows, deadlines and certificates go wrong", off)
	case least.Abs() > skewWarn:
		return warn("clock", fix, "%s", off)
	}
	return okay("clock", "the clock is right within %s", skewWarn)
}
