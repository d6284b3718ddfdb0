package replica

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

// seen is a group as its leader, node 1, sees it: who is silent, who gets a
// snapshot, who is how far behind.
func seen(voters, learners, silent, lost []chat.NodeID, behind map[chat.NodeID]uint64) Status {
	s := Status{Leader: 1, Voters: voters, Learners: learners, Behind: map[chat.NodeID]uint64{},
		Heard: map[chat.NodeID]bool{}, Following: map[chat.NodeID]bool{}}
	for _, list := range [][]chat.NodeID{voters, learners} {
		for _, id := range list {
			if id != 1 {
				s.Behind[id], s.Heard[id], s.Following[id] = behind[id], true, true
			}
		}
	}
	for _, id := range silent {
		s.Heard[id], s.Following[id] = false, false
	}
	for _, id := range lost {
		s.Following[id] = false
	}
	return s
}

type ids = []chat.NodeID

func TestNext(t *testing.T) {
	far := func(id chat.NodeID) map[chat.NodeID]uint64 { return map[chat.NodeID]uint64{id: readyEntries + 1} }
	elsewhere := seen(ids{1, 2}, nil, nil, nil, nil)
	elsewhere.Leader = 2
	unsure := Status{Leader: 1, Voters: ids{1}}
	for name, c := range map[string]struct {
		is               Status
		voters, learners ids
		want             step
	}{
		"there":                    {seen(ids{1, 2, 3}, ids{4}, nil, nil, nil), ids{1, 2, 3}, ids{4}, step{}},
		"not the leader":           {elsewhere, ids{1, 2, 3}, nil, step{}},
		"leader by hearsay":        {unsure, ids{1, 2, 3}, nil, step{}},
		"no placement":             {seen(ids{1}, ids{2}, nil, nil, nil), nil, nil, step{}},
		"admits a voter":           {seen(ids{1}, nil, nil, nil, nil), ids{1, 2, 3}, nil, step{admit, 2}},
		"admits the next":          {seen(ids{1}, ids{2}, nil, nil, nil), ids{1, 2, 3}, nil, step{admit, 3}},
		"admits a learner":         {seen(ids{1}, nil, nil, nil, nil), ids{1}, ids{2}, step{admit, 2}},
		"one ready of two":         {seen(ids{1}, ids{2, 3}, nil, ids{3}, nil), ids{1, 2, 3}, nil, step{}},
		"two ready of two":         {seen(ids{1}, ids{2, 3}, nil, nil, nil), ids{1, 2, 3}, nil, step{promote, 2}},
		"the second of two":        {seen(ids{1, 2}, ids{3}, nil, nil, nil), ids{1, 2, 3}, nil, step{promote, 3}},
		"one ready of four":        {seen(ids{1}, ids{2, 3, 4, 5}, ids{2, 5}, ids{4}, nil), ids{1, 2, 3, 4, 5}, nil, step{}},
		"two ready of four":        {seen(ids{1}, ids{2, 3, 4, 5}, ids{2}, ids{4}, nil), ids{1, 2, 3, 4, 5}, nil, step{promote, 3}},
		"a sole voter moves":       {seen(ids{1}, ids{2}, nil, nil, nil), ids{2}, nil, step{promote, 2}},
		"not ready: far":           {seen(ids{1, 2, 3}, ids{4}, nil, nil, far(4)), ids{2, 3, 4}, nil, step{}},
		"not ready: silent":        {seen(ids{1, 2, 3}, ids{4}, ids{4}, nil, nil), ids{2, 3, 4}, nil, step{}},
		"whoever is ready":         {seen(ids{1, 2, 3}, ids{4, 5}, ids{4}, nil, nil), ids{3, 4, 5}, nil, step{promote, 5}},
		"votes before removals":    {seen(ids{1, 2, 3}, ids{4}, nil, nil, nil), ids{1, 2, 4}, nil, step{promote, 4}},
		"learners go meanwhile":    {seen(ids{1, 2, 3}, ids{4, 5}, ids{4}, nil, nil), ids{1, 2, 4}, nil, step{remove, 5}},
		"removes a voter":          {seen(ids{1, 2, 3, 4}, nil, nil, nil, nil), ids{1, 2, 4}, nil, step{remove, 3}},
		"demotes a voter":          {seen(ids{1, 2, 3, 4}, nil, nil, nil, nil), ids{1, 2, 4}, ids{3}, step{demote, 3}},
		"the silent one first":     {seen(ids{1, 2, 3, 4, 5}, nil, ids{5}, nil, nil), ids{1, 2, 3}, nil, step{remove, 5}},
		"removes while one sleeps": {seen(ids{1, 2, 3, 4}, nil, ids{3}, nil, nil), ids{1, 2, 3}, nil, step{remove, 4}},
		"keeps a majority":         {seen(ids{1, 2, 3, 4}, nil, ids{2, 3}, nil, nil), ids{1, 2, 3}, nil, step{}},
		"keeps one of two":         {seen(ids{1, 2}, nil, ids{2}, nil, nil), ids{2}, nil, step{}},
		"others before itself":     {seen(ids{1, 2, 3, 4, 5}, nil, nil, nil, nil), ids{3, 4, 5}, nil, step{remove, 2}},
		"hands over":               {seen(ids{1, 2, 3, 4}, nil, nil, nil, map[chat.NodeID]uint64{2: 5, 3: 1, 4: 1}), ids{2, 3, 4}, nil, step{handOver, 3}},
		"to one that follows":      {seen(ids{1, 2, 3, 4}, nil, ids{3}, nil, map[chat.NodeID]uint64{2: 5, 4: 9}), ids{2, 3, 4}, nil, step{handOver, 2}},
		"becomes a learner":        {seen(ids{1, 2, 3, 4}, nil, nil, nil, nil), ids{2, 3, 4}, ids{1}, step{handOver, 2}},
		"nobody to hand over to":   {seen(ids{1, 2}, nil, nil, nil, far(2)), ids{2}, nil, step{}},
		"a silent learner goes":    {seen(ids{1, 2, 3}, ids{4}, ids{4}, nil, nil), ids{1, 2, 3}, nil, step{remove, 4}},
	} {
		if got := next(c.is, persistence.Placement{Voters: c.voters, Learners: c.learners}, 1); got != c.want {
			t.Errorf("%s: %v %d, want %v %d", name, got.verb, got.node, c.want.verb, c.want.node)
		}
	}
}

// What does not succeed is said once, not with every tick.
func TestTend_SaysAReasonOnce(t *testing.T) {
	var log bytes.Buffer
	n := &Node{opt: Options{ID: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))}, control: make(chan func(*core)), stop: make(chan struct{})}
	close(n.stop) // every change fails in the same way
	s, said := seen(ids{1}, nil, nil, nil, nil), ""
	for range 3 {
		n.tend(t.Context(), s, persistence.Placement{Voters: ids{1, 2, 3}}, &said)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 || !strings.Contains(log.String(), "step=admit node=2") {
		t.Errorf("said %d times:\n%s", got, log.String())
	}
}
