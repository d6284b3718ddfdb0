package replica

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts of testdata print into them")

// Scripts are conversations with a simulated cluster of one group, and the
// metadata's, of which nothing is printed: commands, then
// ---- and what they print, up to an empty line. Nothing is left to chance but
// what the seed, 1, says; `go test -rewrite` writes the answers down.
//
//	cluster nodes=3 first=1,2,3 loglen=100
//	lead n1                  n1 becomes the leader
//	run 2s                   time passes
//	part n1 | join           n1 is cut off; all cables are mended
//	deaf n1 n2               n1 does not hear n2
//	crash n1 | start n1      without what was not synced
//	slow n1 300ms            every sync takes so much longer
//	wipe n1                  an empty disk
//	load ada n1              ada's conversation is activated on n1
//	say ada hello            prints the answer; "..." when there is none yet
//	answers                  prints the answers that came since
//	read ada n2              a confirmed read
//	change n1 learner 2      also voter, remove; several at once
//	status                   of every node's replica
//	log n1                   entries that n1 has on its disk
//	agree                    mends all, waits, and checks every store
func TestScript(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts (%v)", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(text))
			if got == string(text) {
				return
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s prints other answers than it says (-rewrite writes them down):\n%s", file, got)
		})
	}
}

// runScript returns the script with its answers.
func runScript(t *testing.T, text string) string {
	r := &script{t: t, people: map[string]*client{}}
	defer func() {
		if r.sim != nil {
			r.sim.close()
		}
	}()
	var out strings.Builder
	var commands []string
	answers := false
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case answers:
			answers = line != ""
			if !answers {
				out.WriteString("\n")
			}
		case line == "----":
			out.WriteString("----\n")
			for _, c := range commands {
				r.command(strings.Fields(c))
			}
			out.WriteString(r.out.String())
			r.out.Reset()
			commands, answers = nil, true
		default:
			out.WriteString(line + "\n")
			if line != "" && !strings.HasPrefix(line, "#") {
				commands = append(commands, line)
			}
		}
	}
	return out.String()
}

// script is one being run.
type script struct {
	t      *testing.T
	sim    *simulator
	people map[string]*client
	// waiting are appends without an answer yet.
	waiting []*said
	out     bytes.Buffer
}

type said struct {
	who, text string
	answer    string
}

func (r *script) printf(format string, args ...any) { fmt.Fprintf(&r.out, format+"\n", args...) }

func (r *script) node(word string) *simNode {
	n, err := strconv.Atoi(strings.TrimPrefix(word, "n"))
	if err != nil || n < 1 || n > len(r.sim.nodes) {
		r.t.Fatalf("there is no node %s", word)
	}
	return r.sim.node(chat.NodeID(n))
}

func (r *script) run(d time.Duration, done func() bool) bool {
	ok := false
	r.sim.guarded(func() { ok = r.sim.runUntil(r.sim.now+d, done) })
	for _, v := range r.sim.broken {
		r.printf("VIOLATION %s", strings.SplitN(v, "\n", 2)[0])
	}
	return ok
}

