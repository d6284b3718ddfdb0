package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

// clusterOf is a cluster of engines in this process.
type clusterOf struct {
	t         *testing.T
	dir       string
	bootstrap string
	args      []string
	nodes     map[int]*engine
}

// foundCluster makes certificates for up to max nodes and starts the first.
func foundCluster(t *testing.T, max int, args ...string) *clusterOf {
	t.Helper()
	c := &clusterOf{t: t, dir: filepath.Join(t.TempDir(), "c"), bootstrap: write(t, "bootstrap.yaml", twoTenants), args: args, nodes: map[int]*engine{}}
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"cluster", "init", "--out", c.dir, "--nodes", fmt.Sprint(max)}, nil, &out, &errs); code != exitOK {
		t.Fatalf("cluster init exited %d: %s", code, errs.String())
	}
	c.start(1)
	return c
}

func (c *clusterOf) data(n int) string { return filepath.Join(c.dir, fmt.Sprint("node-", n), "data") }

// flags are those of a node.
func (c *clusterOf) flags(n int) []string {
	dir := filepath.Join(c.dir, fmt.Sprint("node-", n))
	return append([]string{"--set", "cluster.cert_file=" + filepath.Join(dir, "node.crt"), "--set", "cluster.key_file=" + filepath.Join(dir, "node.key"),
		"--set", "cluster.ca_file=" + filepath.Join(dir, "ca.crt"), "--set", "keys.file=" + filepath.Join(dir, "kek"),
		"--peer-addr", "127.0.0.1:0"}, c.args...)
}

// start starts a node, the first one or one that joins.
func (c *clusterOf) start(n int, more ...string) *engine {
	c.t.Helper()
	args := append(c.flags(n), more...)
	for _, other := range c.nodes {
		args = append(args, "--join", other.peer())
	}
	if _, err := os.Stat(c.data(n)); err != nil && len(c.nodes) == 0 {
		args = append(args, "--found")
	}
	c.nodes[n] = startEngine(c.t, c.data(n), c.bootstrap, args...)
	return c.nodes[n]
}

// peer is where other nodes reach the engine.
func (e *engine) peer() string {
	_, rest, _ := strings.Cut(e.log.String(), " peer=")
	addr, _, _ := strings.Cut(rest, "\n")
	return addr
}

// any returns a node that runs.
func (c *clusterOf) any() *engine {
	for _, e := range c.nodes {
		return e
	}
	c.t.Fatal("no node runs")
	return nil
}

func (c *clusterOf) stop(n int) {
	c.t.Helper()
	c.nodes[n].stop()
	delete(c.nodes, n)
}

// status is the cluster as one of its nodes sees it.
func (c *clusterOf) status() cluster.Status {
	c.t.Helper()
	var s cluster.Status
	if code, text := get(c.t, "http://"+c.any().ops+"/cluster", ""); code != http.StatusOK || json.Unmarshal([]byte(text), &s) != nil {
		c.t.Fatalf("status %d: %s", code, text)
	}
	return s
}

