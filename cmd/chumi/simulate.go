package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/console"
	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// simulators are a Graph with phones behind it and a model, on listeners of
// their own.
type simulators struct {
	meta  *metasim.Server
	model *openaisim.Server
	// graphURL is the base URL of both Graphs, modelURL that of the model.
	graphURL, modelURL string
	// page is what the console is told; only `chumi dev` sets it.
	page console.Config
}

// startSimulators starts both. Webhooks go nowhere until meta.SetHooks.
func startSimulators(graphAddr, modelAddr string, m metasim.Options, o openaisim.Options) (*simulators, error) {
	s := &simulators{meta: metasim.New(m), model: openaisim.New(o)}
	graph, err := s.meta.Start(graphAddr)
	if err != nil {
		return nil, fmt.Errorf("the Graph simulator cannot listen on %s: %w", graphAddr, err)
	}
	model, err := s.model.Start(modelAddr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the model simulator cannot listen on %s: %w", modelAddr, err), s.meta.Close())
	}
	s.graphURL, s.modelURL = "http://"+graph, openaisim.Base(model)
	return s, nil
}

// Close stops both and cuts what is under way.
func (s *simulators) Close() error { return errors.Join(s.meta.Close(), s.model.Close()) }

// handler serves the page's configuration and, below it, the Graph simulator.
// The configuration holds an API key: it goes to this machine only.
func (s *simulators) handler() fasthttp.RequestHandler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+console.ConfigPath, func(w http.ResponseWriter, r *http.Request) {
		if !console.LoopbackHost(r.Host) {
			http.Error(w, "open the page by 127.0.0.1 or localhost", http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_ = json.NewEncoder(w).Encode(s.page) // the client is gone when this fails
	})
	mux.Handle("/", s.meta)
	return fasthttpadaptor.NewFastHTTPHandler(mux)
}

// simulatedAccounts are the channels of a bootstrap file as Graph knows them.
func simulatedAccounts(b *Bootstrap) []metasim.Account {
	secrets, ids := map[chat.AppID]chat.Secret{}, map[chat.AppID]string{}
	for _, a := range b.Apps {
		secrets[a.ID], ids[a.ID] = a.AppSecret, a.MetaAppID
	}
	var out []metasim.Account
	for i := range b.Channels {
		ch := b.Channels[i].channel()
		out = append(out, metasim.Account{
			Kind: metasim.Kind(ch.Kind.String()), ID: ch.Account, Name: string(ch.ID), WABA: ch.WABA,
			App: string(ch.App), AppID: ids[ch.App], AppSecret: secrets[ch.App].Reveal(), AccessToken: ch.Token.Reveal(),
		})
	}
	return out
}

// patient are reports as a phone in use makes them: ticks a person can follow.
var patient = metasim.Reports{
	Sent:      metasim.Latency{Median: 200 * time.Millisecond, Sigma: 0.3},
	Delivered: metasim.Latency{Median: 500 * time.Millisecond, Sigma: 0.3},
	Read:      metasim.Latency{Median: 1500 * time.Millisecond, Sigma: 0.3},
}

// defaultGraphAddr is where the Graph simulator listens, and say looks for it.
const defaultGraphAddr = "127.0.0.1:9080"

