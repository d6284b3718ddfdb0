package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/console"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/webhook"
)

// ServerOptions is what a Server is built from. Config and Log are required.
type ServerOptions struct {
	Config *Config
	Log    *slog.Logger
	// Bootstrap is applied before anything is served. Can be nil.
	Bootstrap *Bootstrap
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

	store     *persistence.Store
	strikes   *persistence.Strikes
	directory *persistence.Directory
	system    *actors.System
	api       *api.API

	hooksServer, apiServer, opsServer *edge.Server
	hooksAddr, apiAddr, opsAddr       net.Listener

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
		s.openDirectory,
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

// bindAddresses comes first, so that a taken address is found before anything
// is opened. Connections wait in the kernel until the listeners serve.
func (s *Server) bindAddresses(context.Context) error {
	c := s.opt.Config
	for _, l := range []struct {
		key, addr string
		to        *net.Listener
	}{{"edge.addr", c.Edge.Addr, &s.hooksAddr}, {"api.addr", c.API.Addr, &s.apiAddr}, {"ops.addr", c.Ops.Addr, &s.opsAddr}} {
		ln, err := net.Listen("tcp", l.addr)
		if err != nil {
			return fmt.Errorf("cannot listen on %s %s: %w", l.key, l.addr, err)
		}
		*l.to = ln
		s.onClose(func() error { return ignoreClosed(ln.Close()) })
	}
	return nil
}

func (s *Server) openStore(context.Context) error {
	var err error
	if s.store, err = openStore(s.opt.Config, s.opt.Log, s.metrics); err != nil {
		return err
	}
	s.onClose(s.store.Close)
	if s.strikes, err = persistence.OpenStrikes(strikesFile(s.opt.Config), wallClock{}.Now()); err != nil {
		return err
	}
	s.onClose(s.strikes.Close)
	return nil
}

func (s *Server) openDirectory(ctx context.Context) error {
	settings := s.opt.Config.Settings()
	if s.opt.Simulator != nil {
		settings.Assistant, settings.Simulated = true, true
	}
	var err error
	if s.directory, err = persistence.OpenDirectory(ctx, s.store, settings); err != nil {
		return err
	}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	followed := make(chan error, 1)
	go func() { followed <- s.directory.Follow(following) }()
	s.onClose(func() error {
		stop()
		return <-followed
	})
	if s.opt.Bootstrap != nil {
		return s.opt.Bootstrap.apply(ctx, s.directory)
	}
	return nil
}

func (s *Server) buildActors(context.Context) error {
	c := s.opt.Config
	graph, err := meta.NewClient(meta.Options{
		GraphURL: c.Meta.GraphURL, InstagramURL: c.Meta.InstagramURL, Version: c.Meta.GraphVersion,
		AppSecret: s.appSecret, Metrics: &s.metrics.Graph,
	})
	if err != nil {
		return err
	}
	model, err := s.buildModel()
	if err != nil {
		return err
	}
	s.system, err = actors.New(actors.Options{
		Journal: s.store, Index: s.store, Contacts: s.store, Barrier: s.store,
		Directory: s.directory, Quarantine: s.directory.Quarantine(),
		Leadership: s.store, Elections: s.store, Agenda: s.store,
		Model: model, Graph: graph, Strikes: s.strikes, Clock: wallClock{}, Rand: rand.Float64,
		Metrics: s.metrics, Logger: s.opt.Log,
		ResidentMax: c.Engine.ResidentMax, TurnsInFlightMax: c.Assistant.CallsMax,
		AttemptTimeout: c.Meta.SendTimeout,
	})
	return err
}

// buildModel returns nil when no model is configured: customers' messages then
// go to people.
func (s *Server) buildModel() (actors.Model, error) {
	c := s.opt.Config.Assistant
	o := openai.Options{BaseURL: c.BaseURL, Model: c.Model, APIKey: c.APIKey, Timeout: c.TurnTimeout}
	switch {
	case s.opt.Simulator != nil:
		o = openai.Options{BaseURL: s.opt.Simulator.modelURL, Model: simulatedModel, Timeout: c.TurnTimeout, Simulated: true}
	case !s.opt.Config.AssistantReady():
		return nil, nil
	}
	client, err := openai.New(o)
	if err != nil {
		return nil, err
	}
	s.onClose(func() error { client.Close(); return nil })
	return client, nil
}

// appSecret is the current secret of an app.
func (s *Server) appSecret(id chat.AppID) (chat.Secret, bool) {
	app, found := s.directory.App(id)
	if !found || len(app.Secrets) == 0 {
		return "", false
	}
	return app.Secrets[0], true
}

func (s *Server) buildAPI(context.Context) error {
	o := api.Options{
		Keys: s.directory, Views: s.store.Views(), Feed: s.store.Views(), Commands: s.system.Ingress(),
		Metrics: &s.metrics.API, Log: s.opt.Log,
	}
	if s.opt.Simulator != nil {
		o.Console, o.Simulator = console.Asset, s.opt.Simulator.handler()
	}
	var err error
	s.api, err = api.New(o)
	return err
}

func (s *Server) buildListeners(context.Context) error {
	c := s.opt.Config
	hooks, err := webhook.New(webhook.Options{
		Apps: s.directory, Ingress: s.system.Ingress(), DeliverTimeout: c.Edge.DeliverTimeout,
		InFlightMax: c.Edge.InFlightMax, Metrics: &s.metrics.Edge, Log: s.opt.Log,
	})
	if err != nil {
		return err
	}
	limits := edge.DefaultHooksLimits
	limits.BodyMax, limits.ConnMax, limits.ConnsPerIPMax = c.Edge.BodyBytesMax, c.Edge.ConnectionsMax, c.Edge.PerIPMax
	limits.ReadTimeout, limits.WriteTimeout, limits.IdleTimeout = c.Edge.ReadTimeout, c.Edge.WriteTimeout, c.Edge.IdleTimeout
	if s.hooksServer, err = edge.NewHooks(limits, hooks.Serve, &s.metrics.Edge, s.opt.Log); err != nil {
		return err
	}
	apiLimits := edge.DefaultAPILimits
	apiLimits.BodyMax = c.API.BodyBytesMax
	if s.apiServer, err = edge.NewAPI(apiLimits, s.api.Serve, s.api.EndStreams, &s.metrics.Edge, s.opt.Log); err != nil {
		return err
	}
	s.opsServer, err = edge.NewOps(edge.Limits{}, edge.Ops{Gatherer: s.registry, Checks: s.checks()}, &s.metrics.Edge, s.opt.Log)
	return err
}

// checks decide /readyz.
func (s *Server) checks() []edge.Check {
	return []edge.Check{
		{Name: "draining", Ready: func() string {
			if s.draining.Load() {
				return "the process is stopping"
			}
			return ""
		}},
		{Name: "disk", Ready: func() string {
			if s.store.Reserved() {
				return "free space is below engine.disk_free_min: free some in " + s.opt.Config.DataDir
			}
			return ""
		}},
	}
}

// Start resumes what is owed, takes in quarantined updates whose channel is
// bound by now, and serves. When it returns the node can accept.
func (s *Server) Start(ctx context.Context) error {
	if err := s.system.Start(ctx); err != nil {
		return err
	}
	s.onClose(func() error { s.system.Stop(); return nil })
	if err := s.readmit(ctx); err != nil {
		// A full disk must not keep reads and export from being served.
		s.opt.Log.Warn("not all quarantined updates could be taken in; they are tried again at the next start", "err", err)
	}
	s.hooksServer.Start(s.hooksAddr)
	s.apiServer.Start(s.apiAddr)
	s.opsServer.Start(s.opsAddr)
	return nil
}

// Addresses are where the node listens, as host:port.
func (s *Server) Addresses() (hooks, api, ops string) {
	return s.hooksAddr.Addr().String(), s.apiAddr.Addr().String(), s.opsAddr.Addr().String()
}

// Failed yields when a listener broke.
func (s *Server) Failed() <-chan error {
	out := make(chan error, 3)
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
// under way are answered, turns are parked, attempts are recorded, the store
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
	late("actors", s.system.Drain(ctx))
	late("ops", s.opsServer.Drain(ctx))
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
