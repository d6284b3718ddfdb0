package peer_test

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/peer"
)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestListener_RefusesWhoIsNotOfTheCluster(t *testing.T) {
	ca := authority(t, "shop")
	show := func(p peer.Pair) *tls.Config {
		cert := keypair(t, p)
		return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"},
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }}
	}
	past := time.Now().AddDate(0, 0, -30)
	for _, c := range []struct {
		reason peer.Reason
		client *tls.Config // nil speaks plain text
	}{
		{peer.ReasonForeignCA, show(issue(t, authority(t, "shop"), peer.NodeOptions{Node: 2}))},
		{peer.ReasonExpired, show(issue(t, ca, peer.NodeOptions{Node: 2, Days: 10, Now: past}))},
		{peer.ReasonWrongCluster, show(forged(t, ca, "chumi://other/node/2"))},
		{peer.ReasonWrongNode, show(issue(t, ca, peer.NodeOptions{Node: 1}))},
		{peer.ReasonNoIdentity, show(forged(t, ca, "spiffe://shop/node/2"))},
		{peer.ReasonNoCertificate, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}},
		{peer.ReasonPlaintext, nil},
	} {
		t.Run(string(c.reason), func(t *testing.T) {
			t.Parallel()
			one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{})
			meet(one, two)
			for range 3 {
				knock(t, one.addr, c.client)
			}
			eventually(t, "all three are counted", func() bool { return one.refused(c.reason) == 3 })
			isRefused(t, one, c.reason)
			reaches(t, two, one)
		})
	}
}

// knock connects and returns when the other side has hung up.
func knock(t *testing.T, addr string, cfg *tls.Config) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if cfg == nil {
		_, _ = io.WriteString(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		return
	}
	s := tls.Client(c, cfg)
	if err := s.Handshake(); err != nil {
		return
	}
	// In TLS 1.3 a client hears only now that it was refused.
	if _, err := s.Read(make([]byte, 1)); err == nil {
		t.Error("the listener took what it should refuse")
	}
}

// A stranger who keeps knocking does not fill the log, and is not forgotten.
func TestListener_RefusalsAreLoggedRarely(t *testing.T) {
	ca := authority(t, "shop")
	now := &clock{now: time.Now()}
	one := start(t, ca, 1, peer.Options{Now: now.Now, LogEvery: time.Minute})
	knocks := 0
	for range 3 {
		for range 4 {
			knock(t, one.addr, nil)
			knocks++
			eventually(t, "it is counted", func() bool { return one.refused(peer.ReasonPlaintext) == knocks })
		}
		now.Add(time.Minute)
	}
	eventually(t, "all is logged", func() bool { return len(one.log.with("a peer was refused")) == 3 })
	if lines := one.log.with("reason=plaintext", "suppressed=3"); len(lines) != 2 {
		t.Errorf("the log says:\n%s", one.log)
	}
}

func TestListener_OldTLSIsRefused(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{})
	cert := keypair(t, issue(t, ca, peer.NodeOptions{Node: 2}))
	knock(t, one.addr, &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	isRefused(t, one, peer.ReasonHandshake)
}

func TestListener_PortChecksAreNoRefusal(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{})
	c, err := net.Dial("tcp", one.addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	two := start(t, ca, 2, peer.Options{})
	meet(one, two)
	reaches(t, two, one)
	if lines := one.log.with("refused"); len(lines) > 0 {
		t.Errorf("the log says %q", lines)
	}
}

func TestListener_CapsConnections(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{ConnMax: 2})
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", one.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		held = append(held, c)
	}
	knock(t, one.addr, nil)
	isRefused(t, one, peer.ReasonTooMany)
	for _, c := range held {
		_ = c.Close()
	}
	two := start(t, ca, 2, peer.Options{})
	meet(one, two)
	reaches(t, two, one)
}

