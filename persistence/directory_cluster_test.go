package persistence

import (
	"reflect"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

func TestDirectory_KeepsNodesAndPlacements(t *testing.T) {
	ctx, fs := t.Context(), vfs.NewMem()
	s := storeOn(t, fs)
	d := directoryOf(t, s)
	if _, ok := d.Cluster(); ok || len(d.Nodes()) != 0 || len(d.Placements()) != 0 {
		t.Error("a node alone has a cluster")
	}
	cluster := Cluster{ID: "home", KEK: testKEK(t).Fingerprint(), Groups: 4, Format: FormatNewest}
	list := []Placement{{Group: MetaGroup, Voters: []chat.NodeID{2, 1}, Learners: []chat.NodeID{10}}, {Group: 0, Voters: []chat.NodeID{2}}}
	fill := func(c *Change) error {
		for _, err := range []error{c.PutCluster(cluster), c.PutNode(Node{ID: 10, Addr: "10.0.0.10:7000", Leaving: true}),
			c.PutNode(Node{ID: 2, Addr: "node-2:7000"}), c.PutNode(Node{ID: 1, Addr: "[::1]:7000"}), c.Place(list)} {
			if err := err; err != nil {
				return err
			}
		}
		if got, ok := c.Cluster(); !ok || got != cluster || len(c.Nodes()) != 3 || len(c.Placements()) != 2 {
			t.Error("a change does not see itself")
		}
		return nil
	}
	mustPut(t, d.Change(ctx, fill))
	table := d.table.Load()
	mustPut(t, d.Change(ctx, fill))
	if d.table.Load() != table {
		t.Error("the same again changed the directory")
	}
	if list[0].Voters[0] != 2 {
		t.Error("Place sorted the caller's list")
	}
	mustPut(t, d.Change(ctx, func(c *Change) error {
		c.Placements()[0].Voters[0] = 99
		d.Placements()[0].Voters[0] = 99
		return c.PutNode(Node{ID: 3, Addr: "node-3:7000"})
	}))
	mustPut(t, d.Change(ctx, func(c *Change) error { return c.DropNode(3) }), d.Change(ctx, func(c *Change) error { return c.DropNode(3) }))
	mustPut(t, s.Close())

	s = storeOn(t, fs)
	d = directoryOf(t, s)
	nodes := []Node{{ID: 1, Addr: "[::1]:7000"}, {ID: 2, Addr: "node-2:7000"}, {ID: 10, Addr: "10.0.0.10:7000", Leaving: true}}
	if got := d.Nodes(); !reflect.DeepEqual(got, nodes) {
		t.Errorf("nodes read back: %+v", got)
	}
	places := []Placement{{Group: 0, Voters: []chat.NodeID{2}}, {Group: MetaGroup, Voters: []chat.NodeID{1, 2}, Learners: []chat.NodeID{10}}}
	if got := d.Placements(); !reflect.DeepEqual(got, places) {
		t.Errorf("placements read back: %+v", got)
	}
	if got, ok := d.Cluster(); !ok || got != cluster {
		t.Errorf("cluster read back: %+v", got)
	}
	if n, ok := d.Node(2); !ok || n != nodes[1] {
		t.Errorf("node 2: %+v", n)
	}
	if _, ok := d.Node(3); ok {
		t.Error("a dropped node is known")
	}
	mustCheck(t, s)
}

func TestDirectory_RefusesAClusterThatCannotBe(t *testing.T) {
	ctx := t.Context()
	d := directoryOf(t, storeOn(t, vfs.NewMem()))
	key := testKEK(t).Fingerprint()
	mustPut(t, d.Change(ctx, func(c *Change) error { return c.PutCluster(Cluster{ID: "home", KEK: key, Groups: 4}) }),
		d.Change(ctx, func(c *Change) error { return c.PutNode(Node{ID: 1, Addr: "a:1"}) }),
		d.Change(ctx, func(c *Change) error { return c.Place([]Placement{{Group: 3, Voters: []chat.NodeID{1}}}) }))
	for name, c := range map[string]struct {
		fill func(c *Change) error
		kind chat.ErrorKind
		says string
	}{
		"cluster's id":    {func(c *Change) error { return c.PutCluster(Cluster{ID: "", KEK: key, Groups: 4}) }, chat.KindInvalid, "plain word"},
		"another cluster": {func(c *Change) error { return c.PutCluster(Cluster{ID: "away", KEK: key, Groups: 4}) }, chat.KindConflict, "cluster home"},
		"another key":     {func(c *Change) error { return c.PutCluster(Cluster{ID: "home", KEK: "00", Groups: 4}) }, chat.KindInvalid, "keys.file"},
		"other groups":    {func(c *Change) error { return c.PutCluster(Cluster{ID: "home", KEK: key, Groups: 16}) }, chat.KindInvalid, "16 groups"},
		"node 0":          {func(c *Change) error { return c.PutNode(Node{Addr: "b:1"}) }, chat.KindInvalid, "above 0"},
		"no address":      {func(c *Change) error { return c.PutNode(Node{ID: 2}) }, chat.KindInvalid, "host:port"},
		"no host":         {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: ":7000"}) }, chat.KindInvalid, "host:port"},
		"no port":         {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "b"}) }, chat.KindInvalid, "host:port"},
		"port 0":          {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "b:0"}) }, chat.KindInvalid, "host:port"},
		"high port":       {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "b:65536"}) }, chat.KindInvalid, "host:port"},
		"bare colons":     {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "::1:7000"}) }, chat.KindInvalid, "host:port"},
		"open bracket":    {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "[::1:7000"}) }, chat.KindInvalid, "host:port"},
		"a url":           {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "https://b:1"}) }, chat.KindInvalid, "host:port"},
		"address taken":   {func(c *Change) error { return c.PutNode(Node{ID: 2, Addr: "a:1"}) }, chat.KindConflict, "node 1"},
		"node in use":     {func(c *Change) error { return c.DropNode(1) }, chat.KindConflict, "group 3"},
		"no such group":   {func(c *Change) error { return c.Place([]Placement{{Group: 4, Voters: []chat.NodeID{1}}}) }, chat.KindInvalid, "no group 4"},
		"no voter":        {func(c *Change) error { return c.Place([]Placement{{Learners: []chat.NodeID{1}}}) }, chat.KindInvalid, "needs a voter"},
		"a stranger":      {func(c *Change) error { return c.Place([]Placement{{Voters: []chat.NodeID{2}}}) }, chat.KindInvalid, "no node 2"},
		"twice":           {func(c *Change) error { return c.Place([]Placement{{Voters: []chat.NodeID{1, 1}}}) }, chat.KindInvalid, "twice"},
		"voter and learns": {func(c *Change) error {
			return c.Place([]Placement{{Voters: []chat.NodeID{1}, Learners: []chat.NodeID{1}}})
		}, chat.KindInvalid, "twice"},
	} {
		err := d.Change(ctx, c.fill)
		if err == nil || chat.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want kind %v saying %q", name, err, c.kind, c.says)
		}
	}
	if v := d.table.Load().version; v != 3 {
		t.Errorf("version %d after three changes", v)
	}
}
