package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
)

// next is a build that knows one format more than this one.
var next = persistence.Formats{Oldest: persistence.FormatOldest, Newest: persistence.FormatNewest + 1}

// TestServeAlone_Finalizes at the start, unless it shall keep the way back.
func TestServeAlone_Finalizes(t *testing.T) {
	o := persistencetest.Options(t)
	o.FS, o.Dir, o.Formats = vfs.NewMem(), "data", next
	for _, c := range []struct {
		keep bool
		want persistence.FormatVersion
	}{{true, next.Oldest}, {false, next.Newest}, {true, next.Newest}} {
		s, err := persistence.Open(o)
		if err != nil {
			t.Fatal(err)
		}
		err = serveAlone(&Config{Engine: EngineConfig{KeepFormat: c.keep}}, s, slog.New(slog.DiscardHandler), metrics.New(nil))
		if err != nil || s.Format() != c.want {
			t.Errorf("keep %v: format %d, %v; want %d", c.keep, s.Format(), err, c.want)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	// A build that cannot write the store's format leaves it as it is when told to.
	o.Formats = persistence.Formats{Oldest: next.Newest + 1, Newest: next.Newest + 1}
	s, err := persistence.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	err = serveAlone(&Config{Engine: EngineConfig{KeepFormat: true}}, s, slog.New(slog.DiscardHandler), metrics.New(nil))
	if chat.KindOf(err) != chat.KindInvalid || s.Format() != next.Newest {
		t.Errorf("format %d, %v", s.Format(), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestDoctor_FormatOfAnUpgrade: under way, and not finished.
func TestDoctor_FormatOfAnUpgrade(t *testing.T) {
	s := &cluster.Status{Format: 6, FormatNext: 7, FormatLacking: []chat.NodeID{2, 3}, Nodes: []cluster.NodeState{
		{ID: 1, Live: true, Formats: next}, {ID: 2, Live: true, Formats: persistence.Formats{Oldest: 6, Newest: 6}}, {ID: 3}}}
	found(t, []finding{formatFinding(s)}, "format", levelWarn, "format 6; 7 when all nodes know it", "node 2 knows formats up to 6", "node 3 does not answer", "go on with the upgrade")
	var shown strings.Builder
	if err := printStatus(&shown, s); err != nil || !strings.Contains(shown.String(), "6-7") || !strings.Contains(shown.String(), "node 3 does not answer") {
		t.Errorf("%v\n%s", err, shown.String())
	}
	s.FormatLacking = nil
	found(t, []finding{formatFinding(s)}, "format", levelWarn, "all nodes know 7", "chumi cluster finalize")
}
