package peer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/chumiai/chumi/chat"
)

const (
	// DefaultCADays is how long a cluster's authority lasts: exchanging it
	// touches every node, so it is rare.
	DefaultCADays = 3650
	// DefaultNodeDays is how long a node's certificate lasts. A new one is taken
	// up without a restart.
	DefaultNodeDays = 365
	// backdate absorbs clocks that are behind the one that signed.
	backdate = 5 * time.Minute
)

// The file names of a certificate directory.
const (
	CACertFile   = "ca.crt"
	CAKeyFile    = "ca.key"
	NodeCertFile = "node.crt"
	NodeKeyFile  = "node.key"
)

// Pair is a certificate and its private key, both PEM.
type Pair struct {
	Cert, Key []byte
}

// CAOptions describes a new authority.
type CAOptions struct {
	// ClusterID is the one cluster it will sign for.
	ClusterID string
	// Days is its lifetime; zero means DefaultCADays.
	Days int
	// Now is the time of signing; zero means the clock's.
	Now time.Time
}

// NewCA makes the private authority of a cluster. Its key is needed to issue
// certificates only: keep it off the nodes.
func NewCA(o CAOptions) (Pair, error) {
	const op = "peer.NewCA"
	if err := validCluster(o.ClusterID); err != nil {
		return Pair{}, err
	}
	from, until, err := validity(op, o.Now, o.Days, DefaultCADays)
	if err != nil {
		return Pair{}, err
	}
	key, serial, err := fresh(op)
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"chumi"}, CommonName: "chumi cluster " + o.ClusterID},
		URIs:         []*url.URL{{Scheme: scheme, Host: o.ClusterID}},
		NotBefore:    from, NotAfter: until,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return signed(op, template, template, key, key)
}

// NodeOptions describes a node's certificate.
type NodeOptions struct {
	// Node is the node's number, from 1.
	Node chat.NodeID
	// Hosts are DNS names and addresses to put in besides. Peers do not look at
	// them; other tools may. Can be nil.
	Hosts []string
	// Days is its lifetime; zero means DefaultNodeDays.
	Days int
	// Now is the time of signing; zero means the clock's.
	Now time.Time
}

