package egress

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/chumiai/chumi/chat"
)

var errInside = errors.New("the name resolves to an address that is not public")

// refuseInside is a net.Dialer's Control: it sees the address that is dialled,
// after every name was resolved.
func refuseInside(network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") || !Public(at.Addr()) {
		return errInside
	}
	return nil
}

// insideNets are ranges that netip does not name.
var insideNets = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),   // carriers, and metadata of some clouds
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation, as the next two
	netip.MustParsePrefix("198.51.100.0/24"), //
	netip.MustParsePrefix("203.0.113.0/24"),  //
	netip.MustParsePrefix("192.88.99.0/24"),  // 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, and broadcast
	netip.MustParsePrefix("::/96"),           // IPv4 as IPv6, as long ago
	netip.MustParsePrefix("64:ff9b::/96"),    // IPv4 behind a translator
	netip.MustParsePrefix("64:ff9b:1::/48"),  // the same, locally
	netip.MustParsePrefix("100::/64"),        // discarded
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // IPv4 in a tunnel
	netip.MustParsePrefix("fec0::/10"),       // private, as long ago
}

// Public reports whether an address is one of the Internet's.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	return !slices.ContainsFunc(insideNets, func(n netip.Prefix) bool { return n.Contains(a) })
}

// hosts are those the operator named: "host" for every port of it, "host:port".
type hosts map[string]bool

func newHosts(named []string) (hosts, error) {
	h := hosts{}
	for _, n := range named {
		n = strings.ToLower(strings.TrimSpace(n))
		if n == "" || strings.ContainsAny(n, "/@* ") {
			return nil, chat.E("egress.New", chat.KindInvalid, "a host inside is a name or an address, with or without a port", nil)
		}
		h[n] = true
	}
	return h, nil
}

// named reports whether the operator named a host and port.
func (h hosts) named(host, port string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return h[host] || h[net.JoinHostPort(host, port)]
}

// Check parses a URL and says whether a request to it may be tried: https, http
// where the operator allows it, a port of the web unless the operator named the
// host, no user. It resolves nothing; what the name leads to is checked when it is
// dialled. Errors are of KindInvalid; none holds the URL.
func (c *Client) Check(raw string) (*url.URL, error) {
	if len(raw) > URLMax {
		return nil, refused("url_too_long")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, refused("url_unreadable")
	}
	return u, c.check(u)
}

func (c *Client) check(u *url.URL) error {
	named := c.inside.named(u.Hostname(), portOf(u))
	switch {
	case u.Hostname() == "" || u.Opaque != "":
		return refused("url_unreadable")
	case u.User != nil:
		return refused("url_with_user")
	case u.Scheme != "https" && !(u.Scheme == "http" && (named || c.opt.PlainHTTP)):
		return refused("scheme_refused")
	case !named && !slices.Contains(c.opt.Ports, portOf(u)):
		return refused("port_refused")
	}
	// An address in the URL is known at once; everything else when it is dialled.
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !named && !Public(a) {
		return refused(ReasonInside)
	}
	return nil
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

func origin(u *url.URL) string {
	return strings.ToLower(u.Scheme + "://" + net.JoinHostPort(u.Hostname(), portOf(u)))
}
