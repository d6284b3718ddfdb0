package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// balancer stands before the nodes as a load balancer does before a cluster:
// webhooks come in at one address and go to a node chosen at random, once, and
// whatever becomes of that is the answer. It repeats nothing: that is Meta's
// part.
type balancer struct {
	// accounts and their tenants, to tell whose a body is.
	accounts []account
	client   *http.Client
	server   *http.Server
	// onAnswer is told of every exchange with a node.
	onAnswer func(exchange)

	mu    sync.Mutex
	nodes []backend
	// pins holds customers whose webhooks go to one node only, by their id.
	pins map[string]int
}

type account struct {
	id     []byte
	tenant string
}

// backend is a node webhooks may be sent to.
type backend struct {
	node int
	edge string
}

// exchange is one webhook posted to one node.
type exchange struct {
	node   int
	tenant string
	began  time.Time
	ended  time.Time
	// status is the answer's, 0 when none came.
	status int
	// again is true of a delivery that was acknowledged before, when it is known: what
	// is in it is durable, and is so whatever has happened since.
	again bool
}

// balancedMax bounds what is read of a request and of an answer.
const balancedMax = 4 << 20

func newBalancer(w *child.World, onAnswer func(exchange)) *balancer {
	b := &balancer{onAnswer: onAnswer, pins: map[string]int{}, client: &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: time.Second}).DialContext}}}
	for i := range w.Channels {
		b.accounts = append(b.accounts, account{[]byte(w.Channels[i].Account()), w.Channels[i].Tenant})
	}
	return b
}

// start listens at host and returns the base URL webhooks are posted to.
func (b *balancer) start(host string) (string, error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", fmt.Errorf("torture: %w", err)
	}
	b.server = &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = b.server.Serve(l) }() // ends with ErrServerClosed, at close
	return "http://" + l.Addr().String(), nil
}

func (b *balancer) close() {
	_ = b.server.Close()
	b.client.CloseIdleConnections()
}

// use says which nodes there are.
func (b *balancer) use(nodes []backend) {
	b.mu.Lock()
	b.nodes = nodes
	b.mu.Unlock()
}

// pin sends what a customer writes to one node, 0 to any again.
func (b *balancer) pin(customer string, node int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if node == 0 {
		delete(b.pins, customer)
	} else {
		b.pins[customer] = node
	}
}

// choose picks the node for a body; ok is false when there is none.
func (b *balancer) choose(body []byte) (to backend, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for customer, node := range b.pins {
		if !bytes.Contains(body, []byte(customer)) {
			continue
		}
		for _, n := range b.nodes {
			if n.node == node {
				return n, true
			}
		}
		return backend{}, false
	}
	if len(b.nodes) == 0 {
		return backend{}, false
	}
	return b.nodes[rand.IntN(len(b.nodes))], true
}

func (b *balancer) tenantOf(body []byte) string {
	for _, a := range b.accounts {
		if bytes.Contains(body, a.id) {
			return a.tenant
		}
	}
	return ""
}

// ServeHTTP passes one webhook on.
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, balancedMax))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	to, ok := b.choose(body)
	if !ok {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	x := exchange{node: to.node, tenant: b.tenantOf(body), began: time.Now()}
	x.status, err = b.pass(r, to, body)
	x.ended = time.Now()
	b.onAnswer(x)
	switch {
	case err == nil:
		w.WriteHeader(x.status)
	case errors.Is(err, context.DeadlineExceeded):
		w.WriteHeader(http.StatusGatewayTimeout)
	default:
		w.WriteHeader(http.StatusBadGateway)
	}
}

func (b *balancer) pass(r *http.Request, to backend, body []byte) (status int, err error) {
	// The client's context: when Meta hangs up, so does the balancer.
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+to.edge+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header = r.Header.Clone()
	resp, err := b.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, balancedMax)) // the status has decided
	return resp.StatusCode, nil
}
