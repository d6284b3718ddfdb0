package main

import (
	"os"
	"testing"

	"github.com/chumiai/chumi/bench/drop"
)

// TestTorture_DroppedAnswers is `chumi torture --drop-answers` in small: Graph
// accepts without answering, more often than not.
func TestTorture_DroppedAnswers(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for reconciliation")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CHUMI_TEST_ENGINE", "1")
	r, err := drop.Run(t.Context(), drop.Options{Binary: self, Dir: t.TempDir(), Share: 0.25, Messages: 160})
	if err != nil {
		if r != nil {
			t.Log(r.Text())
		}
		t.Fatal(err)
	}
	t.Log(r.Text())
	if r.Unknown == 0 || r.ByClass[drop.AtLeastOnce].Doubles == 0 {
		t.Error("nothing was unknown, or nothing was sent again: the run proves nothing")
	}
}

func TestShare(t *testing.T) {
	for text, want := range map[string]share{"10%": 0.1, "0.25": 0.25, "1%": 0.01} {
		var s share
		if err := s.Set(text); err != nil || s != want {
			t.Errorf("%s is %v, %v", text, s, err)
		}
	}
	for _, text := range []string{"", "0", "100%", "1", "-3%", "ten"} {
		var s share
		if err := s.Set(text); err == nil {
			t.Errorf("%q is taken for %v", text, s)
		}
	}
}
