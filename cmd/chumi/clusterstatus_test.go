package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
)

// TestWholeness_NamesWhatIsMissing walks a cluster from broken to whole while it is
// written to.
func TestWholeness_NamesWhatIsMissing(t *testing.T) {
	w := wholeness{}
	look := func(want string, live bool, leader chat.NodeID, voters []chat.NodeID, applied, behind uint64) {
		t.Helper()
		s := &cluster.Status{Nodes: []cluster.NodeState{{ID: 1, Live: true}, {ID: 2, Live: live}},
			Groups: []cluster.GroupState{{Group: 7, Leader: leader, Applied: applied, Voters: voters, WantVoters: []chat.NodeID{1, 2},
				Behind: map[chat.NodeID]uint64{2: behind}}}}
		if got := fmt.Sprint(w.lacking(s)); !strings.HasSuffix(got, want) || want == "" {
			t.Errorf("%s, want %s", got, want)
		}
	}
	both := []chat.NodeID{1, 2}
	look("not whole: group 7 has no leader; node 2 is down", false, 0, both, 100, 0)
	look("not whole: node 2 is down; node 2 lacks 40 entries of group 7", false, 1, both, 100, 40)
	look("not whole: group 7 moves to 1,2", true, 1, both[:1], 100, 0)
	look("not whole: node 2 lacks 60 entries of group 7", true, 1, both, 150, 60)
	// What came since the first look it may lack still.
	look("<nil>", true, 1, both, 160, 60)
}

// TestReady_WaitsAndRepeatsNotes: an engine that is not ready at the first question.
func TestReady_WaitsAndRepeatsNotes(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"ready":false,"checks":[{"name":"groups","ready":false,"reason":"group 3 has no leader"}]}`)
			return
		}
		fmt.Fprint(w, `{"ready":true,"checks":[{"name":"restored","ready":true,"note":"sends nothing"}]}`)
	}))
	defer server.Close()
	if code, out, errs := ran(t, "ready", "--ops-addr", server.URL); code != exitFailed || !strings.Contains(errs, "not ready: groups: group 3 has no leader") {
		t.Errorf("exit %d: %s%s", code, out, errs)
	}
	asked.Store(0)
	if code, out, errs := ran(t, "ready", "--ops-addr", server.URL, "--wait", patience.String()); code != exitOK || out != "ready\nnote: this node sends nothing\n" || asked.Load() != 2 {
		t.Errorf("exit %d after %d questions: %s%s", code, asked.Load(), out, errs)
	}
	if code, _, errs := ran(t, "ready", "--ops-addr", "127.0.0.1:1", "--wait", "1ms"); code != exitFailed || !strings.Contains(errs, "127.0.0.1:1") {
		t.Errorf("exit %d: %s", code, errs)
	}
}