func (r *script) command(w []string) {
	if r.sim != nil && len(r.sim.broken) > 0 {
		return
	}
	if r.sim == nil && w[0] != "cluster" {
		r.t.Fatal("a script begins with a cluster")
	}
	switch w[0] {
	case "cluster":
		r.cluster(w[1:])
	case "run":
		r.run(r.duration(w[1]), nil)
	case "lead":
		r.lead(r.node(w[1]))
	case "part":
		for _, o := range r.sim.nodes {
			r.sim.net.cut[[2]chat.NodeID{o.id, r.node(w[1]).id}] = true
			r.sim.net.cut[[2]chat.NodeID{r.node(w[1]).id, o.id}] = true
		}
	case "deaf":
		r.sim.net.cut[[2]chat.NodeID{r.node(w[2]).id, r.node(w[1]).id}] = true
	case "join":
		clear(r.sim.net.cut)
	case "crash":
		n := r.node(w[1])
		after, err := n.fs.crash(1, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		n.discard()
		n.fs = after
	case "start":
		r.node(w[1]).open()
	case "wipe":
		r.sim.wipe(r.node(w[1]))
	case "slow":
		r.node(w[1]).slow = r.duration(w[2])
	case "load":
		r.load(w[1], r.node(w[2]))
	case "say":
		r.say(w[1], strings.Join(w[2:], " "))
	case "answers":
		r.run(100*time.Millisecond, nil)
		r.answers()
	case "read":
		r.read(w[1], r.node(w[2]))
	case "change":
		r.change(r.node(w[1]), w[2:])
	case "status":
		r.status()
	case "log":
		r.log(r.node(w[1]))
	case "agree":
		r.sim.ended = true
		r.sim.guarded(func() { r.sim.heal(); r.sim.book.settle() })
		if len(r.sim.broken) == 0 {
			r.printf("all agree")
		}
		for _, v := range r.sim.broken {
			r.printf("VIOLATION %s", v)
		}
	default:
		r.t.Fatalf("there is no command %q", w[0])
	}
}

func (r *script) duration(word string) time.Duration {
	d, err := time.ParseDuration(word)
	if err != nil {
		r.t.Fatal(err)
	}
	return d
}

func (r *script) cluster(w []string) {
	p := plan{nodes: 3, groups: 1, first: []chat.NodeID{1, 2, 3}, logLen: 1000, calm: true}
	for _, word := range w {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(value)
		switch key {
		case "nodes":
			p.nodes = n
		case "loglen":
			p.logLen = uint64(n)
		case "first":
			p.first = nil
			for id := range strings.SplitSeq(value, ",") {
				n, err := strconv.Atoi(id)
				if err != nil {
					r.t.Fatal(err)
				}
				p.first = append(p.first, chat.NodeID(n))
			}
		default:
			r.t.Fatalf("a cluster has no %q", key)
		}
	}
	simTemplate(r.t, p.groups)
	r.sim = newSimulator(r.t, 1, p)
	for _, n := range r.sim.nodes {
		n.open()
	}
	r.sim.admit()
}

func (r *script) lead(n *simNode) {
	for _, g := range simGroups(r.sim.plan.groups) {
		m := n.core.members[g]
		if l := r.sim.leader(g); l == nil {
			_ = m.raft.Campaign()
			n.core.touch(m)
			n.poke()
		} else if l != n {
			l.core.members[g].raft.TransferLeader(uint64(n.id))
			l.core.touch(l.core.members[g])
			l.poke()
		}
		if !r.run(5*time.Second, func() bool { return r.sim.leader(g) == n }) {
			r.printf("n%d does not lead group %d", n.id, g)
		}
	}
}

// fiber runs f and waits for it.
func (r *script) fiber(d time.Duration, run func(*fiber)) bool {
	f := r.sim.start(run)
	return r.run(d, func() bool { return f.over })
}

func (r *script) load(who string, n *simNode) {
	c := r.people[who]
	if c == nil {
		c = &client{sim: r.sim, id: len(r.people), tenant: "acme",
			address: chat.Address{Kind: chat.WaID, Value: fmt.Sprintf("49151%07d", len(r.people))}}
		r.people[who] = c
	}
	ok := false
	if !r.fiber(3*time.Second, func(f *fiber) { c.fiber = f; ok = c.activateOn(n) }) || !ok {
		r.printf("%s is not loaded", who)
		return
	}
	r.printf("%s at %d, epoch %d", who, c.state.Seq, c.epoch)
}

func (r *script) say(who, text string) {
	c := r.people[who]
	a := &said{who: who, text: text}
	r.waiting = append(r.waiting, a)
	c.words = text
	k := c.commit()
	k.Reserve = nil
	r.fiber(500*time.Millisecond, func(f *fiber) {
		floor := r.sim.book.floor(k.Conversation)
		got, err := c.node.store.Append(f.ctx, k)
		if err != nil {
			a.answer = err.Error()
			return
		}
		a.answer = got.Answer.String()
		if got.Answer == chat.Applied {
			r.sim.book.acknowledge(c, k, got, floor)
			c.state = *k.State
			c.message++
		}
	})
	r.answers()
}

func (r *script) answers() {
	r.waiting = slices.DeleteFunc(r.waiting, func(a *said) bool {
		if a.answer == "" {
			r.printf("%s %q: ...", a.who, a.text)
			return false
		}
		r.printf("%s %q: %s", a.who, a.text, a.answer)
		return true
	})
}

func (r *script) read(who string, n *simNode) {
	c := r.people[who]
	var texts []string
	err := errDown
	done := r.fiber(2*time.Second, func(f *fiber) {
		floor := r.sim.book.floor(c.place.Conversation)
		if e := n.await(f, &wait{group: 0}, 1900*time.Millisecond); e != nil || !n.up {
			return
		}
		events, e := n.store.Events(c.tenant, c.place.Conversation, 0, 1000)
		if e != nil {
			return
		}
		err = nil
		r.sim.book.read(n, c.place.Conversation, events, floor)
		for _, e := range events {
			if e.Message != nil {
				texts = append(texts, e.Message.Text)
			}
		}
	})
	if !done || err != nil {
		r.printf("n%d cannot confirm a read", n.id)
		return
	}
	r.printf("n%d: %q", n.id, texts)
}

func (r *script) change(n *simNode, w []string) {
	var change raftpb.ConfChangeV2
	kinds := map[string]raftpb.ConfChangeType{"learner": raftpb.ConfChangeAddLearnerNode,
		"voter": raftpb.ConfChangeAddNode, "remove": raftpb.ConfChangeRemoveNode}
	for i := 0; i+1 < len(w); i += 2 {
		kind, ok := kinds[w[i]]
		if !ok {
			r.t.Fatalf("a change is not %q", w[i])
		}
		change.Changes = append(change.Changes, &raftpb.ConfChangeSingle{Type: kind.Enum(), NodeId: new(uint64(r.node(w[i+1]).id))})
	}
	// The first answer is enough: the groups are in the same case.
	for _, g := range simGroups(r.sim.plan.groups) {
		var err error
		if !r.fiber(5*time.Second, func(f *fiber) { err = n.await(f, &wait{group: g, change: &change}, 4*time.Second) }) || err != nil {
			r.printf("not changed: %v", err)
			return
		}
	}
}

func (r *script) status() {
	for _, n := range r.sim.nodes {
		if !n.up {
			r.printf("n%d is down", n.id)
			continue
		}
		st := n.core.members[0].status()
		basic := n.core.members[0].raft.BasicStatus()
		role := map[raft.StateType]string{raft.StateLeader: "leads", raft.StateFollower: "follows", raft.StateCandidate: "is a candidate",
			raft.StatePreCandidate: "is a candidate"}[basic.RaftState]
		r.printf("n%d %s, term %d, applied %d of %d, log from %d, voters %v learners %v", n.id, role, st.Term, st.Applied, st.Last, st.First,
			st.Voters, st.Learners)
	}
}

func (r *script) log(n *simNode) {
	prefix := persistence.AppendLog(nil, 0)
	it, err := n.store.DB().NewIter(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	rows := 0
	for ok := it.SeekGE(prefix); ok && bytes.HasPrefix(it.Key(), prefix); ok = it.Next() {
		rows++
	}
	if err := it.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.printf("n%d has %d entries", n.id, rows)
}
