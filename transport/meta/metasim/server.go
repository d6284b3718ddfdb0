package metasim

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options configures a Server. The zero value is usable and accepts sends for
// any account.
type Options struct {
	// Accounts are the business endpoints. When there are none, sends for any
	// id are accepted, WhatsApp or Instagram by their shape, without reports.
	Accounts []Account
	// Hooks is the base URL webhooks are posted to, at /hooks/{app} under it.
	// Can be empty and set later by SetHooks; until then posts fail and are
	// retried.
	Hooks string
	// Seed makes the ids of messages. 0 draws a random one, so that ids are new
	// after every restart: an engine with a memory would take repeated ids for
	// redeliveries.
	Seed uint64
	// Plan scripts faults and delays.
	Plan Plan
	// Windows makes it refuse messages to customers who have not written within
	// the time Meta allows. It counts what customers wrote through it.
	Windows bool
	// Subscriptions makes it post no webhook of an account until its app has
	// subscribed to it.
	Subscriptions bool
	// Pace makes it refuse messages that come too fast.
	Pace Pace
	// Now is the clock of timestamps; time.Now when nil.
	Now func() time.Time

	// OnSend is called at each moment of a send, on the goroutine that answers
	// it, which waits for it to return. Safe for concurrent use. Can be nil.
	OnSend func(SendMoment, Send)
	// OnPost is called at each moment of a webhook POST, on the goroutine that
	// makes it. status is the answer's, at PostAnswered. Safe for concurrent
	// use. Can be nil.
	OnPost func(m PostMoment, d *Delivery, status int)

	// Attempts bounds the tries of one delivery. DefaultAttempts when zero.
	Attempts int
	// Backoff and BackoffMax are the first and longest pause between tries.
	// DefaultBackoff and DefaultBackoffMax when zero.
	Backoff, BackoffMax time.Duration
	// PostTimeout bounds one try. DefaultPostTimeout when zero.
	PostTimeout time.Duration
	// ReportsMax bounds reports and redeliveries posted at once.
	// DefaultReportsMax when zero.
	ReportsMax int
	// LedgerMax is how many entries each ledger keeps at least when it forgets
	// the oldest. 0 keeps all.
	LedgerMax int
}

// The defaults of Options. Attempts and pauses together outlast an engine that
// is killed and started again every few seconds.
const (
	DefaultAttempts    = 100
	DefaultBackoff     = 50 * time.Millisecond
	DefaultBackoffMax  = 2 * time.Second
	DefaultPostTimeout = 20 * time.Second
	DefaultReportsMax  = 64
)

