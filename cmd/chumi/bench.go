package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/persistence"
)

func (c *cli) benchCommand() *cobra.Command {
	var (
		o      = bench.Options{Log: c.stderr, Commit: readBuild().Commit}
		asJSON bool
		quick  bool
		readme string
	)
	o.EnsureDefaults()
	o.Requests = 0 // counted from the length of a round unless given
	cmd := &cobra.Command{Use: "bench", Short: "Measure the engine against bare handlers in the same run",
		Long: `bench starts engines and bare handlers as child processes, posts signed webhooks
to them in turn, and compares. Every acknowledged message is looked up in the
export; a run that lost one prints no throughput.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				o.Shorten()
			}
			if !cmd.Flags().Changed("parts") {
				o.Parts = nil
			}
			report, err := bench.Run(cmd.Context(), o)
			if report == nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(c.stdout)
				enc.SetIndent("", "  ")
				if err := enc.Encode(report); err != nil {
					return err
				}
			} else if _, err := fmt.Fprint(c.stdout, report.Text()); err != nil {
				return err
			}
			if errors.Is(err, bench.ErrLossy) {
				return &exitError{code: exitViolation, err: err}
			}
			if err == nil && readme != "" {
				err = report.WriteReadme(readme, strings.Join(append([]string{"chumi"}, os.Args[1:]...), " "))
			}
			return err
		}}
	f := cmd.Flags()
	f.StringVar(&o.Binary, "binary", "", "chumi executable to measure (default this one)")
	f.StringVar(&o.Dir, "dir", "", "where data directories are made, on the disk to be measured (default the system's temporary directory)")
	f.StringVar(&o.Out, "out", "", "directory for report.json, report.txt and report.svg")
	f.BoolVar(&asJSON, "json", false, "print the report as JSON")
	f.StringSliceVar(&o.Parts, "parts", o.Parts, "parts to run")
	f.StringSliceVar(&o.Rows, "rows", o.Rows, "rows of the headline to run")
	f.StringVar(&o.Against, "against", "", "another chumi executable, measured in the same rounds")
	f.BoolVar(&o.Cluster, "cluster", false, "measure three nodes on this machine in the same rounds")
	f.StringSliceVar(&o.Bounds, "bounds", o.Bounds, "bare handlers to compare with")
	f.IntVar(&o.Tenants, "tenants", o.Tenants, "tenants")
	f.IntVar(&o.Conversations, "conversations", o.Conversations, "conversations per tenant")
	f.Float64Var(&o.Skew, "skew", o.Skew, "Zipf exponent of how conversations are chosen")
	f.BoolVar(&quick, "quick", false, "at most 5 minutes: shows that everything works; too few rounds for figures")
	f.DurationVar(&o.Within, "within", 0, "end in this time, with fewer rounds of the peers if need be (default no bound)")
	f.StringVar(&o.Peers, "peers", "", "program that serves the peers, built from bench/peers; adds the part peers")
	f.StringSliceVar(&o.Contenders, "contenders", nil, "contenders of the part peers (default all)")
	f.IntSliceVar(&o.PeerConns, "peer-conns", o.PeerConns, "numbers of connections in the part peers")
	f.IntVar(&o.PeerRounds, "peer-rounds", o.PeerRounds, "rounds of the part peers, each A-B-B-A; the median counts")
	f.DurationVar(&o.PeerMeasure, "peer-measure", o.PeerMeasure, "measured time of each load of the part peers")
	f.StringVar(&readme, "readme", "", "file with marker lines to write the table of the peers into")
	f.Float64Var(&o.OtherMax, "other-max", o.OtherMax, "share of one CPU that others may use before a round is invalid")
	f.IntVar(&o.Requests, "requests", 0, "bodies to sign beforehand (default by the length of a round)")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "seed of the workload")
	f.IntVar(&o.Conns, "conns", o.Conns, "connections")
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds, each A-B-B-A; the median counts")
	f.DurationVar(&o.Warm, "warm", o.Warm, "warm-up of a round")
	f.DurationVar(&o.Measure, "measure", o.Measure, "measured time of a round")
	f.Float64SliceVar(&o.Rates, "rates", o.Rates, "open-loop rates, requests per second")
	f.BoolVar(&o.Poisson, "poisson", false, "draw exponential gaps between arrivals")
	f.Float64Var(&o.ReplyRate, "reply-rate", o.ReplyRate, "messages per second while reply time is measured")
	f.IntVar(&o.Flights, "flights", o.Flights, "turns in flight at once when their memory is measured")
	f.IntVar(&o.Resident, "resident", o.Resident, "conversations that memory is measured with")
	f.DurationVar(&o.Outage, "outage", o.Outage, "how long webhooks did not get through in the part outage; the replay takes a tenth of it")
	f.IntVar(&o.OutageSpeed, "outage-speed", o.OutageSpeed, "how many times as fast they are offered afterwards")
	f.IntVar(&o.Stored, "stored", o.Stored, "conversations that the part scale stores")
	f.IntVar(&o.StoredResident, "stored-resident", o.StoredResident, "conversations that the part scale then makes resident")
	cmd.AddCommand(c.boundCommand())
	return cmd
}

// boundCommand serves a bare handler; bench starts it in a process of its own.
func (c *cli) boundCommand() *cobra.Command {
	var (
		kind, addr, dir string
		audit           bool
	)
	cmd := &cobra.Command{Use: "bound", Short: "Serve a bare handler to compare with", Hidden: true, Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if audit {
				return bench.AuditBound(kind, dir, c.stdout)
			}
			engine := persistence.Options{SyncInterval: persistence.DefaultSyncInterval}
			engine.EnsureDefaults()
			return bench.ServeBound(kind, addr, dir, engine.Tune)
		}}
	cmd.Flags().StringVar(&kind, "kind", bench.BoundPebble, "which handler")
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:0", "address to listen on")
	cmd.Flags().StringVar(&dir, "dir", ".", "directory of its store")
	cmd.Flags().BoolVar(&audit, "audit", false, "print the ids of the messages in its store instead")
	return cmd
}
