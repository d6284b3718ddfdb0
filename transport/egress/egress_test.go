package egress

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/chumiai/chumi/chat"
)

func TestPublic_KnowsWhatLiesInside(t *testing.T) {
	for addr, want := range map[string]bool{
		"157.240.1.1": true, "2a03:2880:f0ff::1": true, "8.8.8.8": true,
		"127.0.0.1": false, "127.8.9.1": false, "10.0.0.1": false, "172.16.3.4": false, "192.168.1.1": false,
		"169.254.169.254": false, "169.254.170.2": false, "100.64.0.1": false, "100.100.100.200": false,
		"0.0.0.0": false, "0.1.2.3": false, "255.255.255.255": false, "224.0.0.1": false, "198.18.0.1": false,
		"240.0.0.1": false, "192.0.2.1": false, "192.0.0.170": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "fd00:ec2::254": false,
		"fec0::1": false, "ff02::1": false, "64:ff9b::a00:1": false, "64:ff9b:1::1": false, "2002:a00:1::": false,
		"2001::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
	} {
		if got := Public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: public %v", addr, got)
		}
	}
}

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func reason(err error) string {
	var e *chat.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func TestCheck_RefusesWhatIsNoWebAddress(t *testing.T) {
	c := newClient(t, Options{Inside: []string{"wiki.intern", "10.1.2.3:8000"}})
	for raw, want := range map[string]string{
		"https://example.com/a?b=c":      "",
		"https://example.com:8443/":      "",
		"http://wiki.intern/":            "",
		"https://wiki.intern:9999/":      "",
		"http://10.1.2.3:8000/":          "",
		"http://10.1.2.3:8001/":          "scheme_refused",
		"https://10.1.2.3/":              ReasonInside,
		"https://[::1]/":                 ReasonInside,
		"https://169.254.169.254/latest": ReasonInside,
		"http://example.com/":            "scheme_refused",
		"file:///etc/passwd":             "url_unreadable",
		"gopher://example.com/":          "scheme_refused",
		"https://u:p@example.com/":       "url_with_user",
		"https://example.com:22/":        "port_refused",
		"https://":                       "url_unreadable",
		"https:example.com":              "url_unreadable",
		"://":                            "url_unreadable",
		"https://example.com/" + strings.Repeat("a", URLMax): "url_too_long",
	} {
		_, err := c.Check(raw)
		if got := reason(err); err == nil && want != "" || err != nil && got != want {
			t.Errorf("%.60s: %q, want %q", raw, got, want)
		}
	}
}

// names answers DNS questions with what the test says, one address after another.
func names(t *testing.T, answer func(name string, times int) netip.Addr) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		asked := map[string]int{}
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) == 0 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			if q.Type == dnsmessage.TypeA {
				asked[q.Name.String()]++
				a := answer(q.Name.String(), asked[q.Name.String()])
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class},
					Body: &dnsmessage.AResource{A: a.As4()}}}
			}
			if out, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A name that leads inside is refused when it is dialled, whatever it led to when
// it was looked at before, and no byte reaches the server there.
func TestClient_RefusesNamesThatLeadInside(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	_, port, _ := net.SplitHostPort(inside.Listener.Addr().String())
	resolver := names(t, func(name string, times int) netip.Addr {
		if strings.HasPrefix(name, "metadata.") {
			return netip.MustParseAddr("169.254.169.254")
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	c := newClient(t, Options{PlainHTTP: true, Ports: []string{port}, Resolver: resolver})
	for _, host := range []string{"rebound.example", "metadata.example", "localhost"} {
		_, err := c.Get(t.Context(), "http://"+host+":"+port+"/", 0)
		if reason(err) != ReasonInside || chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: %v", host, err)
		}
		if err != nil && strings.Contains(err.Error(), host) {
			t.Errorf("the error names the host: %v", err)
		}
	}
	if reached.Load() != 0 {
		t.Error("the server inside was reached")
	}
	if res, err := newClient(t, Options{Inside: []string{"rebound.example:" + port}, Resolver: resolver}).
		Get(t.Context(), "http://rebound.example:"+port+"/", 0); err != nil || res.Status != 200 {
		t.Errorf("a host the operator named: %v", err)
	}
}

func TestClient_ChecksEveryRedirect(t *testing.T) {
	var reached atomic.Int32
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer inside.Close()
	to := make(chan string, 1)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case target := <-to:
			http.Redirect(w, r, target, http.StatusFound)
		default: // it was redirected here
		}
	}))
	defer outside.Close()
	c := newClient(t, Options{Inside: []string{outside.Listener.Addr().String()}})
	for _, target := range []string{inside.URL, strings.Replace(inside.URL, "127.0.0.1", "localhost", 1), "https://169.254.169.254/", "file:///etc/passwd", "http://u:p@" + outside.Listener.Addr().String()} {
		to <- target
		if res, err := c.Get(t.Context(), outside.URL, 0); chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("redirect to %s: %v %v", target, res, err)
		}
	}
	if reached.Load() != 0 {
		t.Error("a redirect led inside")
	}
}

