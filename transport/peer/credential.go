package peer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// pollEvery is how often, at most, a handshake looks whether the files changed.
const pollEvery = time.Second

// CredentialOptions says where a node's certificate is.
type CredentialOptions struct {
	// CertFile, KeyFile and CAFile are PEM files; required. CAFile may hold
	// several authorities, which is how one is exchanged for another.
	CertFile, KeyFile, CAFile string
	// Now is the clock of validity and polling; nil means time.Now.
	Now func() time.Time
	// Metrics and Log hear of reloads; required.
	Metrics *metrics.Peer
	Log     *slog.Logger
}

// EnsureDefaults fills what is zero.
func (o CredentialOptions) EnsureDefaults() CredentialOptions {
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Validate names what is missing.
func (o CredentialOptions) Validate() error {
	if o.CertFile == "" || o.KeyFile == "" || o.CAFile == "" || o.Metrics == nil || o.Log == nil {
		return chat.E("peer.OpenCredentials", chat.KindInvalid, "CertFile, KeyFile, CAFile, Metrics and Log are required; chumi cluster cert makes the files", nil)
	}
	return nil
}

// Credentials are a node's certificate, its key and the authority it shares
// with its peers. Each handshake uses the files as they are then, looked at once
// a second at most: a new certificate needs no restart. Files that cannot be
// used, or that name another node or cluster, are logged and the old ones kept.
// Connections that stand are not cut by a reload.
//
// It is safe for use by many goroutines.
type Credentials struct {
	o  CredentialOptions
	id Identity // of the first load; no reload changes it

	// mu guards what is below.
	mu     sync.Mutex
	now    *loaded
	looked time.Time
	stats  [3]fs.FileInfo // of the files that were last tried, good or bad
}

// loaded is one state of the files. It is not changed.
type loaded struct {
	cert  tls.Certificate
	roots *x509.CertPool
}

// OpenCredentials reads the files. The error says which of them is wrong.
func OpenCredentials(o CredentialOptions) (*Credentials, error) {
	o = o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Credentials{o: o, looked: o.Now()}
	stats, err := c.stat()
	if err != nil {
		return nil, chat.E("peer.OpenCredentials", chat.KindNotFound, "chumi cluster cert makes these files", err)
	}
	l, id, err := c.load()
	if err != nil {
		return nil, err
	}
	c.now, c.id, c.stats = l, id, stats
	c.tellExpiry(l)
	return c, nil
}

// Identity is the cluster and the node the certificate is for.
func (c *Credentials) Identity() Identity { return c.id }

func (c *Credentials) stat() (stats [3]fs.FileInfo, err error) {
	for i, name := range []string{c.o.CertFile, c.o.KeyFile, c.o.CAFile} {
		if stats[i], err = os.Stat(name); err != nil {
			return stats, err
		}
	}
	return stats, nil
}

// load reads and checks the files: a certificate its own authority does not
// vouch for would be refused by every peer, which is better known here.
func (c *Credentials) load() (*loaded, Identity, error) {
	const op = "peer.Credentials"
	cert, err := tls.LoadX509KeyPair(c.o.CertFile, c.o.KeyFile)
	if err != nil {
		return nil, Identity{}, chat.E(op, chat.KindInvalid, fmt.Sprintf("%s and %s are no pair", c.o.CertFile, c.o.KeyFile), err)
	}
	text, err := os.ReadFile(c.o.CAFile)
	if err != nil {
		return nil, Identity{}, chat.E(op, chat.KindInvalid, "the authority's certificate is not readable", err)
	}
	l := &loaded{cert: cert, roots: x509.NewCertPool()}
	if !l.roots.AppendCertsFromPEM(text) {
		return nil, Identity{}, chat.E(op, chat.KindInvalid, c.o.CAFile+" holds no certificate", nil)
	}
	id, err := IdentityOf(cert.Leaf)
	if err != nil {
		return nil, Identity{}, chat.E(op, chat.KindInvalid, c.o.CertFile+" is no node's certificate", err)
	}
	if err := verify(l.roots, chain(cert), x509.ExtKeyUsageServerAuth, c.o.Now()); err != nil {
		return nil, Identity{}, chat.E(op, chat.KindInvalid, fmt.Sprintf("%s does not hold up against %s", c.o.CertFile, c.o.CAFile), err)
	}
	return l, id, nil
}

func chain(cert tls.Certificate) []*x509.Certificate {
	certs := []*x509.Certificate{cert.Leaf}
	for _, der := range cert.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, c)
		}
	}
	return certs
}

