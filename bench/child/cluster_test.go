package child

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestCommand_OfANode(t *testing.T) {
	o := Options{Binary: "chumi", DataDir: "d", Config: "c", Bootstrap: "b", Within: []string{"ip", "netns", "exec", "n"},
		Listen: Addrs{Edge: "10.0.0.1:1", Peer: "10.0.0.1:4"}, Join: []string{"10.0.0.2:4", "10.0.0.3:4"}}
	got := strings.Join(o.command(), " ")
	want := "ip netns exec n chumi serve --data-dir d --config c --bootstrap b --edge-addr 10.0.0.1:1 " +
		"--api-addr 127.0.0.1:0 --ops-addr 127.0.0.1:0 --peer-addr 10.0.0.1:4 --join 10.0.0.2:4,10.0.0.3:4"
	if got != want {
		t.Errorf("%s, want\n%s", got, want)
	}
}

func TestEngine_PausesAndResumes(t *testing.T) {
	e, err := Start(t.Context(), options(t, "good"))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Kill()
	e.Pause()
	state := func() string {
		b, _ := os.ReadFile("/proc/" + strconv.Itoa(e.Pid()) + "/stat")
		if fields := strings.Fields(string(b)); len(fields) > 2 {
			return fields[2]
		}
		return ""
	}
	if state() == "" {
		t.Skip("no /proc here")
	}
	for until := time.Now().Add(5 * time.Second); state() != "T" && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if state() != "T" {
		t.Errorf("state %q after Pause", state())
	}
	e.Resume()
	if err := e.Terminate(); err != nil {
		t.Error(err)
	}
}

func TestCluster_NamesWhatAilsIt(t *testing.T) {
	whole := func() *Cluster {
		return &Cluster{Node: 1, Nodes: []Member{{ID: 1, Live: true}, {ID: 2, Live: true}, {ID: 3, Live: true}},
			Groups: []Group{{Group: 0, Leader: 1, Voters: []int{1, 2, 3}}, {Group: MetadataGroup, Leader: 2, Voters: []int{1, 2, 3}}}}
	}
	if a := whole().Ailment(3); a != "" {
		t.Errorf("a whole cluster: %s", a)
	}
	for name, spoil := range map[string]func(*Cluster){
		"a node is not live":  func(c *Cluster) { c.Nodes[2].Live = false },
		"a node leaves":       func(c *Cluster) { c.Nodes[2].Leaving = true },
		"no groups":           func(c *Cluster) { c.Groups = nil },
		"no leader":           func(c *Cluster) { c.Groups[1].Leader = 0 },
		"a copy too few":      func(c *Cluster) { c.Groups[0].Voters = []int{1, 2} },
		"one is far behind":   func(c *Cluster) { c.Groups[1].Behind = map[int]uint64{3: 5000} },
		"only two are listed": func(c *Cluster) { c.Nodes = c.Nodes[:2] },
	} {
		c := whole()
		spoil(c)
		if c.Ailment(3) == "" {
			t.Errorf("%s: nothing ails it", name)
		}
	}
	if c := whole(); !slices.Equal(c.LedBy(1), []int{0}) || c.LedBy(2) != nil || c.LeaderOf(MetadataGroup) != 2 || c.LeaderOf(7) != 0 {
		t.Errorf("led by 1 %v, by 2 %v", c.LedBy(1), c.LedBy(2))
	}
}

func TestAdmin_AsksAndReportsRefusals(t *testing.T) {
	var asked []string
	left := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String()+" "+r.Header.Get("Chumi-Admin"))
		switch r.URL.Path {
		case "/cluster":
			nodes := `[{"id":2,"live":true},{"id":1,"live":true}]`
			if left {
				nodes = `[{"id":2,"live":true}]`
			}
			_, _ = w.Write([]byte(`{"cluster":"shop","node":2,"nodes":` + nodes + `,"groups":[{"group":3,"leader":1,"applied":9,"voters":[1]}]}`))
		case "/cluster/remove":
			if r.URL.Query().Get("node") == "2" {
				w.WriteHeader(http.StatusConflict)
				_, _ = w.Write([]byte("not now"))
			}
			left = true
		}
	}))
	defer s.Close()
	ops := strings.TrimPrefix(s.URL, "http://")
	c, err := ReadCluster(t.Context(), ops)
	if err != nil || c.ID != "shop" || c.Node != 2 || c.Groups[0].Applied != 9 || c.Groups[0].Voters[0] != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if err := Transfer(t.Context(), ops, 3, 2); err != nil {
		t.Error(err)
	}
	if err := RemoveNode(t.Context(), ops, 2); err == nil || !strings.Contains(err.Error(), "409: not now") {
		t.Errorf("a refusal: %v", err)
	}
	left = false
	if err := RemoveNode(t.Context(), ops, 1); err != nil {
		t.Error(err)
	}
	want := []string{"GET /cluster? 1", "POST /cluster/transfer?group=3&to=2 1", "GET /cluster? 1", "POST /cluster/remove?node=2 1",
		"GET /cluster? 1", "POST /cluster/remove?node=1 1", "GET /cluster? 1"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
}

func TestReader_FollowsPages(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer k":
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/v1/events" || r.URL.Query().Get("from") != "4":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Query().Get("cursor") == "":
			_, _ = w.Write([]byte(`{"data":[{"pos":5},{"pos":6}],"next_cursor":"6"}`))
		default:
			_, _ = w.Write([]byte(`{"data":[{"pos":7}],"next_cursor":null}`))
		}
	}))
	defer s.Close()
	var got []uint64
	take := func(e *Event) { got = append(got, e.Pos) }
	api := strings.TrimPrefix(s.URL, "http://")
	if err := (&Reader{Key: "k"}).Feed(t.Context(), api, 4, take); err != nil || !slices.Equal(got, []uint64{5, 6, 7}) {
		t.Errorf("read %v, %v", got, err)
	}
	if err := (&Reader{}).Feed(t.Context(), api, 4, take); err == nil {
		t.Error("a refusal is no error")
	}
}

func TestWriteFiles_OfANode(t *testing.T) {
	config, _, err := WriteFiles(t.TempDir(), NewWorld(1), Config{Node: &NodeConfig{Secrets: NodeSecrets("s", 2), PerIPMax: 9, LogEntries: 100}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got["cluster"]["cert_file"] != "s/node-2/node.crt" || got["keys"]["file"] != "s/node-2/kek" ||
		got["api"]["allow_remote"] != true || got["edge"]["per_ip_max"] != 9.0 || got["cluster"]["log_entries"] != 100.0 {
		t.Errorf("%s", b)
	}
}
