package torture

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The phases of a node that catches up, and the two sides.
const (
	phaseBefore  = "before"
	phaseMore    = "missing more"
	phaseCatchUp = "catching up"

	sideBehind = "node behind"
	sideOthers = "other nodes"
)

// phaseMiss is a quarter of the first miss, from 1 on. What grows with the number
// of commits missed shows from one to the next.
func phaseMiss(quarter int) string { return fmt.Sprintf("missing, quarter %d", quarter) }

// Peak is the most memory a process needed in a phase, in bytes.
type Peak struct {
	Phase string `json:"phase"`
	Side  string `json:"side"`
	// RSS is what the kernel noted as the most that was resident, Anon the most
	// of it, when somebody looked, that no file backs.
	RSS  int64 `json:"rss"`
	Anon int64 `json:"anon"`
}

// memory samples the nodes' processes. Safe for concurrent use.
type memory struct {
	nodes  []*node
	victim *node

	mu    sync.Mutex
	phase string
	peak  []Peak
}

func newMemory(nodes []*node, victim *node) *memory {
	return &memory{nodes: nodes, victim: victim, phase: phaseBefore}
}

// memoryEvery is often enough that a process does not live long unseen.
const memoryEvery = 100 * time.Millisecond

// watch samples until ctx ends.
func (m *memory) watch(ctx context.Context) {
	for ctx.Err() == nil {
		m.mu.Lock()
		m.sample()
		m.mu.Unlock()
		pause(ctx, memoryEvery)
	}
}

// begin begins a phase. The kernel forgets the peaks of the one before.
func (m *memory) begin(phase string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sample()
	m.phase = phase
	for _, n := range m.nodes {
		if e := n.running(); e != nil {
			// A process that has gone has no peak any more.
			_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", e.Pid()), []byte("5"), 0)
		}
	}
}

// sample looks at every process. REQUIRES: mu held.
func (m *memory) sample() {
	for _, n := range m.nodes {
		e := n.running()
		if e == nil {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", e.Pid()))
		if err != nil {
			continue // it has gone
		}
		side := sideOthers
		if n == m.victim {
			side = sideBehind
		}
		m.peak = highest(m.peak, Peak{m.phase, side, statusOf(string(status), "VmHWM:"), statusOf(string(status), "RssAnon:")})
	}
}

func (m *memory) peaks() []Peak {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peak
}

// highest takes p into the peaks of its phase and side.
func highest(list []Peak, p Peak) []Peak {
	for i := range list {
		if list[i].Phase == p.Phase && list[i].Side == p.Side {
			list[i].RSS, list[i].Anon = max(list[i].RSS, p.RSS), max(list[i].Anon, p.Anon)
			return list
		}
	}
	return append(list, p)
}

// statusOf is a size in bytes out of /proc/<pid>/status, 0 when it is not there.
func statusOf(status, field string) int64 {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, field); ok {
			kib, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10
		}
	}
	return 0
}