// current is the state of the files, reread when they changed.
func (c *Credentials) current() *loaded {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.o.Now()
	if now.Sub(c.looked) < pollEvery {
		return c.now
	}
	c.looked = now
	stats, err := c.stat()
	if err == nil && same(stats, c.stats) {
		return c.now
	}
	known := c.stats
	c.stats = stats
	var l *loaded
	var id Identity
	if err == nil {
		l, id, err = c.load()
	}
	if err == nil && id != c.id {
		err = refusal(ReasonWrongNode, "the new certificate is of %s, this node is %s; that takes a restart", id.URI(), c.id.URI())
	}
	if err != nil {
		// A file that is missing is logged once, until something changes again.
		if !same(stats, known) {
			c.o.Metrics.Reloads.WithLabelValues("failed").Inc()
			c.o.Log.Error("the node's certificate was not reloaded; the old one stays in use", "error", err)
		}
		return c.now
	}
	c.now = l
	c.tellExpiry(l)
	c.o.Metrics.Reloads.WithLabelValues("ok").Inc()
	c.o.Log.Info("the node's certificate was reloaded", "expires", l.cert.Leaf.NotAfter)
	return c.now
}

func (c *Credentials) tellExpiry(l *loaded) {
	c.o.Metrics.CertificateExpiry.Set(float64(l.cert.Leaf.NotAfter.Unix()))
}

// same reports whether two looks saw the same files: a rename over a file is
// another inode, a write in place another time or length.
func same(a, b [3]fs.FileInfo) bool {
	for i := range a {
		if a[i] == nil || b[i] == nil {
			if a[i] != b[i] {
				return false
			}
			continue
		}
		if !os.SameFile(a[i], b[i]) || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Size() != b[i].Size() {
			return false
		}
	}
	return true
}

// Server is the configuration of a listener. Each handshake takes the files as
// they are.
func (c *Credentials) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return c.server(protoStreams), nil
		},
	}
}

func (c *Credentials) server(protocols ...string) *tls.Config {
	l := c.current()
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{l.cert},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    l.roots,
		NextProtos:   protocols,
		Time:         c.o.Now,
		// A resumed session would skip a certificate that has changed since.
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			id, err := c.peerOf(s)
			if err != nil {
				return err
			}
			if id.Node == c.id.Node {
				return refusal(ReasonWrongNode, "the peer shows a certificate of node %d, which is this node: two nodes share one", id.Node)
			}
			return nil
		},
	}
}

// The protocols of the port, as ALPN names them: gRPC's and that of calls.
const (
	protoStreams = "h2"
	protoCalls   = "http/1.1"
)

// Client is the configuration for dialling one node, or any node of the cluster
// but this one when node is 0.
//
// InsecureSkipVerify turns off crypto/tls's own check only, which wants the
// name of a host: nodes have numbers, and move. VerifyConnection, which always
// runs, does all of it: chain, validity, usage, cluster, node.
func (c *Credentials) Client(node chat.NodeID) *tls.Config { return c.client(node, protoStreams) }

func (c *Credentials) client(node chat.NodeID, protocol string) *tls.Config {
	l := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Shown whatever authorities the peer names: one that shares none with us
		// shall say so, not that it saw no certificate.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &l.cert, nil },
		NextProtos:           []string{protocol},
		Time:                 c.o.Now,
		InsecureSkipVerify:   true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if err := verify(l.roots, s.PeerCertificates, x509.ExtKeyUsageServerAuth, c.o.Now()); err != nil {
				return sorted(err)
			}
			id, err := c.peerOf(s)
			if err != nil {
				return err
			}
			switch id.Node {
			case node:
			case c.id.Node:
				return refusal(ReasonWrongNode, "the peer shows a certificate of node %d, which is this node: the address is our own, or two nodes share one", id.Node)
			default:
				if node == 0 {
					return nil
				}
				return refusal(ReasonWrongNode, "node %d answers at the address of node %d", id.Node, node)
			}
			return nil
		},
	}
}

func verify(roots *x509.CertPool, certs []*x509.Certificate, usage x509.ExtKeyUsage, now time.Time) error {
	if len(certs) == 0 {
		return refusal(ReasonNoCertificate, "the peer shows no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range certs[1:] {
		between.AddCert(c)
	}
	_, err := certs[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

// peerOf is the identity behind a verified connection, of our cluster.
func (c *Credentials) peerOf(s tls.ConnectionState) (Identity, error) {
	if len(s.PeerCertificates) == 0 {
		return Identity{}, refusal(ReasonNoCertificate, "the peer shows no certificate")
	}
	id, err := IdentityOf(s.PeerCertificates[0])
	if err != nil {
		return Identity{}, err
	}
	if id.Cluster != c.id.Cluster {
		return Identity{}, refusal(ReasonWrongCluster, "the peer is of cluster %q, this is %q", id.Cluster, c.id.Cluster)
	}
	return id, nil
}

// errNoALPN is a TLS peer that is not one of ours.
var errNoALPN = errors.New("the peer speaks TLS but none of the port's protocols")
