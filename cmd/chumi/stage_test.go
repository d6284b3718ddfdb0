package main

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
	"github.com/chumiai/chumi/transport/openai/openaisim"
)

// stage is an engine between a Graph and a model that is scripted.
type stage struct {
	*engine
	t         *testing.T
	sims      *simulators
	dir       string
	bootstrap string
	args      []string
}

func newStage(t *testing.T, text string, model openaisim.Options, args ...string) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), bootstrap: write(t, "bootstrap.yaml", text)}
	declared, err := ReadBootstrap(s.bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	quick := metasim.Latency{Median: time.Millisecond}
	s.sims, err = startSimulators("127.0.0.1:0", "127.0.0.1:0", metasim.Options{Accounts: simulatedAccounts(declared),
		Plan: metasim.Plan{Reports: metasim.Reports{Sent: quick, Delivered: quick, Read: quick}}}, model)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.sims.Close() })
	s.args = append([]string{"--set", "assistant.base_url=" + s.sims.modelURL, "--set", "assistant.quiet_period=20ms",
		"--set", "meta.graph_url=" + s.sims.graphURL, "--set", "meta.instagram_url=" + s.sims.graphURL}, args...)
	s.serve()
	return s
}

// serve starts the engine on the stage's directory, with further settings.
func (s *stage) serve(more ...string) {
	s.t.Helper()
	s.engine = startEngine(s.t, s.dir, s.bootstrap, append(slices.Clone(s.args), more...)...)
	s.sims.meta.SetHooks("http://" + s.edge)
}

// says has a customer write to a channel.
func (s *stage) says(channel, from, text string) {
	s.t.Helper()
	account, found := s.sims.meta.Account(channel)
	if !found {
		s.t.Fatalf("there is no %s", channel)
	}
	if err := s.sims.meta.Deliver(s.t.Context(), s.sims.meta.Text(account, metasim.Customer{ID: from, Name: "Ada"}, text)); err != nil {
		s.t.Fatal(err)
	}
}

// sent are the messages that reached phones, in the order of receipt.
func (s *stage) sent() (out []metasim.Send) {
	for _, m := range s.sims.meta.Sends() {
		if m.Accepted {
			out = append(out, m)
		}
	}
	return out
}

// turnLine is what of a turn event the API shows.
type turnLine struct {
	Turn struct {
		Cost     int64  `json:"cost_nanos"`
		Reserved int64  `json:"reserved_nanos"`
		Reason   string `json:"reason"`
	} `json:"turn"`
	Budget struct {
		Level string `json:"level"`
	} `json:"budget"`
	Message struct {
		Author string `json:"author"`
	} `json:"message"`
}

// phone numbers the customers of a test.
func phone(i int) string { return fmt.Sprint(4915550300000 + i) }

// byTo groups messages by who got them.
func byTo(sends []metasim.Send) map[string][]metasim.Send {
	out := map[string][]metasim.Send{}
	for _, m := range sends {
		out[m.To] = append(out[m.To], m)
	}
	for _, list := range out {
		slices.SortFunc(list, func(a, b metasim.Send) int { return cmp.Compare(a.Receipt, b.Receipt) })
	}
	return out
}