func (o Options) withDefaults() Options {
	if o.Seed == 0 {
		var b [8]byte
		_, _ = rand.Read(b[:]) // documented never to fail
		o.Seed = binary.LittleEndian.Uint64(b[:])
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Attempts = orDefault(o.Attempts, DefaultAttempts)
	o.Backoff = orDefault(o.Backoff, DefaultBackoff)
	o.BackoffMax = orDefault(o.BackoffMax, DefaultBackoffMax)
	o.PostTimeout = orDefault(o.PostTimeout, DefaultPostTimeout)
	o.ReportsMax = orDefault(o.ReportsMax, DefaultReportsMax)
	return o
}

func orDefault[T int | time.Duration](v, d T) T {
	if v <= 0 {
		return d
	}
	return v
}

// Server is the simulator. It is an http.Handler for Graph's paths and for
// /simulator/api; Start gives it a listener of its own. Safe for concurrent use.
type Server struct {
	o      Options
	ledger *ledger
	phone  *phone
	// windows is told of every message, also where Options.Windows is false.
	windows  *windows
	office   *office
	pacer    *Pacer
	files    *fileStore
	people   *people
	comments *comments
	mux      *http.ServeMux
	client   *http.Client
	hooks    atomic.Pointer[[]string]
	// tries numbers posts: each goes to the next of hooks.
	tries atomic.Uint64
	// answering and posting count what is under way.
	answering, posting atomic.Int64
	// slots bounds postLater.
	slots chan struct{}
	// stop ends with ctx; both end at Close.
	ctx    context.Context
	cancel context.CancelFunc
	stop   <-chan struct{}

	mu     sync.Mutex
	http   *http.Server
	closed bool
	// served is closed when the listener's goroutine has ended.
	served chan struct{}
	// pending counts sends being answered and functions handed to later that
	// have not returned; idle is closed and replaced whenever one does.
	pending int
	idle    chan struct{}
	timers  map[*time.Timer]struct{}
}

// New returns a simulator that listens to nobody yet.
func New(o Options) *Server {
	o = o.withDefaults()
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{
		o: o, ledger: newLedger(o.LedgerMax), phone: newPhone(o.Now), windows: newWindows(), office: newOffice(o), pacer: NewPacer(o.Pace),
		files: newFileStore(), people: newPeople(), comments: newComments(), mux: http.NewServeMux(),
		slots: make(chan struct{}, o.ReportsMax), ctx: ctx, cancel: cancel, stop: ctx.Done(),
		idle: make(chan struct{}), timers: map[*time.Timer]struct{}{},
		client: &http.Client{
			Transport: &http.Transport{
				MaxIdleConnsPerHost: 1024, IdleConnTimeout: time.Minute, DisableCompression: true,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	s.SetHooks(o.Hooks)
	s.mux.HandleFunc("POST /simulator/api/messages", s.postMessage)
	s.mux.HandleFunc("GET /simulator/api/stream", s.getStream)
	s.mux.HandleFunc("GET /simulator/api/ledger", s.getLedger)
	s.mux.HandleFunc("GET /simulator/files/{link}", s.getFile)
	s.mux.HandleFunc("GET /simulator/ig/{link}", s.getAttachment)
	s.mux.HandleFunc("POST /simulator/api/codes", s.postCode)
	s.mux.HandleFunc("/", s.graph)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// SetHooks says where webhooks are posted from now on: a base URL, such as
// http://127.0.0.1:8080, or several with commas between them, which get one post
// each in turn, as behind a load balancer. Deliveries being retried go there too.
func (s *Server) SetHooks(bases string) {
	var list []string
	for base := range strings.SplitSeq(bases, ",") {
		if base = strings.TrimSuffix(strings.TrimSpace(base), "/"); base != "" {
			list = append(list, base)
		}
	}
	s.hooks.Store(&list)
}

// hook is where the next post goes, "" for nowhere.
func (s *Server) hook() string {
	list := s.hooks.Load()
	if list == nil || len(*list) == 0 {
		return ""
	}
	return (*list)[(s.tries.Add(1)-1)%uint64(len(*list))]
}

// Account finds an account by id, by name, or as the first of a kind.
func (s *Server) Account(word string) (Account, bool) {
	for _, match := range []func(Account) string{
		func(a Account) string { return a.ID },
		func(a Account) string { return a.Name },
		func(a Account) string { return string(a.Kind) },
	} {
		for _, a := range s.o.Accounts {
			if word != "" && match(a) == word {
				return a, true
			}
		}
	}
	return Account{}, false
}

// Start listens on addr and serves until Close. It returns the address it
// listens on.
func (s *Server) Start(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	s.mu.Lock()
	if s.closed || s.http != nil {
		s.mu.Unlock()
		_ = l.Close()
		return "", errors.New("metasim: started twice or closed")
	}
	s.http, s.served = srv, make(chan struct{})
	s.files.reached("http://" + l.Addr().String())
	s.mu.Unlock()
	go func() {
		defer close(s.served)
		_ = srv.Serve(l) // ends with ErrServerClosed, at Close
	}()
	return l.Addr().String(), nil
}

// Close stops serving and posting, cuts what is under way and waits for it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	srv := s.http
	for t := range s.timers {
		if t.Stop() {
			s.pending--
		}
	}
	clear(s.timers)
	s.mu.Unlock()
	s.cancel()
	var err error
	if srv != nil {
		err = srv.Close()
		<-s.served
	}
	_ = s.Settle(context.Background())
	s.client.CloseIdleConnections()
	return err
}

// InFlight counts send requests received and not answered, and webhook POSTs
// made and not answered.
func (s *Server) InFlight() (sends, posts int) {
	return int(s.answering.Load()), int(s.posting.Load())
}

// Settle waits until no send is being answered and no report or redelivery is
// owed any more: each was acknowledged or given up.
func (s *Server) Settle(ctx context.Context) error {
	for {
		s.mu.Lock()
		left, idle := s.pending, s.idle
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// begin counts something that done ends; false after Close.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.pending++
	return true
}

// later runs f after a pause, unless the server is closed before.
func (s *Server) later(pause time.Duration, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.pending++
	var t *time.Timer
	t = time.AfterFunc(pause, func() {
		s.mu.Lock()
		delete(s.timers, t)
		s.mu.Unlock()
		defer s.done()
		if s.ctx.Err() == nil {
			f()
		}
	})
	s.timers[t] = struct{}{}
}

func (s *Server) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	close(s.idle)
	s.idle = make(chan struct{})
}

// sleep waits; false when ctx or stop ended it.
func sleep(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	case <-stop:
		return false
	}
}
