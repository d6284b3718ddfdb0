package actors_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
)

// lockedBuffer may be read while others write.
type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// untimed leaves the time out of a log: any digits may stand in it.
func untimed(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// TestTraining_LeavesNothingPersonal goes the whole way: a tenant that allows nothing
// gets no row; one that does gets rows without anything that people planted, and with
// what they were made of; after an erasure the report names who must go, and the rows
// are gone.
func TestTraining_LeavesNothingPersonal(t *testing.T) {
	var logged lockedBuffer
	registry := prometheus.NewRegistry()
	r := newTunedRoad(t, func(o *actors.Options) {
		o.Model, o.Knowledge, o.Talks = busyModel{}, listed{}, o.Documents.(*persistence.Store).Views()
		o.Toolbox = actors.NewWorkbench(actors.WorkbenchOptions{Documents: o.Documents, Contacts: o.Contacts})
		o.Metrics, o.Logger = metrics.New(registry), slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: untimed}))
	})
	ctx, training := t.Context(), r.sys.Training()
	r.publish(chat.Assistant{Instructions: "Sell bikes.", Tools: []chat.ToolGrant{{Name: chat.ToolSearchCatalog}}})
	planted := []string{"+49 151 2345 6789", "quokka@example.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "order #WX-99817", "Quendelstraße 17", "sk-live-Zq123456xY7890"}
	const people = 7
	for p := range people {
		who := fmt.Sprint(15550100 + p)
		in := said(who, fmt.Sprint("wamid.", p), "the price please, this is for "+planted[p]+" thanks Quetzalina")
		in.Name = "Quetzalina Wombat"
		r.deliver(in)
		r.rest(who)
	}
	if x, err := training.Export(ctx, "acme", "key_1"); err != nil || x.States[chat.TrainingKept] != 0 || x.Parts != 0 {
		t.Fatalf("not allowed: %+v, %v", x, err)
	}
	if err := training.SetPolicy(ctx, "acme", chat.TrainingPolicy{Enabled: true, K: people}); err != nil {
		t.Fatal(err)
	}
	x, err := training.Export(ctx, "acme", "key_1")
	if err != nil || x.States[chat.TrainingKept] != people || x.Redactions[chat.PersonalName] == 0 {
		t.Fatalf("%+v, %v", x, err)
	}
	rows, err := training.Rows(ctx, "acme", x.ID)
	if err != nil || len(rows) != people {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	var out strings.Builder
	for i := range rows {
		out.Write(rows[i].Line)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	// What a metric counts are numbers, in which any digits may stand.
	var words strings.Builder
	for _, f := range families {
		fmt.Fprintln(&words, f.GetName(), f.GetHelp())
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				fmt.Fprintln(&words, l.GetName(), l.GetValue())
			}
		}
	}
	for name, text := range map[string]string{"the rows": out.String(), "the logs": logged.String(), "the metrics": words.String()} {
		for _, trace := range []string{"2345", "quokka", "1111", "3704", "99817", "endelstr", "Zq123", "uetzal", "ombat", "1555010"} {
			if strings.Contains(text, trace) {
				t.Errorf("%s hold %q", name, trace)
			}
		}
	}
	if !strings.Contains(out.String(), `"tool_calls"`) || !strings.Contains(out.String(), chat.ToolSearchCatalog) {
		t.Errorf("no tools in %s", out.String())
	}
	gone := r.place("15550100").Contact
	if _, _, retracted, err := training.Report(ctx, "acme", x.ID); err != nil || len(retracted) != 0 {
		t.Errorf("retracted before: %v, %v", retracted, err)
	}
	if _, err := r.store.Erase(ctx, "acme", gone); err != nil {
		t.Fatal(err)
	}
	_, lineage, retracted, err := training.Report(ctx, "acme", x.ID)
	if err != nil || len(retracted) != 1 || retracted[0] != gone || len(lineage) != people || lineage[0].Version != "main@1" {
		t.Errorf("after: %v of %d, %v", retracted, len(lineage), err)
	}
	// With one contact less the pattern has too few.
	if rows, err := training.Rows(ctx, "acme", x.ID); err != nil || len(rows) != 0 {
		t.Errorf("%d rows are left, %v", len(rows), err)
	}
	if list, err := training.Exports(ctx, "acme"); err != nil || len(list) != 2 || list[0].ID != x.ID {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := training.Exports(ctx, "bolt"); err == nil && len(list) != 0 {
		t.Error("another tenant sees them")
	}
}
