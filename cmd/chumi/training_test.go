package main

import (
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// TestTrainingExport_OnlyOfWhoAllowsIt asks a running engine as an operator would.
func TestTrainingExport_OnlyOfWhoAllowsIt(t *testing.T) {
	bootstrap := write(t, "bootstrap.yaml", twoTenants)
	sims, args := quickSimulators(t, bootstrap)
	e := startEngine(t, t.TempDir(), bootstrap, args...)
	sims.meta.SetHooks("http://" + e.edge)
	events := e.stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	for _, who := range []string{"4915550100042", "4915550100043"} {
		m := sims.meta.Text(account, metasim.Customer{ID: who, Name: "Quetzalina"}, "Are you open on Saturday? I am Quetzalina")
		if err := sims.meta.Deliver(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		until(t, events, func(ev apiEvent) bool { return ev.Status != nil && ev.Status.Status == "read" })
	}
	export := []string{"training-export", "--url", "http://" + e.api, "--key", "key-of-acme"}
	if code, out, errs := command(t, export...); code != exitOK || out != "" || strings.Contains(errs, "kept") {
		t.Errorf("not allowed: %d %s %s", code, out, errs)
	}
	if code, body := e.request("PUT", "/v1/training-policy", "key-of-acme", `{"enabled":true,"k":2}`); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	code, out, errs := command(t, export...)
	if code != exitOK || strings.Count(out, "\n") != 2 || !strings.Contains(errs, "kept=2") || strings.Contains(out, "etzalina") || !strings.Contains(out, `[NAME]`) {
		t.Errorf("%d %s %s", code, out, errs)
	}
	if _, text := get(t, "http://"+e.ops+"/metrics", ""); !strings.Contains(text, `chumi_redactions_total{entity="name"}`) ||
		!strings.Contains(text, `chumi_training_rows_total{state="kept"} 2`) || strings.Contains(text, "etzalina") {
		t.Error("the metrics do not count it, or tell too much")
	}
}