func (c *cli) simulateCommand() *cobra.Command {
	var (
		graphAddr, modelAddr, hooks, bootstrap string
		graph                                  metasim.Plan
		model                                  openaisim.Plan
		modelKey                               string
		portfolio                              string
		windows, paced                         bool
		subscriptions                          bool
		pace                                   = metasim.StrictPace
	)
	cmd := &cobra.Command{Use: "simulate", Short: "Run the simulators of WhatsApp, Instagram and a model alone",
		Long: `simulate stands in for Meta and for a model, so that an engine can be tried
without accounts. Point the engine's meta.graph_url, meta.instagram_url and
assistant.base_url at the addresses it prints, and give both the same bootstrap
file. POST /simulator/api/codes {"channel": "acme-wa"} logs somebody in and gives the
code that a channel is connected with. Customers write with chumi say, and through
POST /simulator/api/messages on the Graph address:
{"channel": "acme-wa", "from": "4915550100042", "type": "image", "text": "this one?"}.
A type it does not have is answered with the list of those it has. What is sent is
held against Meta's documented limits; GET /simulator/api/ledger lists it all.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := &Bootstrap{}
			if bootstrap != "" {
				var err error
				if b, err = ReadBootstrap(bootstrap); err != nil {
					return usageError(err)
				}
			}
			accounts := simulatedAccounts(b)
			for i := range accounts {
				accounts[i].Portfolio = portfolio
			}
			graph.Reports = patient
			if !paced {
				pace = metasim.Pace{}
			}
			s, err := startSimulators(graphAddr, modelAddr,
				metasim.Options{Accounts: accounts, Hooks: hooks, Plan: graph, Windows: windows, Subscriptions: subscriptions, Pace: pace, LedgerMax: ledgerMax},
				openaisim.Options{APIKey: modelKey, Plan: model, LedgerMax: ledgerMax})
			if err != nil {
				return err
			}
			fmt.Fprintf(c.stderr, "ready graph=%s model=%s\n", s.graphURL, s.modelURL)
			<-cmd.Context().Done()
			return s.Close()
		}}
	f := cmd.Flags()
	f.StringVar(&graphAddr, "graph-addr", defaultGraphAddr, "address of the Graph simulator")
	f.StringVar(&modelAddr, "model-addr", "127.0.0.1:9081", "address of the model simulator")
	f.StringVar(&hooks, "hooks", "http://127.0.0.1:8080", "base URL webhooks are posted to, at /hooks/{app}; several, with commas between them, in turn")
	f.StringVar(&bootstrap, "bootstrap", "", "bootstrap file of the engine: its channels are the accounts (default: any account, without reports)")
	f.BoolVar(&windows, "windows", false, "refuse messages to customers who have not written here in the last 24 hours")
	f.BoolVar(&paced, "paced", false, "refuse messages that come faster than Meta allows; the ledger names the limit")
	f.IntVar(&pace.PerSecond, "per-second", pace.PerSecond, "with --paced: messages a second of a WhatsApp number, both directions together")
	f.IntVar(&pace.Tier, "tier", pace.Tier, "with --paced: persons outside the window that the numbers of a portfolio may write to in 24 hours, 0 for any")
	f.StringVar(&portfolio, "portfolio", "", "id of the one portfolio that owns every account (default: each WABA has its own)")
	f.BoolVar(&subscriptions, "subscriptions", false, "post no webhook of an account until its app has subscribed to it")
	f.StringVar(&modelKey, "model-key", "", "the only model key accepted (default: any)")
	f.Uint64Var(&graph.Seed, "seed", 1, "seed of faults and delays")
	f.DurationVar(&graph.Latency.Median, "graph-latency", 100*time.Millisecond, "median time Graph takes to answer")
	f.Float64Var(&graph.Throttled, "graph-throttled", 0, "share of sends answered with a throttling error")
	f.Float64Var(&graph.ServerError, "graph-error", 0, "share of sends answered 500")
	f.Float64Var(&graph.Dropped, "graph-dropped", 0, "share of sends accepted but not answered")
	f.Float64Var(&graph.Redelivered, "redelivered", 0, "share of webhooks posted again after their 200")
	f.DurationVar(&model.Latency.Median, "model-latency", time.Second, "median time the model takes to answer")
	f.Float64Var(&model.Throttled, "model-throttled", 0, "share of model calls answered 429")
	f.Float64Var(&model.ServerError, "model-error", 0, "share of model calls answered 500")
	f.BoolVar(&model.Hijacked, "model-hijacked", false, "let an attacker answer: every tool is called with hostile arguments, and all that was shown is repeated")
	f.Float64Var(&model.Slow, "model-slow", 0, "share of model answers that come a word a second")
	f.Float64Var(&model.Malformed, "model-malformed", 0, "share of model answers that are not JSON")
	f.Float64Var(&model.Refusal, "model-refusal", 0, "share of model answers that decline")
	f.Float64Var(&model.Cut, "model-cut", 0, "share of model answers cut in the middle")
	return cmd
}

// ledgerMax bounds the ledgers of simulators that run until they are stopped.
const ledgerMax = 10_000
