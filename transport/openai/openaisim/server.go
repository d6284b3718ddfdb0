package openaisim

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// ModelName is the model every reply says it is from.
const ModelName = "chumi-simulated"

// streamsMax answers may share a connection of HTTP/2.
const streamsMax = 1000

// TurnHeader may carry the id of the turn a request belongs to.
const TurnHeader = "X-Chumi-Turn"

// Options configures a Server. The zero value is usable.
type Options struct {
	// APIKey is the only bearer token accepted; anything, also nothing, is when
	// it is empty.
	APIKey string
	// Plan scripts faults and delays.
	Plan Plan
	// Price is what the ledger reckons with.
	Price Price
	// Transcript says what is heard in a sound file; nil for a text that names its size.
	Transcript func(name string, sound []byte) string
	// Now is the clock of timestamps; time.Now when nil.
	Now func() time.Time
	// OnCall is called at each moment of a request, on the goroutine that
	// answers it, which waits for it to return. Safe for concurrent use. Can be
	// nil.
	OnCall func(Moment, Call)
	// LedgerMax is how many entries the ledger keeps at least when it forgets
	// the oldest. 0 keeps all.
	LedgerMax int
}

// Moment is a step in the life of a request.
type Moment string

// The moments. At each of them the ledger already holds the entry.
const (
	CallReceived  Moment = "received"  // read and decided, before the latency
	CallAnswering Moment = "answering" // right before the answer is written or the connection cut
	CallAnswered  Moment = "answered"  // the answer was handed to the network; not reached when it is cut
)

// Server is the simulator. It is an http.Handler for /chat/completions, /responses,
// /embeddings, /audio/transcriptions and /models, at the root, below /v1 and where Azure
// has them; Start gives it a listener of its own, which also speaks HTTP/2 without TLS.
// Safe for concurrent use.
type Server struct {
	o         Options
	ledger    *ledger
	mux       *http.ServeMux
	answering atomic.Int64
	ctx       context.Context
	cancel    context.CancelFunc

	mu     sync.Mutex
	http   *http.Server
	served chan struct{}
	closed bool
}

// New returns a simulator that listens to nobody yet.
func New(o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{o: o, ledger: &ledger{max: o.LedgerMax, attempts: map[string]int{}}, mux: http.NewServeMux(), ctx: ctx, cancel: cancel}
	for _, prefix := range []string{"", "/v1", "/openai/deployments/{deployment}"} {
		s.mux.HandleFunc("POST "+prefix+"/chat/completions", s.serve(chatDialect{}))
		s.mux.HandleFunc("POST "+prefix+"/embeddings", s.embed)
		s.mux.HandleFunc("POST "+prefix+"/audio/transcriptions", s.transcribe)
		s.mux.HandleFunc("POST "+prefix+"/responses", s.serve(responsesDialect{}))
		s.mux.HandleFunc("GET "+prefix+"/models", s.models)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, "invalid_request_error", "", "", "unknown request URL: "+r.Method+" "+r.URL.Path)
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Start listens on addr and serves until Close. It returns the address it
// listens on; clients use http://{address}/v1 as base URL.
func (s *Server) Start(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		Protocols: &http.Protocols{}, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: streamsMax}}
	srv.Protocols.SetHTTP1(true)
	srv.Protocols.SetUnencryptedHTTP2(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.http != nil {
		_ = l.Close()
		return "", errors.New("openaisim: started twice or closed")
	}
	s.http, s.served = srv, make(chan struct{})
	go func() {
		defer close(s.served)
		_ = srv.Serve(l) // ends with ErrServerClosed, at Close
	}()
	return l.Addr().String(), nil
}

// Close stops serving and cuts what is under way.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	srv, served := s.http, s.served
	s.mu.Unlock()
	s.cancel()
	if srv == nil {
		return nil
	}
	err := srv.Close()
	<-served
	return err
}

// InFlight counts requests received and not answered.
func (s *Server) InFlight() int { return int(s.answering.Load()) }

// Base returns the base URL for a client of a server started on address.
func Base(address string) string { return "http://" + address + "/v1" }

func (s *Server) moment(m Moment, c Call) {
	if s.o.OnCall != nil {
		s.o.OnCall(m, c)
	}
}

// pause waits. When the client leaves meanwhile, or the server is closed, it
// ends the handler; out tokens were said by then.
func (s *Server) pause(r *http.Request, c Call, d time.Duration, out int) {
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
	}
	if r.Context().Err() != nil {
		s.leave(c, out)
		panic(http.ErrAbortHandler)
	}
	if s.ctx.Err() != nil {
		panic(http.ErrAbortHandler)
	}
}
