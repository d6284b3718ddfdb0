package peer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/transport/peer"
)

func TestMain(m *testing.M) {
	// fasthttp starts its clock once per process, and never ends it.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

// patience bounds every wait; nothing waits that long unless it is broken.
const patience = 20 * time.Second

// log keeps what was logged, and says when.
type log struct {
	mu    sync.Mutex
	lines []string
}

func (l *log) Enabled(context.Context, slog.Level) bool { return true }
func (l *log) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *log) WithGroup(string) slog.Handler            { return l }
func (l *log) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, b.String())
	return nil
}

// with returns the lines that hold all words.
func (l *log) with(words ...string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
next:
	for _, line := range l.lines {
		for _, w := range words {
			if !strings.Contains(line, w) {
				continue next
			}
		}
		found = append(found, line)
	}
	return found
}

func (l *log) String() string { return strings.Join(l.with(), "\n") }

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("it did not come about that %s", what)
		}
	}
}

// within receives from a channel, or fails.
func within[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("what was waited for did not come")
	}
	return v
}

// authority makes the CA of a cluster.
func authority(t testing.TB, cluster string) peer.Pair {
	t.Helper()
	ca, err := peer.NewCA(peer.CAOptions{ClusterID: cluster})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t testing.TB, ca peer.Pair, o peer.NodeOptions) peer.Pair {
	t.Helper()
	p, err := peer.IssueNode(ca, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// forged signs, with a real authority, a certificate IssueNode would not.
func forged(t testing.TB, ca peer.Pair, uris ...string) peer.Pair {
	t.Helper()
	signer := keypair(t, ca)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "forged"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, text := range uris {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		template.URIs = append(template.URIs, u)
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, signer.Leaf, &key.PublicKey, signer.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return peer.Pair{Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), Key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})}
}

