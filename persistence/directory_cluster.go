package persistence

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/recordpb"
)

// Cluster is what the nodes of a cluster have in common.
type Cluster struct {
	// ID stands in the nodes' certificates.
	ID string
	// KEK is the fingerprint of the key-encryption key, which every node must have.
	KEK string
	// Groups is the number of groups besides the metadata group.
	Groups int
	// Founding is drawn when the cluster is founded: it tells it from another one
	// of the same id.
	Founding string
	// Format is the active one. It begins as what the founder's store has; only
	// Change.Finalize raises it.
	Format FormatVersion
}

// Node is a member of the cluster.
type Node struct {
	ID chat.NodeID
	// Addr is the host:port of its peer port.
	Addr string
	// Leaving tells that it shall hold nothing any more.
	Leaving bool
	// Store is the Identity of its store: another one is another disk, which has
	// forgotten what the node has promised.
	Store string
}

// Placement says which nodes shall hold a group; what Raft has moves towards it.
type Placement struct {
	Group chat.Group
	// Voters and Learners are sorted and have no node in common.
	Voters, Learners []chat.NodeID
}

func (p Placement) clone() Placement {
	return Placement{p.Group, slices.Clone(p.Voters), slices.Clone(p.Learners)}
}

func (p Placement) equal(o Placement) bool {
	return p.Group == o.Group && slices.Equal(p.Voters, o.Voters) && slices.Equal(p.Learners, o.Learners)
}

// Names reports whether a node shall hold the group.
func (p Placement) Names(id chat.NodeID) bool {
	return slices.Contains(p.Voters, id) || slices.Contains(p.Learners, id)
}

// PutCluster makes the node's cluster known. It is what it is from then on:
// another is KindConflict.
func (c *Change) PutCluster(cl Cluster) error {
	const op = "directory.PutCluster"
	if err := checkWord(op, "cluster", cl.ID); err != nil {
		return err
	}
	if key := c.store.opts.KEK.Fingerprint(); cl.KEK != key {
		return chat.E(op, chat.KindInvalid, "the cluster's key-encryption key is "+quoted(cl.KEK)+", this node's is "+key+
			"; give every node the same keys.file", nil)
	}
	if has := c.store.Groups(); cl.Groups != has {
		return chat.E(op, chat.KindInvalid, "the cluster has "+strconv.Itoa(cl.Groups)+" groups, this node's store "+strconv.Itoa(has)+
			"; the number is fixed when a data directory is created: begin with an empty one", nil)
	}
	cl.Format = c.store.Format()
	if has := c.next.cluster; has != (Cluster{}) {
		cl.Format = has.Format
	}
	if has := c.next.cluster; has != (Cluster{}) && has != cl {
		return chat.E(op, chat.KindConflict, "the node belongs to cluster "+has.ID+"; it joins another with an empty data directory", nil)
	}
	c.putCluster(cl)
	return nil
}

func (c *Change) putCluster(cl Cluster) {
	c.next.cluster = cl
	c.row(directoryRow{kind: rowCluster}, c.old.cluster == cl, &recordpb.DirectoryCluster{
		Id: cl.ID, KekFingerprint: cl.KEK, Groups: uint32(cl.Groups), Founding: cl.Founding, Format: uint32(cl.Format)})
}

// PutNode adds a node or replaces what is known of it. No two nodes have the same
// address: KindConflict.
func (c *Change) PutNode(n Node) error {
	const op = "directory.PutNode"
	name := "node " + nodeWord(n.ID)
	if n.ID == 0 {
		return chat.E(op, chat.KindInvalid, "the id of a node is above 0", nil)
	}
	if !validAddr(n.Addr) {
		return chat.E(op, chat.KindInvalid, name+": "+quoted(n.Addr)+" is no address; give the host:port at which others reach its peer port", nil)
	}
	for _, o := range c.next.nodes {
		if o.ID != n.ID && o.Addr == n.Addr {
			return chat.E(op, chat.KindConflict, name+": "+n.Addr+" is the address of node "+nodeWord(o.ID)+
				"; drop that node first, or give this one its own", nil)
		}
	}
	c.next.nodes[n.ID] = n
	old, ok := c.old.nodes[n.ID]
	c.row(directoryRow{rowNode, nodeWord(n.ID)}, ok && old == n, &recordpb.DirectoryNode{
		Id: uint64(n.ID), Addr: n.Addr, Leaving: n.Leaving, Store: n.Store})
	return nil
}

// validAddr reports whether s is host:port, with a host of colons in brackets.
func validAddr(s string) bool {
	at := strings.LastIndexByte(s, ':')
	if at < 1 {
		return false
	}
	host := s[:at]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok || host == "" || strings.ContainsAny(host, "[]") {
			return false
		}
	} else if strings.ContainsAny(host, ":[]") {
		return false
	}
	port, err := strconv.ParseUint(s[at+1:], 10, 16)
	return err == nil && port != 0 && !strings.ContainsAny(host, " \t\r\n/")
}

// DropNode forgets a node; one that is not known is no error. It is KindConflict
// while a placement names the node.
func (c *Change) DropNode(id chat.NodeID) error {
	for _, p := range c.Placements() {
		if p.Names(id) {
			return chat.E("directory.DropNode", chat.KindConflict, "node "+nodeWord(id)+" shall hold group "+groupName(p.Group)+
				"; mark it as leaving and wait until its groups have moved", nil)
		}
	}
	delete(c.next.nodes, id)
	_, stored := c.old.nodes[id]
	c.row(directoryRow{rowNode, nodeWord(id)}, !stored, nil)
	return nil
}

