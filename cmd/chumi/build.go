package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/console"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/peer"
	"github.com/chumiai/chumi/transport/webhook"
)

// The parts of a Server, in the order NewServer builds them.

// bindAddresses comes first, so that a taken address is found before anything
// is opened. Connections wait in the kernel until the listeners serve.
func (s *Server) bindAddresses(context.Context) error {
	c := s.opt.Config
	type listener struct {
		key, addr string
		to        *net.Listener
	}
	list := []listener{{"edge.addr", c.Edge.Addr, &s.hooksAddr}, {"api.addr", c.API.Addr, &s.apiAddr}, {"ops.addr", c.Ops.Addr, &s.opsAddr}}
	if c.Cluster.On() {
		list = append(list, listener{"peer.addr", c.Peer.Addr, &s.peerAddr})
	}
	for _, l := range list {
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

// openCluster makes the store take commits: as a member of a cluster, or alone.
func (s *Server) openCluster(ctx context.Context) error {
	c := s.opt.Config
	if !c.Cluster.On() {
		if len(s.opt.Seeds) > 0 || s.opt.Found {
			return usageError(errors.New("--join and --found need cluster.cert_file, cluster.key_file and cluster.ca_file; chumi cluster init makes them"))
		}
		return serveAlone(c, s.store, s.opt.Log, s.metrics)
	}
	credentials, err := peer.OpenCredentials(peer.CredentialOptions{CertFile: c.Cluster.CertFile, KeyFile: c.Cluster.KeyFile,
		CAFile: c.Cluster.CAFile, Metrics: &s.metrics.Peer, Log: s.opt.Log})
	if err != nil {
		return usageError(err)
	}
	advertise := c.Peer.Advertise
	if advertise == "" {
		advertise = s.peerAddr.Addr().String()
	}
	s.node, err = cluster.Open(ctx, cluster.Options{Credentials: credentials, Listener: s.peerAddr, Advertise: advertise,
		Seeds: s.opt.Seeds, Found: s.opt.Found, Store: s.store, Metrics: s.metrics, Log: s.opt.Log, LogLen: uint64(c.Cluster.LogEntries),
		KeepFormat: c.Engine.KeepFormat, Beyond: s.opt.Beyond, Warnings: c.warnings()})
	if err != nil {
		return err
	}
	// In reverse: the loops of the node end, then the replicas with the store, then
	// the port. The store's own close comes later and finds it closed.
	s.onClose(func() error {
		disconnect := s.node.Close()
		return errors.Join(s.store.Close(), disconnect())
	})
	return nil
}

func (s *Server) openDirectory(ctx context.Context) error {
	settings := s.opt.Config.Settings()
	if s.opt.Simulator != nil {
		settings.Assistant, settings.Simulated, settings.CallCost = true, true, chat.CallCost{}
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
	if s.node != nil {
		if err := s.node.Attend(ctx, s.directory); err != nil {
			return err
		}
	}
	if s.opt.Bootstrap != nil {
		return s.opt.Bootstrap.apply(ctx, s.directory)
	}
	return nil
}

func (s *Server) buildActors(ctx context.Context) error {
	c := s.opt.Config
	graph, err := meta.NewClient(meta.Options{
		GraphURL: c.Meta.GraphURL, InstagramURL: c.Meta.InstagramURL, Version: c.Meta.GraphVersion,
		AppSecret: s.appSecret, App: s.directory.App, MediaMax: int64(c.Media.FileBytesMax), Metrics: &s.metrics.Graph,
	})
	if err != nil {
		return err
	}
	s.graph, s.sightings = graph, webhook.NewSightings()
	if s.model, err = s.buildModel(); err != nil {
		return err
	}
	o := actors.Options{
		Journal: s.store, Histories: s.store, Pairs: s.store, Index: s.store, Contacts: s.store, Documents: s.store, Counters: s.store, Barrier: s.store,
		Directory: s.directory, Quarantine: s.directory.Quarantine(),
		Leadership: s.store, Elections: s.store, Agenda: s.store,
		Talks: s.store.Views(), Graph: graph, Presence: graph, Media: graph, Files: s.files, Opener: s.files, Persons: graph, Strikes: s.strikes, Clock: wallClock{}, Rand: rand.Float64, Strain: newStrain().since,
		Metrics: s.metrics, Logger: s.opt.Log,
		ResidentMax: c.Engine.ResidentMax, TurnsInFlightMax: c.Assistant.CallsMax, TenantTurnsMax: c.Assistant.TenantCallsMax,
		AttemptTimeout: c.Meta.SendTimeout,
		Registry:       s.directory, Accounts: graph, Onboarding: graph, Releaser: graph, Binder: s.directory, Sightings: s.sightings, Portfolios: s.directory.Portfolios(),
	}
	if s.tracing, err = openTracing(ctx, c.Trace, s.opt.Log); err != nil {
		return fmt.Errorf("traces cannot be sent to trace.endpoint: %w", err)
	}
	if s.tracing != nil {
		s.onClose(s.tracing.close)
		o.Tracer = s.tracing
	}
	if s.model != nil {
		o.Model, o.Transcriber = s.model, s.model
	}
	o.Models = &c.Assistant
	if c.Assistant.Prices != nil {
		o.Prices = c.Assistant.Prices
	}
	if s.node != nil {
		o.Node, o.Leaders, o.Peers, o.Places, o.Refresher = s.node.Self(), s.node, s.node, s.node, s.node
	}
	if err := s.openEgress(); err != nil {
		return err
	}
	s.giveKnowledge(&o)
	if err := s.buildToolbox(o.Knowledge); err != nil {
		return err
	}
	o.Toolbox = s.workbench
	o.Released, o.Arrivals = s.released(ctx), s.directory.Arrivals
	s.system, err = actors.New(o)
	return err
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
		TrainingPolicy: s.system.Training(), Training: s.system.Training(), TrainingReports: s.system.Training(),
		Keys: s.directory, Views: s.store.Views(), Sends: s.store.Views(), Templates: s.store.Views(), Feed: s.store.Views(), Commands: s.system.Ingress(), Approvals: s.system.Ingress(), Marks: s.system.Ingress(),
		Channels: s.system.Channels(), Onboarding: s.system.Channels(), Disconnection: s.system.Channels(), TemplateSync: s.system.Channels(), Settings: s.system.Channels(), Profiles: s.graph,
		People: s.store.Views(), Links: s.system.Ingress(),
		Metrics: &s.metrics.API, Log: s.opt.Log,
	}
	if s.opt.Simulator != nil {
		o.Console, o.Simulator = console.Asset, s.opt.Simulator.handler()
	}
	o.Erasures, o.Held = erasing{s}, s.heldFor
	o.Assistants, o.AssistantChanges, o.AssistantPlaces = s.system.Assistants(), s.system.Assistants(), s.system.Assistants()
	o.Tooling = s.tooling()
	o.Usage, o.Budgets, o.Pasts = s.store.Views(), s.system.Assistants(), s.system.Assistants()
	if p := s.opt.Config.Assistant.Prices; p != nil {
		o.Currency, o.PricesAsOf = p.Currency, p.AsOf
	}
	o.Library, o.UploadMax = s.system.Library(), s.opt.Config.Media.UploadBytesMax
	o.Sources, o.CheckURL = s.system.Sources(), func(url string) error { _, err := s.egress.Check(url); return err }
	if s.node != nil {
		o.Home = s.node
	}
	var err error
	s.api, err = api.New(o)
	return err
}

func (s *Server) buildListeners(ctx context.Context) error {
	c := s.opt.Config
	var traced func(context.Context, time.Time) context.Context
	if s.tracing != nil {
		traced = actors.WithWebhook
	}
	hooks, err := webhook.New(webhook.Options{
		Traced: traced,
		Apps:   s.directory, Ingress: s.system.Ingress(), DeliverTimeout: c.Edge.DeliverTimeout,
		InFlightMax: c.Edge.InFlightMax, Sightings: s.sightings, Metrics: &s.metrics.Edge, Log: s.opt.Log,
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
	if s.apiServer, err = edge.NewAPI(apiLimits, s.api.Serve, s.api.BodyMax, s.api.EndStreams, &s.metrics.Edge, s.opt.Log); err != nil {
		return err
	}
	ops := edge.Ops{Gatherer: s.registry, Checks: s.checks(), Apps: s.directory, Settings: s.directory}
	if s.node != nil {
		ops.Cluster = s.node.Operate
	}
	jobs := newBackups(s, ctx)
	s.onClose(jobs.close)
	ops.Backups, ops.Restored, ops.Archives = jobs, s.directory, archives{jobs, s.directory}
	s.opsServer, err = edge.NewOps(edge.Limits{}, ops, &s.metrics.Edge, s.opt.Log)
	return err
}

// checks decide /readyz: green means that this node can keep its promise about
// whatever it answers 200 to.
func (s *Server) checks() []edge.Check {
	return []edge.Check{
		{Name: "groups", Ready: func() string {
			if s.node == nil {
				return ""
			}
			if unled := s.node.Unled(); len(unled) > 0 {
				return fmt.Sprintf("%d of %d groups have no leader that this node knows of: is a majority of the nodes up and reachable?",
					len(unled), len(s.store.GroupIDs()))
			}
			return ""
		}},
		{Name: "restored", Ready: func() string { return "" }, Note: s.held},
		{Name: "imported", Ready: func() string { return "" }, Note: s.arrived},
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
