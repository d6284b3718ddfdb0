package bench

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// asPeers makes the test binary a program that serves peers.
const asPeers = "BENCH_AS_PEERS"

func TestMain(m *testing.M) {
	if os.Getenv(asPeers) != "" {
		if err := servePeers(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// servePeers is a program with four peers: one that keeps its word, one that answers
// every other message without keeping it, one that cannot start and one that is not
// installed.
func servePeers(args []string) error {
	if args[0] == "list" {
		return json.NewEncoder(os.Stdout).Encode([]Contender{
			{Name: "honest", Title: "Honest", Durability: SyncedFirst},
			{Name: "lossy", Title: "Lossy", Durability: SyncedFirst},
			{Name: "dead", Title: "Dead", Durability: SyncedFirst},
			{Name: "absent", Title: "Absent", Durability: SyncedFirst, Skipped: "it is not installed"},
		})
	}
	option := func(name string) string { return args[slices.Index(args, name)+1] }
	if args[0] == "audit" {
		return AuditBound(BoundWAL, option("--dir"), os.Stdout)
	}
	if option("--kind") == "dead" {
		return fmt.Errorf("it does not start")
	}
	keep, _, err := newBound(BoundWAL, option("--dir"), nil)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", option("--addr"))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "ready edge=%s\n", l.Addr())
	var n atomic.Int64
	return fasthttp.Serve(l, func(ctx *fasthttp.RequestCtx) {
		if option("--kind") != "lossy" || n.Add(1)%2 == 0 {
			keep(ctx)
		}
	})
}

func TestContest_CatchesAPeerThatLosesAndGoesOnWithoutOneThatFails(t *testing.T) {
	t.Setenv(asPeers, "1")
	var log strings.Builder
	report, err := Run(t.Context(), Options{Parts: []string{PartPeers}, Peers: os.Args[0], Dir: t.TempDir(), Log: &log,
		Contenders: []string{"honest", "lossy", "dead", "absent"}, PeerConns: []int{2, 4}, PeerRounds: 2,
		PeerWarm: 5 * time.Millisecond, PeerMeasure: 50 * time.Millisecond, Requests: 50_000, OtherMax: 1e9})
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	p := report.Peers
	if !slices.Contains(p.Lossy, "lossy") || p.standingOf("lossy", 2) != nil {
		t.Errorf("the peer that loses messages was not caught: %v\n%s", p.Lossy, &log)
	}
	if slices.Contains(p.Lossy, "honest") {
		t.Errorf("the peer that keeps its word was not believed\n%s", &log)
	}
	for _, conns := range p.Conns {
		if p.standingOf("honest", conns) == nil {
			t.Errorf("the honest peer has no standing at %d connections\n%s", conns, &log)
		}
	}
	for name, want := range map[string]string{"dead": "it does not start", "absent": "it is not installed"} {
		if got := p.contender(name).Skipped; !strings.Contains(got, want) {
			t.Errorf("%s was skipped because %q, want %q", name, got, want)
		}
		if text := report.Text(); !strings.Contains(text, "SKIPPED: ") || !strings.Contains(text, want) {
			t.Errorf("the report does not say why %s was skipped", name)
		}
	}
	order := []string{}
	for _, r := range p.Rounds {
		if r.Row == RowClosed && r.Target != "dead" {
			order = append(order, fmt.Sprintf("%d %s %d", r.Number, r.Target, r.Conns))
		}
	}
	want := []string{"1 honest 2", "1 honest 4", "1 lossy 2", "1 lossy 4", "2 lossy 4", "2 lossy 2", "2 honest 4", "2 honest 2"}
	if !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}

func TestContest_StartsNoRoundThatWouldEndLate(t *testing.T) {
	o := Options{Within: time.Hour, PeerConns: []int{64}, PeerRounds: 5, PeerWarm: time.Second, PeerMeasure: time.Second}
	o.EnsureDefaults()
	c := &contest{runner: &runner{o: o, began: time.Now().Add(-50 * time.Minute)}, out: &PeerReport{},
		took: map[string]time.Duration{"a": 4 * time.Minute, "b": 4 * time.Minute}}
	if !c.timeFor(2) || c.out.Cut != "" {
		t.Errorf("a round of 8 minutes was refused with 10 left: %s", c.out.Cut)
	}
	c.took["b"] = 7 * time.Minute
	if c.timeFor(2) || !strings.Contains(c.out.Cut, "1 of 5 rounds") {
		t.Errorf("a round of 11 minutes was begun with 10 left: %q", c.out.Cut)
	}
	if c.late(2, "a") {
		t.Errorf("a contender that took 4 minutes is late with 10 left")
	}
	c.began = time.Now().Add(-57 * time.Minute)
	if !c.late(2, "a") {
		t.Error("a contender that took 4 minutes was begun with 3 left")
	}
	c.o.Within = 0
	if c.late(1, "a") || !c.timeFor(3) {
		t.Error("a run without a bound was cut")
	}
}