// settle waits until every group is where it shall be and has a leader.
func (c *clusterOf) settle(done func(cluster.Status) bool) cluster.Status {
	c.t.Helper()
	limit := time.Now().Add(patience)
	for {
		s := c.status()
		there := done == nil || done(s)
		for _, g := range s.Groups {
			there = there && g.Leader != 0 && slices.Equal(g.Voters, g.WantVoters) && slices.Equal(g.Learners, g.WantLearners)
		}
		if there {
			return s
		}
		if time.Now().After(limit) {
			text, _ := json.Marshal(s)
			c.t.Fatalf("the cluster does not settle: %s", text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// operate posts to a node's ops listener.
func (c *clusterOf) operate(path string) {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+c.any().ops+path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set(edge.OperatorHeader, "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, resp.StatusCode, text)
	}
}

// TestCluster_FollowOneMessage is "Follow one message" where no station is on the
// node that was posted to, with every node asked for the result.
func TestCluster_FollowOneMessage(t *testing.T) {
	sims, args := quickSimulators(t, write(t, "bootstrap.yaml", twoTenants))
	c := foundCluster(t, 3, args...)
	c.start(2)
	c.start(3)
	c.settle(func(s cluster.Status) bool { return len(s.Groups[0].Voters) == 3 })
	began := c.status()
	if !slices.Equal(began.Warnings, []string{filesApart}) {
		t.Errorf("nodes with a directory each for files: warnings %q", began.Warnings)
	}
	var shown bytes.Buffer
	if err := printStatus(&shown, &began); err != nil || !strings.Contains(shown.String(), "warning: "+filesApart) {
		t.Errorf("%v\n%s", err, shown.String())
	}
	// Whatever group acme is in: the first node leads all of them.
	for _, g := range began.Groups {
		c.operate(fmt.Sprintf("/cluster/transfer?group=%d&to=1", g.Group))
	}
	c.settle(func(s cluster.Status) bool { return s.Nodes[0].Leads == len(s.Groups) })
	far := c.nodes[3]
	sims.meta.SetHooks("http://" + far.edge)
	events := far.stream("key-of-acme")
	account, _ := sims.meta.Account("acme-wa")
	said := sims.meta.Text(account, metasim.Customer{ID: "4915550100042", Name: "Ada"}, "Are you open on Saturday? #4711")
	if err := sims.meta.Deliver(t.Context(), said); err != nil {
		t.Fatalf("the webhook was not answered 200: %v", err)
	}
	seen := until(t, events, func(ev apiEvent) bool { return ev.Status != nil && ev.Status.Status == "read" })
	gapFree(t, seen)
	if sends := sims.meta.Sends(); len(sends) != 1 {
		t.Errorf("Graph got %d sends", len(sends))
	}
	conversation := seen[0].conversation()
	// A status may come between two of the readings.
	var lists []string
	for began := time.Now(); time.Since(began) < 10*time.Second; {
		lists = lists[:0]
		for n := 1; n <= 3; n++ {
			code, list := get(t, "http://"+c.nodes[n].api+"/v1/conversations/"+conversation+"/events", "key-of-acme")
			if code != http.StatusOK {
				t.Fatalf("node %d: %d %s", n, code, list)
			}
			lists = append(lists, list)
		}
		if lists[0] == lists[1] && lists[1] == lists[2] {
			break
		}
	}
	if lists[0] != lists[1] || lists[1] != lists[2] {
		t.Errorf("the nodes show different events:\n%s\n%s\n%s", lists[0], lists[1], lists[2])
	}
	// A member writes at one node, and again at another with the same key.
	for n := 2; n <= 3; n++ {
		if code, text := far.command(c.nodes[n], conversation, "same-key"); code/100 != 2 {
			t.Errorf("node %d: %d %s", n, code, text)
		}
	}
	sent := until(t, events, func(ev apiEvent) bool {
		return ev.Status != nil && ev.Status.Status == "read" && ev.Status.MessageID != nil && ev.Seq > seen[len(seen)-1].Seq
	})
	queued := 0
	for _, ev := range sent {
		if ev.Kind == "message_queued" {
			queued++
		}
	}
	if queued != 1 {
		t.Errorf("a message written twice with one key was queued %d times", queued)
	}
	// The leader goes; the others answer on.
	c.stop(1)
	c.settle(nil)
	again := sims.meta.Text(account, metasim.Customer{ID: "4915550100042", Name: "Ada"}, "And on Sunday? #4712")
	if err := sims.meta.Deliver(t.Context(), again); err != nil {
		t.Fatalf("without the leader: %v", err)
	}
	after := far.stream("key-of-acme")
	all := until(t, after, func(ev apiEvent) bool { return ev.Message != nil && ev.Message.Text == again.Text })
	gapFree(t, all)
	c.stop(2)
	far.stop()
	for n := 1; n <= 3; n++ {
		key := filepath.Join(c.dir, fmt.Sprint("node-", n), "kek")
		gapFree(t, exported(t, c.data(n), "acme", "--set", "keys.file="+key))
		checked(t, c.data(n), "--set", "keys.file="+key)
	}
}

// command writes a message of a member through a node.
func (e *engine) command(at *engine, conversation, key string) (int, string) {
	e.t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+at.api+"/v1/conversations/"+conversation+"/messages",
		strings.NewReader(`{"type":"text","text":"from a person"}`))
	if err != nil {
		e.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key-of-acme")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// TestCluster_GrowsAndShrinks goes from one node to five and back to three, some of
// them others than at first, while webhooks come in at all that run. Every one is
// answered 200 and stored once.
func TestCluster_GrowsAndShrinks(t *testing.T) {
	c := foundCluster(t, 5)
	var mu sync.Mutex // guards edges
	edges := []*engine{c.nodes[1]}
	stop := make(chan struct{})
	var posts sync.WaitGroup
	posted := make([]int, 2)
	slowest := time.Duration(0)
	for w := range posted {
		posts.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				mu.Lock()
				e := edges[i%len(edges)]
				mu.Unlock()
				from, id := fmt.Sprint("491555010", w, i%7), fmt.Sprintf("wamid.%d.%d", w, i)
				began := time.Now()
				if code := e.post("acme-app", "secret-of-acme", waText("106000000000001", "102000000000001", from, id, id)); code != http.StatusOK {
					t.Errorf("%s: status %d after %v", id, code, time.Since(began))
				}
				mu.Lock()
				slowest = max(slowest, time.Since(began))
				mu.Unlock()
				posted[w] = i + 1
			}
		})
	}
	serving := func(nodes ...int) {
		mu.Lock()
		defer mu.Unlock()
		edges = edges[:0:0]
		for _, n := range nodes {
			edges = append(edges, c.nodes[n])
		}
	}
	held := func(nodes int) func(cluster.Status) bool {
		return func(s cluster.Status) bool { return len(s.Nodes) == nodes }
	}
	for n := 2; n <= 5; n++ {
		c.start(n)
		c.settle(held(n))
		if n == 3 {
			serving(1, 2, 3)
		}
	}
	serving(1, 2, 3, 4, 5)
	for _, n := range []int{1, 4} {
		serving(slices.DeleteFunc([]int{2, 3, 4, 5}, func(o int) bool { return o == n || c.nodes[o] == nil })...)
		c.operate(fmt.Sprintf("/cluster/remove?node=%d", n))
		s := c.settle(func(s cluster.Status) bool {
			return !slices.ContainsFunc(s.Nodes, func(m cluster.NodeState) bool { return m.ID == chat.NodeID(n) })
		})
		if len(s.Groups[0].Voters) != 3 {
			t.Errorf("without node %d group 0 has the voters %v", n, s.Groups[0].Voters)
		}
		c.stop(n)
	}
	close(stop)
	posts.Wait()
	if slowest > 5*time.Second {
		t.Errorf("a request took %v", slowest)
	}
	t.Logf("%d webhooks, the slowest took %v", posted[0]+posted[1], slowest)
	seen := map[string]int{}
	for after, more := "0", true; more; {
		var page struct {
			Data []apiEvent `json:"data"`
			Next *string    `json:"next_cursor"`
		}
		code, text := get(t, "http://"+c.nodes[5].api+"/v1/events?limit=1000&from="+after, "key-of-acme")
		if err := json.Unmarshal([]byte(text), &page); err != nil || code != http.StatusOK {
			t.Fatalf("%d %v", code, err)
		}
		for _, ev := range page.Data {
			if ev.Kind == "message_received" {
				seen[*ev.Message.RemoteID]++
			}
		}
		if more = page.Next != nil; more {
			after = *page.Next
		}
	}
	for w, count := range posted {
		for i := range count {
			if id := fmt.Sprintf("wamid.%d.%d", w, i); seen[id] != 1 {
				t.Errorf("%s is stored %d times", id, seen[id])
			}
		}
	}
}

// Who does not fit is told why, and the cluster goes on.
func TestCluster_RefusesWhoDoesNotFit(t *testing.T) {
	c := foundCluster(t, 4)
	c.start(2)
	c.settle(nil)
	seed := c.nodes[1].peer()
	refused := func(name, data string, flags []string, want ...string) {
		t.Helper()
		var out, errs bytes.Buffer
		args := append([]string{"serve", "--data-dir", data, "--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"}, flags...)
		if code := run(t.Context(), args, nil, &out, &errs); code == exitOK {
			t.Errorf("%s: served", name)
		}
		for _, w := range want {
			if !strings.Contains(errs.String(), w) {
				t.Errorf("%s: it does not say %q:\n%s", name, w, errs.String())
			}
		}
	}
	join := append(c.flags(3), "--join", seed)

	var out, errs bytes.Buffer
	strangers := filepath.Join(t.TempDir(), "s")
	if code := run(t.Context(), []string{"cluster", "init", "--out", strangers, "--nodes", "3"}, nil, &out, &errs); code != exitOK {
		t.Fatal(errs.String())
	}
	otherKey := append(slices.Clone(join), "--set", "keys.file="+filepath.Join(strangers, "node-3", "kek"))
	refused("another key", t.TempDir(), otherKey, "copy the cluster's key file", "keys.file")

	alone := t.TempDir()
	e := startEngine(t, alone, c.bootstrap)
	e.stop()
	refused("a node that was alone", alone, []string{"--join", seed, "--set", "keys.file=" + filepath.Join(alone, "secrets", "kek"),
		"--set", "cluster.cert_file=" + filepath.Join(c.dir, "node-3", "node.crt"), "--set", "cluster.key_file=" + filepath.Join(c.dir, "node-3", "node.key"),
		"--set", "cluster.ca_file=" + filepath.Join(c.dir, "node-3", "ca.crt"), "--peer-addr", "127.0.0.1:0"}, "was alone", "empty")

	refused("without a certificate", t.TempDir(), []string{"--join", seed}, "cluster init")
	refused("the first node without its disk", t.TempDir(), c.flags(1), "--found", "--join", "disk was lost")
	refused("a founder that joins", t.TempDir(), append(join, "--found"), "--found or --join")
	refused("half a certificate", t.TempDir(), []string{"--set", "cluster.cert_file=x"}, "cluster.key_file", "together")
	refused("a certificate that is not there", t.TempDir(), []string{"--set", "cluster.cert_file=x", "--set", "cluster.key_file=x", "--set", "cluster.ca_file=x"}, "cluster cert")

	// The second node comes back with an empty disk.
	c.stop(2)
	if err := os.RemoveAll(c.data(2)); err != nil {
		t.Fatal(err)
	}
	// With two voters the first cannot go on alone, and says so.
	for began := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		code, text := get(t, "http://"+c.nodes[1].ops+"/readyz", "")
		if code == http.StatusServiceUnavailable && strings.Contains(text, `"groups","ready":false`) {
			break
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("readyz: %d %s", code, text)
		}
	}
	c.stop(1)
	refused("a member that founds", c.data(1), append(c.flags(1), "--found"), "without --found")
}

// Commands about a cluster, asked of a node that is in none.
func TestCluster_CommandsExplainThemselves(t *testing.T) {
	e := startEngine(t, t.TempDir(), write(t, "b.yaml", twoTenants))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"cluster", "status", "--ops-addr", e.ops}, exitFailed, "in no cluster"},
		{[]string{"cluster", "status", "--ops-addr", "127.0.0.1:1"}, exitFailed, "--ops-addr"},
		{[]string{"cluster", "remove", "--ops-addr", e.ops}, exitUsage, "--node"},
		{[]string{"cluster", "transfer", "--ops-addr", e.ops}, exitUsage, "--group"},
		{[]string{"cluster", "add", "--ops-addr", e.ops}, exitUsage, "--addr"},
		{[]string{"cluster", "init", "--nodes", "0", "--out", "x"}, exitUsage, "--nodes"},
		{[]string{"cluster", "init"}, exitUsage, "--out"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), c.args, nil, &out, &errs); code != c.code || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: %d %s", c.args, code, errs.String())
		}
	}
}