func keypair(t testing.TB, p peer.Pair) tls.Certificate {
	t.Helper()
	c, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// creds writes a pair to a fresh directory and opens it.
func creds(t testing.TB, ca, pair peer.Pair, now func() time.Time, m *metrics.Peer, l *log) (*peer.Credentials, string) {
	t.Helper()
	dir := t.TempDir()
	if err := peer.WriteNode(dir, pair, ca.Cert); err != nil {
		t.Fatal(err)
	}
	c, err := peer.OpenCredentials(peer.CredentialOptions{
		CertFile: filepath.Join(dir, peer.NodeCertFile), KeyFile: filepath.Join(dir, peer.NodeKeyFile), CAFile: filepath.Join(dir, peer.CACertFile),
		Now: now, Metrics: m, Log: slog.New(l)})
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// replace renames a new file over an old one, as an operator does.
func replace(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// frame is one call of Receive.
type frame struct {
	from     chat.NodeID
	messages []peer.GroupMessage
}

// node is one port on the loopback.
type node struct {
	*peer.Transport
	id      chat.NodeID
	addr    string
	dir     string
	creds   *peer.Credentials
	log     *log
	metrics *metrics.Peer
	frames  chan frame
	lost    chan chat.NodeID
}

// start opens the port of a node. Receive goes to frames unless o has its own.
func start(t testing.TB, ca peer.Pair, id chat.NodeID, o peer.Options) *node {
	t.Helper()
	n := &node{id: id, log: &log{}, metrics: &metrics.New(nil).Peer, frames: make(chan frame, 1024), lost: make(chan chat.NodeID, 1024)}
	n.creds, n.dir = creds(t, ca, issue(t, ca, peer.NodeOptions{Node: id}), o.Now, n.metrics, n.log)
	o.Credentials, o.Metrics, o.Log = n.creds, n.metrics, slog.New(n.log)
	if o.Receive == nil {
		o.Receive = func(from chat.NodeID, m []peer.GroupMessage) { n.frames <- frame{from, m} }
	}
	o.Unreachable = func(node chat.NodeID) {
		select {
		case n.lost <- node:
		default:
		}
	}
	if o.BackoffMin == 0 {
		o.BackoffMin, o.BackoffMax = time.Millisecond, 5*time.Millisecond
	}
	var err error
	if n.Transport, err = peer.New(o); err != nil {
		t.Fatal(err)
	}
	n.addr = n.listen(t, "127.0.0.1:0")
	t.Cleanup(func() {
		n.Close()
		if err := <-n.Failed(); err != nil {
			t.Errorf("node %d: the listener ended with %v", id, err)
		}
	})
	return n
}

func (n *node) listen(t testing.TB, addr string) string {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	n.Start(ln)
	return ln.Addr().String()
}

// meet tells nodes where the others are.
func meet(nodes ...*node) {
	peers := map[chat.NodeID]string{}
	for _, n := range nodes {
		peers[n.id] = n.addr
	}
	for _, n := range nodes {
		n.SetPeers(peers)
	}
}

func (n *node) refused(reason peer.Reason) int {
	return count(n.metrics.Refused.WithLabelValues(string(reason)))
}

// count is the value of a counter or gauge.
func count(c prometheus.Collector) int {
	reg := prometheus.NewRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || len(families[0].Metric) != 1 {
		panic(fmt.Sprint("no single value: ", err))
	}
	m := families[0].Metric[0]
	return int(m.GetCounter().GetValue() + m.GetGauge().GetValue())
}

// message is a Raft message with a number to know it by.
func message(from, to chat.NodeID, index uint64) *raftpb.Message {
	return &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: proto.Uint64(uint64(from)), To: proto.Uint64(uint64(to)), Index: proto.Uint64(index)}
}

func large(from, to chat.NodeID, index uint64, bytes int) *raftpb.Message {
	m := message(from, to, index)
	m.Entries = []*raftpb.Entry{{Data: make([]byte, bytes)}}
	return m
}

// reaches sends messages from one node to another until one arrives: what went
// out before the connection broke is lost, as it may be.
func reaches(t *testing.T, from, to *node) {
	t.Helper()
	const mark = 1 << 40
	deadline := time.After(patience)
	for {
		from.Send(to.id, []peer.GroupMessage{{Group: 3, Message: message(from.id, to.id, mark)}})
		again := time.NewTimer(20 * time.Millisecond)
		select {
		case f := <-to.frames:
			for _, m := range f.messages {
				if f.from == from.id && m.Message.GetIndex() == mark {
					again.Stop()
					return
				}
			}
		case <-again.C:
		case <-deadline:
			t.Fatalf("node %d does not reach node %d:\n%s\n--\n%s", from.id, to.id, from.log, to.log)
		}
	}
}

// isRefused waits for a refusal, and fails unless it left one line that says
// why and who.
func isRefused(t *testing.T, n *node, reason peer.Reason) {
	t.Helper()
	eventually(t, string(reason)+" is counted", func() bool { return n.refused(reason) > 0 })
	eventually(t, string(reason)+" is logged", func() bool { return len(n.log.with("a peer was refused", "reason="+string(reason))) > 0 })
	lines := n.log.with("a peer was refused", "reason="+string(reason))
	if len(lines) != 1 || !strings.Contains(lines[0], "remote=127.0.0.1:") {
		t.Errorf("the log says:\n%s", strings.Join(lines, "\n"))
	}
}

// raw is a gRPC codec of bytes, to speak to a port as no Transport would.
type raw struct{}

func (raw) Name() string { return "raw" }
func (raw) Marshal(v any) ([]byte, error) {
	if m, ok := v.(proto.Message); ok {
		return proto.Marshal(m)
	}
	return *v.(*[]byte), nil
}
func (raw) Unmarshal(b []byte, v any) error {
	if out, ok := v.(*[]byte); ok {
		*out = append([]byte(nil), b...)
	}
	return nil
}

// dialRaw opens a connection to a node with another node's certificate.
func dialRaw(t testing.TB, ca peer.Pair, as chat.NodeID, to *node) *grpc.ClientConn {
	t.Helper()
	cfg := &tls.Config{Certificates: []tls.Certificate{keypair(t, issue(t, ca, peer.NodeOptions{Node: as}))}, InsecureSkipVerify: true}
	conn, err := grpc.NewClient("passthrough:///"+to.addr, grpc.WithTransportCredentials(credentials.NewTLS(cfg)),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// rawStream opens a stream of a method of the port.
func rawStream(t *testing.T, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func send(t *testing.T, s grpc.ClientStream, b []byte) {
	t.Helper()
	if err := s.SendMsg(&b); err != nil && err != io.EOF {
		t.Fatal(err)
	}
}

// ends is the error a stream ends with.
func ends(s grpc.ClientStream) error {
	for {
		var b []byte
		if err := s.RecvMsg(&b); err != nil {
			return err
		}
	}
}