// IssueNode signs a certificate for one node of the authority's cluster, good
// for both ends of a connection.
func IssueNode(ca Pair, o NodeOptions) (Pair, error) {
	const op = "peer.IssueNode"
	signer, err := tls.X509KeyPair(ca.Cert, ca.Key)
	if err != nil {
		return Pair{}, chat.E(op, chat.KindInvalid, "the authority's certificate and key do not fit", err)
	}
	cluster, err := clusterOf(signer.Leaf)
	if err != nil {
		return Pair{}, chat.E(op, chat.KindInvalid, "this is not the authority of a cluster", err)
	}
	id := Identity{Cluster: cluster, Node: o.Node}
	if err := id.Validate(); err != nil {
		return Pair{}, err
	}
	from, until, err := validity(op, o.Now, o.Days, DefaultNodeDays)
	if err != nil {
		return Pair{}, err
	}
	if until.After(signer.Leaf.NotAfter) {
		return Pair{}, chat.E(op, chat.KindInvalid, fmt.Sprintf("the authority ends on %s, before this certificate would: fewer days, or a new authority",
			signer.Leaf.NotAfter.Format(time.DateOnly)), nil)
	}
	key, serial, err := fresh(op)
	if err != nil {
		return Pair{}, err
	}
	uri, err := url.Parse(id.URI())
	if err != nil {
		return Pair{}, chat.E(op, chat.KindInvalid, "the identity is no URI", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{Organization: []string{"chumi"}, CommonName: fmt.Sprintf("%s node %d", cluster, o.Node)},
		URIs:         []*url.URL{uri},
		NotBefore:    from, NotAfter: until,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, h := range o.Hosts {
		switch ip := net.ParseIP(h); {
		case ip != nil:
			template.IPAddresses = append(template.IPAddresses, ip)
		case h == "":
			return Pair{}, chat.E(op, chat.KindInvalid, "a host is empty", nil)
		default:
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	parentKey, ok := signer.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return Pair{}, chat.E(op, chat.KindInvalid, "the authority's key is not an ECDSA key", nil)
	}
	return signed(op, template, signer.Leaf, key, parentKey)
}

// clusterOf is the cluster an authority signs for.
func clusterOf(ca *x509.Certificate) (string, error) {
	for _, u := range ca.URIs {
		if u.Scheme == scheme && u.Path == "" && ca.IsCA {
			return u.Host, validCluster(u.Host)
		}
	}
	return "", errors.New("no URI " + scheme + "://<cluster id> in it")
}

func validity(op string, now time.Time, days, fallback int) (from, until time.Time, err error) {
	if now.IsZero() {
		now = time.Now()
	}
	if days == 0 {
		days = fallback
	}
	if days < 0 || days > 100*365 {
		return from, until, chat.E(op, chat.KindInvalid, fmt.Sprintf("%d days are no lifetime", days), nil)
	}
	return now.Add(-backdate), now.AddDate(0, 0, days), nil
}

// fresh draws a key and a serial number. P-256 rather than Ed25519: key stores
// and certificate managers all take it.
func fresh(op string) (*ecdsa.PrivateKey, *big.Int, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, chat.E(op, chat.KindOther, "no key was made", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, chat.E(op, chat.KindOther, "no serial number was drawn", err)
	}
	return key, serial.Add(serial, big.NewInt(1)), nil
}

func signed(op string, template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) (Pair, error) {
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return Pair{}, chat.E(op, chat.KindInvalid, "the certificate was not signed", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, chat.E(op, chat.KindOther, "the key was not encoded", err)
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
	}, nil
}

// ReadPair reads a certificate and its key from files.
func ReadPair(certFile, keyFile string) (Pair, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return Pair{}, chat.E("peer.ReadPair", chat.KindNotFound, "the certificate is not readable", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return Pair{}, chat.E("peer.ReadPair", chat.KindNotFound, "the key is not readable", err)
	}
	return Pair{Cert: cert, Key: key}, nil
}

// WriteCA writes an authority to ca.crt and ca.key of dir. It never replaces a
// file: a lost authority is a new cluster.
func WriteCA(dir string, ca Pair) error {
	return writeAll(dir, []file{{CAKeyFile, ca.Key, 0o400}, {CACertFile, ca.Cert, 0o444}})
}

// WriteNode writes a node's certificate and key, and the authority's
// certificate it needs to know its peers, to node.crt, node.key and ca.crt of
// dir. It never replaces a file.
func WriteNode(dir string, node Pair, caCert []byte) error {
	return writeAll(dir, []file{{NodeKeyFile, node.Key, 0o400}, {NodeCertFile, node.Cert, 0o444}, {CACertFile, caCert, 0o444}})
}

type file struct {
	name string
	text []byte
	mode fs.FileMode
}

// writeAll writes all files or none.
func writeAll(dir string, files []file) (err error) {
	const op = "peer.Write"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return chat.E(op, chat.KindOther, "the directory cannot be made", err)
	}
	var made []string
	defer func() {
		for _, path := range made {
			if err != nil {
				_ = os.Remove(path)
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if errors.Is(err, fs.ErrExist) {
			return chat.E(op, chat.KindConflict, path+" exists and is not replaced; choose another directory, or move it away", nil)
		}
		if err != nil {
			return chat.E(op, chat.KindOther, "the file cannot be made", err)
		}
		made = append(made, path)
		_, err = w.Write(f.text)
		if err := errors.Join(err, w.Sync(), w.Close()); err != nil {
			return chat.E(op, chat.KindOther, path+" was not written", err)
		}
	}
	return nil
}
