package main

import (
	"bufio"
	"bytes"
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
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// proxied is an nginx on loopback, with deploy/nginx/chumi.conf, before an engine.
type proxied struct {
	*engine
	tls   string // host:port
	roots *x509.CertPool
	http  *http.Client
}

const (
	hooksHost = "hooks.example.com"
	appHost   = "app.example.com"
)

// behindNginx starts nginx with the configuration that is shipped. What is changed in
// it is where things are: addresses, certificates, and the two ports.
func behindNginx(t *testing.T, e *engine) *proxied {
	t.Helper()
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		if nginx, err = exec.LookPath("/usr/sbin/nginx"); err != nil {
			t.Skip("nginx is not installed: deploy/nginx/chumi.conf is not tried")
		}
	}
	text, err := os.ReadFile("../../deploy/nginx/chumi.conf")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	p := &proxied{engine: e, roots: x509.NewCertPool()}
	plain, secure := freeAddr(t), freeAddr(t)
	p.tls = secure
	p.certificate(t, filepath.Join(dir, "hooks"), hooksHost)
	p.certificate(t, filepath.Join(dir, "app"), appHost)
	conf := string(text)
	for _, change := range [][2]string{
		{"server 127.0.0.1:8080;", "server " + e.edge + ";"}, {"server 127.0.0.1:8081;", "server " + e.api + ";"},
		{"listen 80;", "listen " + plain + ";"}, {"listen 443 ", "listen " + secure + " "}, {"/etc/nginx/tls/", dir + "/"},
	} {
		if !strings.Contains(conf, change[0]) {
			t.Fatalf("the configuration does not say %q any more", change[0])
		}
		conf = strings.ReplaceAll(conf, change[0], change[1])
	}
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;\n"
	}
	var temp strings.Builder
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s;\n", kind, filepath.Join(dir, kind))
	}
	whole := user + "daemon off;\nworker_processes 1;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents { worker_connections 256; }\nhttp {\n" +
		temp.String() + "access_log off;\n" + conf + "\n}\n"
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(nginx, "-t", "-q", "-c", file, "-p", dir).CombinedOutput(); err != nil {
		t.Fatalf("nginx refuses the configuration: %v\n%s", err, out)
	}
	cmd := exec.Command(nginx, "-c", file, "-p", dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() && said.Len() > 0 {
			t.Logf("nginx said:\n%s", said.String())
		}
	})
	dialer := &net.Dialer{}
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: p.roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, secure)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	p.http = &http.Client{Transport: transport}
	await(t, "nginx listens", func() bool {
		c, err := net.Dial("tcp", secure)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return p
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	end := time.Now().Add(patience)
	for !so() {
		if time.Now().After(end) {
			t.Fatalf("it does not come to this: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// freeAddr is an address of loopback that was free a moment ago.
func freeAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// certificate makes one for a name, signed by itself.
func (p *proxied) certificate(t *testing.T, path, host string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for ending, block := range map[string]*pem.Block{".crt": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path+ending, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.roots.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// do sends one request to a name that nginx serves.
func (p *proxied) do(t *testing.T, method, url string, body []byte, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// seen counts the requests that reached the engine's edge, refused or not.
func (e *engine) seen(t *testing.T) (n int) {
	t.Helper()
	_, text := get(t, "http://"+e.ops+"/metrics", "")
	for _, m := range regexp.MustCompile(`(?m)^chumi_(?:webhook_posts_total\{|http_refused_total\{listener="hooks").* ([0-9]+)$`).FindAllStringSubmatch(text, -1) {
		count, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		n += count
	}
	return n
}

func TestNginx_TakesWebhooksAndStreamsEvents(t *testing.T) {
	_, sims := quickSimulators(t, write(t, "bootstrap.yaml", twoTenants))
	p := behindNginx(t, startEngine(t, t.TempDir(), write(t, "bootstrap.yaml", twoTenants), sims...))
	hooks, app := "https://"+hooksHost, "https://"+appHost

	stream := p.do(t, http.MethodGet, app+"/v1/events?from=0", nil, map[string]string{"Authorization": "Bearer key-of-acme", "Accept": "text/event-stream"})
	if stream.StatusCode != http.StatusOK || stream.ProtoMajor != 2 {
		t.Fatalf("the stream: %s over %s", stream.Status, stream.Proto)
	}
	lines := make(chan string, 64)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(stream.Body); s.Scan(); {
			lines <- s.Text()
		}
	}()

	body := waText("106000000000001", "102000000000001", "4915550100042", "wamid.1", "Are you open?")
	signed := func(body []byte) map[string]string {
		return map[string]string{"Content-Type": "application/json", "X-Hub-Signature-256": signature("secret-of-acme", body)}
	}
	if resp := p.do(t, http.MethodPost, hooks+"/hooks/acme-app", body, signed(body)); resp.StatusCode != http.StatusOK || resp.ProtoMajor != 2 || resp.Header.Get("Server") != "nginx" {
		t.Errorf("a webhook: %s over %s by %q", resp.Status, resp.Proto, resp.Header.Get("Server"))
	}
	if resp := p.do(t, http.MethodPost, hooks+"/hooks/acme-app", body, signed([]byte("{}"))); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a webhook with another body's signature: %s", resp.Status)
	}
	// The stream is open, and stays so: what comes is not held back until it ends.
	limit := time.After(patience)
	for arrived := false; !arrived; {
		select {
		case line, open := <-lines:
			if !open {
				t.Fatal("the stream ended")
			}
			arrived = strings.HasPrefix(line, "data:") && strings.Contains(line, "Are you open?")
		case <-limit:
			t.Fatal("the event does not arrive")
		}
	}

	// Meta's largest body passes; what is larger than the engine takes does not reach it.
	large := bytes.Repeat([]byte(" "), 3<<20)
	if resp := p.do(t, http.MethodPost, hooks+"/hooks/acme-app", large, signed([]byte("{}"))); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("3 MiB: %s, the engine would have looked at its signature", resp.Status)
	}
	before := p.seen(t)
	if resp := p.do(t, http.MethodPost, hooks+"/hooks/acme-app", append(large, large...), signed([]byte("{}"))); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("6 MiB: %s", resp.Status)
	}
	if p.seen(t) != before {
		t.Error("6 MiB reached the engine")
	}

	// Each name leads to its own listener only.
	for url, want := range map[string]int{hooks + "/v1/conversations": 404, hooks + "/": 404, hooks + "/metrics": 404, hooks + "/hooks/acme-app": 403,
		app + "/hooks/acme-app": 404, app + "/metrics": 404, app + "/v1/conversations": 401} {
		if resp := p.do(t, http.MethodGet, url, nil, nil); resp.StatusCode != want {
			t.Errorf("%s: %s, want %d", url, resp.Status, want)
		}
	}
}

// TestNginx_LetsNoRequestThroughUnseen: what nginx takes for one request is one for the
// engine, or is refused. A hidden one would be counted at the edge and not answered
// to the client.
func TestNginx_LetsNoRequestThroughUnseen(t *testing.T) {
	_, sims := quickSimulators(t, write(t, "bootstrap.yaml", twoTenants))
	p := behindNginx(t, startEngine(t, t.TempDir(), write(t, "bootstrap.yaml", twoTenants), sims...))
	hidden := "POST /hooks/acme-app HTTP/1.1\r\nHost: " + hooksHost + "\r\nContent-Length: 0\r\n\r\n"
	chunked := "0\r\n\r\n" + hidden
	length := func(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }
	for _, c := range []struct {
		name, head, body string
		// requests is what nginx may take it for.
		requests int
	}{
		{"an honest request", length(2), "{}", 1},
		{"two honest requests", length(2), "{}" + hidden, 2},
		{"a hidden request in a body", length(len(hidden)), hidden, 1},
		{"length, then chunked", length(len(chunked)) + "Transfer-Encoding: chunked\r\n", chunked, 1},
		{"chunked, then length", "Transfer-Encoding: chunked\r\n" + length(len(chunked)), chunked, 1},
		{"two lengths", length(0) + length(len(hidden)), hidden, 1},
		{"two lengths, the longer first", length(len(hidden)) + length(0), hidden, 1},
		{"a list of lengths", "Content-Length: 0, 5\r\n", hidden, 1},
		{"a length with a plus", fmt.Sprintf("Content-Length: +%d\r\n", len(hidden)), hidden, 1},
		{"an unknown encoding", "Transfer-Encoding: xchunked\r\n" + length(len(chunked)), chunked, 1},
		{"encoding before a vertical tab", "Transfer-Encoding: chunked\x0b\r\n" + length(len(chunked)), chunked, 1},
		{"identity", "Transfer-Encoding: identity\r\n" + length(len(hidden)), hidden, 1},
		{"chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked, 1},
		{"a space before a colon", "Transfer-Encoding : chunked\r\n" + length(len(chunked)), chunked, 1},
		{"a folded line", length(len(chunked)) + "X: y\r\n Transfer-Encoding: chunked\r\n", chunked, 1},
		{"an encoding behind a bare CR", length(len(chunked)) + "X: y\rTransfer-Encoding: chunked\r\n", chunked, 1},
		{"an encoding behind a bare LF", length(len(chunked)) + "X: y\nTransfer-Encoding: chunked\r\n", chunked, 1},
		// nginx takes the LF for the end of the line, and what follows for a request of its own.
		{"a bare LF in an extension", "Transfer-Encoding: chunked\r\n", "2;a\nxx\r\n" + chunked, 2},
		{"a chunk size in hexadecimal with 0x", "Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n" + hidden, 1},
		{"a wrong end of a chunk", "Transfer-Encoding: chunked\r\n", "2\r\n{}XX" + chunked, 1},
	} {
		before := p.seen(t)
		conn, err := tls.Dial("tcp", p.tls, &tls.Config{RootCAs: p.roots, ServerName: hooksHost, NextProtos: []string{"http/1.1"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		// The last request asks nginx to close: then all answers have come.
		last := "GET /end HTTP/1.1\r\nHost: " + hooksHost + "\r\nConnection: close\r\n\r\n"
		if _, err := io.WriteString(conn, "POST /hooks/acme-app HTTP/1.1\r\nHost: "+hooksHost+"\r\n"+c.head+"\r\n"+c.body+last); err != nil {
			t.Fatal(err)
		}
		var codes []int
		for r := bufio.NewReader(conn); ; {
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				break
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			codes = append(codes, resp.StatusCode)
		}
		_ = conn.Close()
		reached := p.seen(t) - before
		if len(codes) == 0 || reached > c.requests || reached > len(codes) {
			t.Errorf("%s: %d requests reached the engine, the client was answered %v", c.name, reached, codes)
		}
		if c.head == length(2) && reached != c.requests {
			t.Errorf("%s: %d requests reached the engine", c.name, reached)
		}
	}
}
