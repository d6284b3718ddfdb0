package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/egress"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/tools"
	"github.com/chumiai/chumi/transport/webhook"
)

// ServerOptions is what a Server is built from. Config and Log are required.
type ServerOptions struct {
	Config *Config
	Log    *slog.Logger
	// Bootstrap is applied before anything is served. Can be nil.
	Bootstrap *Bootstrap
	// Seeds are peer addresses of a cluster to join, Found makes a new one.
	Seeds []string
	Found bool
	// Beyond is told when the cluster writes a format that this build does not know:
	// the node must end. Can be nil.
	Beyond func(error)
	// Simulator is what `chumi dev` puts beside the engine; nil otherwise. Its
	// model answers instead of the configured one, labelled as simulated.
	Simulator *simulators
}

// Server is one node: every part, built in the order they depend on one
// another. New builds, Start serves, Stop ends in reverse.
type Server struct {
	opt      ServerOptions
	registry *prometheus.Registry
	metrics  *metrics.Set

	store *persistence.Store
	// node is nil for a node that is in no cluster.
	node      *cluster.Node
	strikes   *persistence.Strikes
	files     *blob.Store
	directory *persistence.Directory
	system    *actors.System
	graph     *meta.Client
	// model is nil when none is configured.
	model  *openai.Client
	egress *egress.Client
	// tracing is nil where nothing is traced.
	tracing   *tracing
	sightings *webhook.Sightings
	api       *api.API

	hooksServer, apiServer, opsServer *edge.Server
	// peerAddr is nil for a node that is in no cluster.
	hooksAddr, apiAddr, opsAddr, peerAddr net.Listener

	// tools carries out calls that lead out, workbench all of them.
	tools     *tools.Client
	workbench *actors.Workbench

	// endReadmission ends the look through the quarantine, and returns when it has.
	endReadmission func()
	// draining makes /readyz answer 503.
	draining atomic.Bool
	// undo ends what was built, in reverse.
	undo []func() error
}

// NewServer builds every part and binds every address. Nothing is served yet.
// After an error nothing is left open.
func NewServer(ctx context.Context, o ServerOptions) (*Server, error) {
	s := &Server{opt: o, registry: metrics.NewRegistry(release)}
	s.metrics = metrics.New(s.registry)
	for _, build := range []func(context.Context) error{
		s.bindAddresses,
		s.openStore,
		s.openCluster,
		s.openDirectory,
		s.openMedia,
		s.buildActors,
		s.buildAPI,
		s.buildListeners,
	} {
		if err := build(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// Start resumes what is owed, begins to take in quarantined updates whose channel
// is bound by now, and serves. When it returns the node can accept.
func (s *Server) Start(ctx context.Context) error {
	if err := s.system.Start(ctx); err != nil {
		return err
	}
	s.onClose(func() error { s.system.Stop(); return nil })
	if s.node != nil {
		s.node.Serve(s.system, s.api.ServeRelayed)
	}
	watching, endWatch := context.WithCancel(context.WithoutCancel(ctx))
	var watch sync.WaitGroup
	watch.Go(func() { (&clockWatch{met: &s.metrics.Node, log: s.opt.Log}).run(watching) })
	watch.Go(func() { s.store.SelfCheck(watching, func(t chat.TenantID) bool { return s.heldFor(t) != "" }) })
	s.onClose(func() error { endWatch(); watch.Wait(); return nil })
	readmitting, stop := context.WithCancel(context.WithoutCancel(ctx))
	var readmission sync.WaitGroup
	readmission.Go(func() { s.readmission(readmitting) })
	s.endReadmission = func() { stop(); readmission.Wait() }
	s.onClose(func() error { s.endReadmission(); return nil })
	s.hooksServer.Start(s.hooksAddr)
	s.apiServer.Start(s.apiAddr)
	s.opsServer.Start(s.opsAddr)
	return nil
}

// Pace of a node that waits for the others.
const (
	leadersPause = 20 * time.Millisecond
	leadersTell  = 5 * time.Second
)

// awaitLeaders returns when every group has a leader that this node knows of, so
// that what is posted to it can be made durable, and this node knows what was decided
// for the cluster while it was down; or with the cause of ctx's end.
func (s *Server) awaitLeaders(ctx context.Context) error {
	if s.node == nil {
		return nil
	}
	told := time.Now()
	for {
		unled := len(s.node.Unled())
		if unled == 0 && s.node.Refresh(ctx) == nil {
			return nil
		}
		if time.Since(told) >= leadersTell {
			told = time.Now()
			s.opt.Log.Info("waiting for the groups to have leaders: a majority of the nodes must be up", "groups", unled)
		}
		select {
		case <-time.After(leadersPause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Addresses are where the node listens, as host:port.
func (s *Server) Addresses() (hooks, api, ops string) {
	return s.hooksAddr.Addr().String(), s.apiAddr.Addr().String(), s.opsAddr.Addr().String()
}

// PeerAddress is where other nodes reach this one, "" for a node in no cluster.
func (s *Server) PeerAddress() string {
	if s.peerAddr == nil {
		return ""
	}
	return s.peerAddr.Addr().String()
}

// Failed yields when a listener broke.
func (s *Server) Failed() <-chan error {
	out := make(chan error, 4)
	if s.node != nil {
		go func() {
			if err := <-s.node.Failed(); err != nil {
				out <- err
			}
		}()
	}
	for _, l := range []*edge.Server{s.hooksServer, s.apiServer, s.opsServer} {
		go func() {
			if err := <-l.Failed(); err != nil {
				out <- err
			}
		}()
	}
	return out
}

// Stop drains and closes: not ready, no new connections, streams end, requests
// under way are answered, leadership goes to other nodes, turns are parked, attempts are recorded, the store
// closes. When ctx ends first, what is left is cut and resumed at the next
// start; nothing acknowledged is lost, and no error is returned for it.
func (s *Server) Stop(ctx context.Context) error {
	s.draining.Store(true)
	late := func(part string, err error) {
		if err != nil {
			s.opt.Log.Warn("the drain was cut; what was left is resumed at the next start", "part", part, "err", err)
		}
	}
	late("hooks", s.hooksServer.Drain(ctx))
	late("api", s.apiServer.Drain(ctx))
	if s.endReadmission != nil {
		s.endReadmission()
	}
	if s.node != nil {
		s.node.Resign(ctx)
	}
	late("actors", s.system.Drain(ctx))
	late("ops", s.opsServer.Drain(ctx))
	late("store", s.store.Settle(ctx))
	return s.close()
}

func (s *Server) onClose(f func() error) { s.undo = append(s.undo, f) }

func (s *Server) close() error {
	var errs []error
	for len(s.undo) > 0 {
		last := len(s.undo) - 1
		errs = append(errs, s.undo[last]())
		s.undo = s.undo[:last]
	}
	return errors.Join(errs...)
}

// ignoreClosed drops the error of closing a listener that its server closed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
