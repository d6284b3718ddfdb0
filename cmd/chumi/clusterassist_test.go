package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// TestCluster_EveryNodeAnswersAsPublished: what was published through any node is used
// by the next turn, whoever leads, also by a node that led before and knows an older
// version; and so is what was taken back, within 5 s.
func TestCluster_EveryNodeAnswersAsPublished(t *testing.T) {
	sims, args := quickSimulators(t, write(t, "bootstrap.yaml", twoTenants))
	c := foundCluster(t, 3, args...)
	c.start(2)
	c.start(3)
	c.settle(func(s cluster.Status) bool { return len(s.Groups[0].Voters) == 3 })
	sims.meta.SetHooks("http://" + c.nodes[3].edge)
	events := c.nodes[2].stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	said := 0
	ask := func() string {
		t.Helper()
		said++
		text := sims.meta.Text(account, metasim.Customer{ID: fmt.Sprint(4915550100042 + said), Name: "Ada"}, "Are you open?")
		if err := sims.meta.Deliver(t.Context(), text); err != nil {
			t.Fatal(err)
		}
		until(t, events, func(ev apiEvent) bool { return ev.Kind == "message_accepted" })
		calls := sims.model.Calls()
		return calls[len(calls)-1].Model
	}
	do := func(n int, path, body string) {
		t.Helper()
		if status, text := c.nodes[n].request(http.MethodPost, "/v1/assistants/main"+path, "key-of-acme", body); status > 299 {
			t.Fatalf("node %d: %s answered %d: %s", n, path, status, text)
		}
	}
	publish := func(n int, model string) {
		t.Helper()
		do(n, "/versions", `{"instructions":"Answer.","models":[{"model":"`+model+`"}]}`)
		do(n, "/publish", "")
	}
	var asked []string
	c.leadAll(1)
	asked = append(asked, ask())
	publish(2, "one")
	asked = append(asked, ask())
	c.leadAll(3)
	asked = append(asked, ask())
	publish(1, "two")
	asked = append(asked, ask())
	// Node 1 knows version 1 from when it led.
	c.leadAll(1)
	asked = append(asked, ask())
	began := time.Now()
	do(3, "/rollback", `{"from":2}`)
	asked = append(asked, ask())
	took := time.Since(began)
	if want := []string{DefaultModel, "one", "one", "two", "two", "one"}; !slices.Equal(asked, want) {
		t.Errorf("asked the models %q, want %q", asked, want)
	}
	t.Logf("from the rollback to an answer of the version before: %s", took)
	if took > 5*time.Second {
		t.Errorf("a rollback took %s to reach a customer", took)
	}
}