// Place replaces the placements of the groups in list. Each has at least one
// voter, and names known nodes, none of them twice.
func (c *Change) Place(list []Placement) error {
	for _, p := range list {
		if err := c.place(p.clone()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Change) place(p Placement) error {
	const op = "directory.Place"
	name := "group " + groupName(p.Group)
	if p.Group != groupMeta && int(p.Group) >= c.store.Groups() {
		return chat.E(op, chat.KindInvalid, "there is no "+name, nil)
	}
	if len(p.Voters) == 0 {
		return chat.E(op, chat.KindInvalid, name+" needs a voter", nil)
	}
	seen := map[chat.NodeID]bool{}
	for _, id := range slices.Concat(p.Voters, p.Learners) {
		if seen[id] {
			return chat.E(op, chat.KindInvalid, name+" names node "+nodeWord(id)+" twice", nil)
		}
		if _, ok := c.next.nodes[id]; !ok {
			return chat.E(op, chat.KindInvalid, name+": there is no node "+nodeWord(id)+"; add it first", nil)
		}
		seen[id] = true
	}
	slices.Sort(p.Voters)
	slices.Sort(p.Learners)
	c.next.places[p.Group] = p
	old, ok := c.old.places[p.Group]
	r := &recordpb.DirectoryPlacement{Group: uint32(p.Group)}
	for _, id := range p.Voters {
		r.Voters = append(r.Voters, uint64(id))
	}
	for _, id := range p.Learners {
		r.Learners = append(r.Learners, uint64(id))
	}
	c.row(directoryRow{rowPlacement, groupName(p.Group)}, ok && old.equal(p), r)
	return nil
}

// Cluster returns the cluster as of this change.
func (c *Change) Cluster() (Cluster, bool) { return c.next.cluster, c.next.cluster != Cluster{} }

// Node returns a node as of this change.
func (c *Change) Node(id chat.NodeID) (Node, bool) {
	n, ok := c.next.nodes[id]
	return n, ok
}

// Nodes lists the nodes by id, as of this change.
func (c *Change) Nodes() []Node { return c.next.nodesSorted() }

// Placements lists the placements by group, as of this change.
func (c *Change) Placements() []Placement { return c.next.placesSorted() }

// Cluster returns the cluster that this node belongs to, if any.
func (d *Directory) Cluster() (Cluster, bool) {
	cl := d.table.Load().cluster
	return cl, cl != Cluster{}
}

// Nodes lists the nodes of the cluster by id.
func (d *Directory) Nodes() []Node { return d.table.Load().nodesSorted() }

// Node returns a node of the cluster.
func (d *Directory) Node(id chat.NodeID) (Node, bool) {
	n, ok := d.table.Load().nodes[id]
	return n, ok
}

// Placements lists the placements by group; none on a node that never had a
// cluster. The caller owns them.
func (d *Directory) Placements() []Placement { return d.table.Load().placesSorted() }

func (t *table) nodesSorted() []Node {
	return slices.SortedFunc(maps.Values(t.nodes), func(a, b Node) int { return cmp.Compare(a.ID, b.ID) })
}

func (t *table) placesSorted() []Placement {
	list := make([]Placement, 0, len(t.places))
	for _, g := range slices.Sorted(maps.Keys(t.places)) {
		list = append(list, t.places[g].clone())
	}
	return list
}

// putPlace is put for the records of the cluster.
func (t *table) putPlace(kind byte, plain []byte) bool {
	switch kind {
	case rowVersion:
		var r recordpb.DirectoryVersion
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		t.version = r.GetNumber()
	case rowHeld:
		var r recordpb.DirectoryHeld
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		t.held = Hold{Since: timeOf(r.GetSinceMs()), Backup: r.GetBackup()}
	case rowArrival:
		var r recordpb.DirectoryArrival
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		t.arrivals[chat.TenantID(r.GetTenant())] = Arrival{Archive: r.GetArchive(), Since: timeOf(r.GetSinceMs()), Stage: ArrivalStage(r.GetStage())}
	case rowCluster:
		var r recordpb.DirectoryCluster
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		t.cluster = Cluster{ID: r.GetId(), KEK: r.GetKekFingerprint(), Groups: int(r.GetGroups()), Founding: r.GetFounding(),
			Format: max(FormatVersion(r.GetFormat()), formatUnsaid)}
	case rowNode:
		var r recordpb.DirectoryNode
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		n := Node{ID: chat.NodeID(r.GetId()), Addr: r.GetAddr(), Leaving: r.GetLeaving(), Store: r.GetStore()}
		t.nodes[n.ID] = n
	case rowPlacement:
		var r recordpb.DirectoryPlacement
		if proto.Unmarshal(plain, &r) != nil {
			return false
		}
		p := Placement{Group: chat.Group(r.GetGroup())}
		for _, id := range r.GetVoters() {
			p.Voters = append(p.Voters, chat.NodeID(id))
		}
		for _, id := range r.GetLearners() {
			p.Learners = append(p.Learners, chat.NodeID(id))
		}
		t.places[p.Group] = p
	default:
		return false
	}
	return true
}

func nodeWord(id chat.NodeID) string { return strconv.FormatUint(uint64(id), 10) }

func groupName(g chat.Group) string { return strconv.Itoa(int(g)) }
