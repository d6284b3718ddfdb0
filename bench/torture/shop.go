package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Use is one call of a tool, as the server that carries it out saw it.
type Use struct {
	// Tool is its name, ID the argument that tells calls apart.
	Tool string `json:"tool"`
	ID   string `json:"id"`
	// Key is the idempotency key, Time when it was read.
	Key  string    `json:"key"`
	Time time.Time `json:"time"`
}

// shop carries out the calls of tools and remembers them: no crash of the engine
// touches it.
type shop struct {
	server *http.Server
	// host is where it listens.
	host string
	step func(name string)
	busy atomic.Int64

	mu   sync.Mutex
	seen []Use
}

// openShop listens on a host.
func openShop(host string, step func(string)) (*shop, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("torture: %w", err)
	}
	s := &shop{host: l.Addr().String(), step: step}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(l) }() // ends with close
	return s, nil
}

func (s *shop) close() { _ = s.server.Shutdown(context.Background()) }

func (s *shop) inFlight() int { return int(s.busy.Load()) }

// ServeHTTP implements http.Handler: /NAME with the argument id, in the query or in the
// body.
func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u := Use{Tool: strings.TrimPrefix(r.URL.Path, "/"), ID: r.URL.Query().Get("id"), Key: r.Header.Get("Idempotency-Key"), Time: time.Now()}
	if r.Method == http.MethodPost {
		var in struct {
			ID string `json:"id"`
		}
		if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&in); err != nil {
			return // cut before all of it came
		}
		u.ID = in.ID
	}
	s.busy.Add(1)
	s.mu.Lock()
	s.seen = append(s.seen, u)
	n := len(s.seen)
	s.mu.Unlock()
	s.step(stepToolReceived)
	time.Sleep(time.Duration(1+n%7) * time.Millisecond)
	s.step(stepToolReplying)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"state":"done"}`)
	_ = http.NewResponseController(w).Flush()
	s.busy.Add(-1)
	s.step(stepToolAnswered)
}

func (s *shop) uses() []Use {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}