// A key of the caller stays with the origin it is for, and a body with the first.
func TestClient_CarriesNoSecretAcrossOrigins(t *testing.T) {
	var got atomic.Value
	got.Store("")
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.Store(r.Header.Get("X-Key") + r.Header.Get("Authorization") + r.Header.Get("Cookie") + r.Header.Get("Accept"))
	}))
	defer other.Close()
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer first.Close()
	c := newClient(t, Options{Inside: []string{"127.0.0.1"}})
	r, _ := http.NewRequest(http.MethodGet, first.URL, nil)
	r.Header.Set("X-Key", "secret")
	r.Header.Set("Authorization", "Bearer secret")
	r.Header.Set("Accept", "text/html")
	if _, err := c.Do(t.Context(), r, 0); err != nil || got.Load() != "text/html" {
		t.Errorf("the other origin saw %q (%v)", got.Load(), err)
	}
	got.Store("none")
	r, _ = http.NewRequest(http.MethodPost, first.URL, strings.NewReader("body"))
	res, err := c.Do(t.Context(), r, 0)
	if err != nil || res.Status != http.StatusTemporaryRedirect || got.Load() != "none" {
		t.Errorf("a POST was redirected: %v %v", res, err)
	}
}

func TestClient_BoundsWhatItReads(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = z.Write(bytes.Repeat([]byte{0}, 4<<20))
			_ = z.Close()
		case "/large":
			_, _ = w.Write(bytes.Repeat([]byte{'a'}, 2<<20))
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("a", 2*headerMax))
		case "/slow":
			<-r.Context().Done()
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		}
	}))
	defer srv.Close()
	patient := newClient(t, Options{Inside: []string{"127.0.0.1"}, BodyMax: 1 << 20, Timeout: time.Minute})
	hasty := newClient(t, Options{Inside: []string{"127.0.0.1"}, BodyMax: 1 << 20, Timeout: 100 * time.Millisecond})
	for path, want := range map[string]string{"/bomb": "body_too_large", "/large": "body_too_large", "/header": "unreachable", "/loop": "too_many_redirects", "/slow": "timeout"} {
		c := patient
		if want == "timeout" {
			c = hasty
		}
		if _, err := c.Get(t.Context(), srv.URL+path, 0); reason(err) != want {
			t.Errorf("%s: %v, want %s", path, err, want)
		}
	}
}

func TestClient_UsesNoProxy(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	c := newClient(t, Options{})
	if g := c.http.Transport.(guard); g.next.Proxy != nil {
		t.Error("a proxy would dial unchecked")
	}
}

func TestRobots_LongestRuleWins(t *testing.T) {
	r := parseRobots([]byte("User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /private # not for machines\nAllow: /private/menu\nDisallow: /*.pdf$\nDisallow:\n"), "chumi")
	for path, want := range map[string]bool{"/": true, "/private": false, "/private/a": false, "/private/menu": true, "/a/b.pdf": false, "/a/b.pdf?x": true} {
		if r.allowed(path) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
	if parseRobots([]byte("User-agent: *\nDisallow: /\nUser-agent: chumi\nDisallow: /x\n"), "chumi/1.0").allowed("/y") != true {
		t.Error("the group of everyone holds although there is one for us")
	}
}

func TestCrawl_StaysOnTheSiteAndObeys(t *testing.T) {
	links := map[string][]string{
		"/shop/":    {"a", "/shop/b#part", "b", "/admin", "https://elsewhere.example/", "mailto:x@example.com", "private/x", "gone", "?page=2"},
		"/shop/a":   {"/shop/c"},
		"/shop/b":   {"/shop/"},
		"/shop/c":   {},
		"/shop/out": {},
	}
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		switch _, ok := links[r.URL.Path]; {
		case r.URL.Path == "/robots.txt":
			_, _ = w.Write([]byte("User-agent: *\nDisallow: /shop/private"))
		case ok:
			_, _ = w.Write([]byte(r.URL.Path))
		default:
			http.NotFound(w, r)
		}
	}))
	defer srv.Close()
	c := newClient(t, Options{Inside: []string{"127.0.0.1"}})
	var seen []string
	visit := func(p *Response) error { seen = append(seen, p.URL.RequestURI()); return nil }
	crawl := Crawl{Start: srv.URL + "/shop/", Links: func(p *Response) []string { return links[p.URL.Path] }}
	pages, err := c.Crawl(t.Context(), crawl, visit)
	want := "/shop/ /shop/a /shop/b /shop/?page=2 /shop/c"
	if err != nil || pages != 5 || strings.Join(seen, " ") != want {
		t.Errorf("%d pages, %v: %s", pages, err, strings.Join(seen, " "))
	}
	for _, uri := range asked {
		if strings.Contains(uri, "admin") || strings.Contains(uri, "private") {
			t.Errorf("asked for %s", uri)
		}
	}
	seen, crawl.Pages = nil, 2
	if pages, err = c.Crawl(t.Context(), crawl, visit); err != nil || pages != 2 {
		t.Errorf("a crawl of two pages has %d (%v)", pages, err)
	}
	for start, want := range map[string]string{"/shop/private/x": "robots_refuse", "/gone": "page_not_found"} {
		if _, err := c.Crawl(t.Context(), Crawl{Start: srv.URL + start}, visit); reason(err) != want {
			t.Errorf("%s: %v, want %s", start, err, want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"https://example.com", "http://[::ffff:127.0.0.1]/", "https://0x7f.1/", "https://127.1/", "https://example.com@10.0.0.1/"} {
		f.Add(s)
	}
	c, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := c.Check(raw)
		if err != nil {
			return
		}
		if a, err := netip.ParseAddr(u.Hostname()); u.Scheme != "https" || u.User != nil || err == nil && !Public(a) {
			t.Errorf("%q passes as %v", raw, u)
		}
		if _, err := url.Parse(u.String()); err != nil {
			t.Errorf("%q is not a URL twice", raw)
		}
	})
}