func TestDial_RefusesWhoIsNotTheNode(t *testing.T) {
	ca := authority(t, "shop")
	past := time.Now().AddDate(0, 0, -30)
	for _, c := range []struct {
		reason peer.Reason
		server *peer.Pair // nil speaks plain text
	}{
		{peer.ReasonForeignCA, ptr(issue(t, authority(t, "shop"), peer.NodeOptions{Node: 2}))},
		{peer.ReasonExpired, ptr(issue(t, ca, peer.NodeOptions{Node: 2, Days: 10, Now: past}))},
		{peer.ReasonWrongCluster, ptr(forged(t, ca, "chumi://other/node/2"))},
		{peer.ReasonWrongNode, ptr(issue(t, ca, peer.NodeOptions{Node: 3}))},
		{peer.ReasonNoIdentity, ptr(forged(t, ca))},
		{peer.ReasonPlaintext, nil},
	} {
		t.Run(string(c.reason), func(t *testing.T) {
			t.Parallel()
			impostor, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				for {
					conn, err := impostor.Accept()
					if err != nil {
						return
					}
					if c.server == nil {
						_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
					} else {
						s := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{keypair(t, *c.server)}, NextProtos: []string{"h2"}})
						_ = s.SetDeadline(time.Now().Add(patience))
						_ = s.Handshake()
					}
					_, _ = io.Copy(io.Discard, conn)
					_ = conn.Close()
				}
			}()
			defer func() { _ = impostor.Close(); <-ended }()

			one, two := start(t, ca, 1, peer.Options{}), start(t, ca, 2, peer.Options{})
			one.SetPeers(map[chat.NodeID]string{2: impostor.Addr().String()})
			one.Send(2, []peer.GroupMessage{{Message: message(1, 2, 1)}})
			isRefused(t, one, c.reason)
			if node := within(t, one.lost); node != 2 {
				t.Errorf("node %d was reported", node)
			}
			if err := one.SendSnapshot(t.Context(), 2, nil, newSource(1)); peer.ReasonOf(err) != c.reason {
				t.Errorf("a snapshot fails with %v", err)
			}
			if lines := one.log.with(); len(lines) != 1 {
				t.Errorf("the log says:\n%s", one.log)
			}
			meet(one, two)
			reaches(t, one, two)
		})
	}
}

func TestAdmit_KeepsOutANodeThatWasRemoved(t *testing.T) {
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{Admit: func(node chat.NodeID) bool { return node != 2 }})
	two, three := start(t, ca, 2, peer.Options{}), start(t, ca, 3, peer.Options{})
	meet(one, two, three)
	two.Send(1, []peer.GroupMessage{{Message: message(2, 1, 1)}})
	if node := within(t, two.lost); node != 1 {
		t.Errorf("node %d was reported", node)
	}
	isRefused(t, one, peer.ReasonNotAdmitted)
	reaches(t, three, one)
}

func ptr[T any](v T) *T { return &v }

