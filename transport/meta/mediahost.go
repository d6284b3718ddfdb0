package meta

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// mediaHosts are the servers that Meta keeps files on: names themselves, and all
// names below those that begin with a dot.
var mediaHosts = []string{"lookaside.fbsbx.com", ".fbsbx.com", ".fbcdn.net", ".cdninstagram.com"}

// tokenHost is the only one of them that asks for a token.
const tokenHost = "lookaside.fbsbx.com"

// hosts decides where files are fetched from. A link comes in a webhook or in an
// answer of Graph, so it is as trustworthy as whoever wrote that.
type hosts struct {
	// configured are the scheme and host of the Graph bases where they are not
	// Meta's: a simulator or a gateway that serves files too.
	configured map[string]bool
}

func newHosts(bases ...string) hosts {
	h := hosts{configured: map[string]bool{}}
	for _, base := range bases {
		u, err := url.Parse(base)
		if err == nil && !strings.HasSuffix(u.Hostname(), ".facebook.com") && !strings.HasSuffix(u.Hostname(), ".instagram.com") {
			h.configured[origin(u)] = true
		}
	}
	return h
}

func origin(u *url.URL) string { return strings.ToLower(u.Scheme + "://" + u.Host) }

// allowed reports whether a link may be followed.
func (h hosts) allowed(u *url.URL) bool {
	if u.User != nil {
		return false
	}
	if h.configured[origin(u)] {
		return true
	}
	return u.Scheme == "https" && (u.Port() == "" || u.Port() == "443") && isMediaHost(u.Hostname())
}

// asksToken reports whether a server wants the channel's token.
func (h hosts) asksToken(u *url.URL) bool {
	return h.configured[origin(u)] || strings.EqualFold(u.Hostname(), tokenHost)
}

func isMediaHost(name string) bool {
	name = strings.ToLower(name)
	for _, host := range mediaHosts {
		if name == host || host[0] == '.' && strings.HasSuffix(name, host) {
			return true
		}
	}
	return false
}

// newMediaTransport is for files: few, large, from many hosts, and never from an
// address inside. What a name of Meta's resolves to is looked at when it is
// dialled, so that a name server cannot point it elsewhere in between. A
// configured host, and a proxy of the environment, are the operator's word.
func newMediaTransport() *http.Transport {
	outside := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second, Control: refuseInside}
	anywhere := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	t := newTransport()
	t.ResponseHeaderTimeout = 30 * time.Second
	t.DisableCompression = true // the length and the hash are of the bytes as they are
	t.MaxIdleConnsPerHost = 32
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if host, _, err := net.SplitHostPort(addr); err == nil && isMediaHost(host) {
			return outside.DialContext(ctx, network, addr)
		}
		return anywhere.DialContext(ctx, network, addr)
	}
	return t
}

var errInside = errors.New("the name resolves to an address that is not public")

// refuseInside is a net.Dialer's Control.
func refuseInside(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr().Unmap()) {
		return errInside
	}
	return nil
}

// insideNets are ranges that netip does not name.
var insideNets = []netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"),  // carriers
	netip.MustParsePrefix("192.0.0.0/24"),   // protocol assignments
	netip.MustParsePrefix("198.18.0.0/15"),  // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),    // reserved
	netip.MustParsePrefix("64:ff9b::/96"),   // IPv4 behind a translator
	netip.MustParsePrefix("64:ff9b:1::/48"), // the same, locally
	netip.MustParsePrefix("2002::/16"),      // IPv4 in a tunnel
}

// public reports whether an address is one of the Internet's.
func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, n := range insideNets {
		if n.Contains(a) {
			return false
		}
	}
	return true
}