func TestCredentials_ReloadWithoutRestart(t *testing.T) {
	now := &clock{now: time.Now()}
	ca := authority(t, "shop")
	one := start(t, ca, 1, peer.Options{Now: now.Now})
	shown := func() *tls.Config { return one.creds.Client(2) }
	serial := func(cfg *tls.Config) string {
		cert, err := cfg.GetClientCertificate(&tls.CertificateRequestInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return cert.Leaf.SerialNumber.String()
	}
	first := serial(shown())
	files := func(p peer.Pair, ca []byte) {
		replace(t, one.dir+"/"+peer.NodeKeyFile, p.Key)
		replace(t, one.dir+"/"+peer.NodeCertFile, p.Cert)
		replace(t, one.dir+"/"+peer.CACertFile, ca)
	}
	next := issue(t, ca, peer.NodeOptions{Node: 1, Days: 20})
	files(next, ca.Cert)
	if serial(shown()) != first {
		t.Error("the files were looked at again within a second")
	}
	now.Add(time.Second)
	second := serial(shown())
	if second == first || second != keypair(t, next).Leaf.SerialNumber.String() {
		t.Error("the new certificate is not in use")
	}
	if got := count(one.metrics.CertificateExpiry); got != int(keypair(t, next).Leaf.NotAfter.Unix()) {
		t.Errorf("the expiry says %d", got)
	}

	for name, broken := range map[string]func(){
		"no certificate":    func() { replace(t, one.dir+"/"+peer.NodeCertFile, []byte("nonsense")) },
		"another's key":     func() { files(peer.Pair{Cert: next.Cert, Key: issue(t, ca, peer.NodeOptions{Node: 1}).Key}, ca.Cert) },
		"another node":      func() { files(issue(t, ca, peer.NodeOptions{Node: 5}), ca.Cert) },
		"another authority": func() { files(next, authority(t, "shop").Cert) },
		"already over": func() {
			files(issue(t, ca, peer.NodeOptions{Node: 1, Days: 1, Now: now.Now().AddDate(0, 0, -9)}), ca.Cert)
		},
		"no authority":       func() { files(next, nil) },
		"an identity of two": func() { files(forged(t, ca, "chumi://shop/node/1", "chumi://shop/node/2"), ca.Cert) },
	} {
		before := len(one.log.with("not reloaded"))
		broken()
		for range 3 {
			now.Add(time.Second)
			if serial(shown()) != second {
				t.Errorf("%s: the old certificate is not in use any more", name)
			}
		}
		if lines := one.log.with("not reloaded"); len(lines) != before+1 {
			t.Errorf("%s: %d lines in the log, want one", name, len(lines)-before)
		}
	}

	// An authority is exchanged by holding both for a while.
	renewed := authority(t, "shop")
	files(issue(t, renewed, peer.NodeOptions{Node: 1}), slices.Concat(ca.Cert, renewed.Cert))
	now.Add(time.Second)
	two := start(t, ca, 2, peer.Options{Now: now.Now})
	replace(t, two.dir+"/"+peer.CACertFile, slices.Concat(ca.Cert, renewed.Cert))
	now.Add(time.Second)
	meet(one, two)
	reaches(t, two, one)
	reaches(t, one, two)
	if ok := count(one.metrics.Reloads.WithLabelValues("ok")); ok != 2 {
		t.Errorf("%d reloads, want 2", ok)
	}
}

func TestCredentials_RefuseToOpen(t *testing.T) {
	ca := authority(t, "shop")
	good, forgery := issue(t, ca, peer.NodeOptions{Node: 1}), forged(t, ca)
	for name, c := range map[string]struct {
		pair peer.Pair
		ca   []byte
		want string
	}{
		"expired":    {issue(t, ca, peer.NodeOptions{Node: 1, Days: 1, Now: time.Now().AddDate(0, -1, 0)}), ca.Cert, "does not hold up"},
		"foreign":    {good, authority(t, "shop").Cert, "does not hold up"},
		"mismatched": {peer.Pair{Cert: good.Cert, Key: ca.Key}, ca.Cert, "no pair"},
		"no uri":     {forgery, ca.Cert, "no node's certificate"},
		"no ca":      {good, []byte("nonsense"), "holds no certificate"},
	} {
		dir := t.TempDir()
		if err := peer.WriteNode(dir, c.pair, c.ca); err != nil {
			t.Fatal(err)
		}
		_, err := peer.OpenCredentials(peer.CredentialOptions{CertFile: dir + "/node.crt", KeyFile: dir + "/node.key", CAFile: dir + "/ca.crt",
			Metrics: &metrics.New(nil).Peer, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestIdentity_IsExact(t *testing.T) {
	ca := authority(t, "shop")
	for _, uri := range []string{"chumi://shop/node/0", "chumi://shop/node/01", "chumi://shop/node/+1", "chumi://shop/node/1/", "chumi://shop/1",
		"chumi://user@shop/node/1", "chumi://shop:80/node/1", "chumi://shop/node/1?x=y", "chumi:///node/1", "chumi://SHOP/node/1",
		"chumi://shop/node/18446744073709551616"} {
		if id, err := peer.IdentityOf(keypair(t, forged(t, ca, uri)).Leaf); err == nil {
			t.Errorf("%s is taken for %+v", uri, id)
		}
	}
	id, err := peer.IdentityOf(keypair(t, forged(t, ca, "https://shop.example", "chumi://shop/node/18446744073709551615")).Leaf)
	if err != nil || id != (peer.Identity{Cluster: "shop", Node: 1<<64 - 1}) {
		t.Errorf("%+v %v", id, err)
	}
	for address, want := range map[string]chat.NodeID{"node-7": 7, "node-07": 0, "node-0": 0, "node-": 0, "nonhost": 0, "node--1": 0} {
		if node, ok := peer.NodeOf(address); ok != (want != 0) || ok && node != want {
			t.Errorf("%q is taken for node %d, %v", address, node, ok)
		}
	}
}
