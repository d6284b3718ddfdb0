package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/transport/peer"
)

// The builds of an upgrade: the next one knows a format that this one does not.
var (
	thisBuild = persistence.Formats{Oldest: persistence.FormatOldest, Newest: persistence.FormatNewest}
	nextBuild = persistence.Formats{Oldest: persistence.FormatOldest, Newest: persistence.FormatNewest + 1}
	// lastBuild has forgotten how to write what this one writes.
	lastBuild = persistence.Formats{Oldest: persistence.FormatNewest + 1, Newest: persistence.FormatNewest + 2}
)

// patience is for what other goroutines are about to do.
const patience = 30 * time.Second

// town is nodes of one process with real ports and disks in memory.
type town struct {
	*testing.T
	ca    peer.Pair
	nodes map[chat.NodeID]*resident
	disks map[chat.NodeID]*vfs.MemFS
	addrs map[chat.NodeID]string
}

// resident is a node that runs.
type resident struct {
	*Node
	store     *persistence.Store
	directory *persistence.Directory
	// beyond gets why the node must end.
	beyond chan error
	end    func()
}

func newTown(t *testing.T) *town {
	ca, err := peer.NewCA(peer.CAOptions{ClusterID: "home", Days: 1000, Now: time.Now()})
	w := &town{T: t, ca: ca, nodes: map[chat.NodeID]*resident{}, disks: map[chat.NodeID]*vfs.MemFS{}, addrs: map[chat.NodeID]string{}}
	w.must(err)
	t.Cleanup(func() {
		for id := range w.nodes {
			w.stop(id)
		}
	})
	return w
}

func (w *town) must(errs ...error) {
	w.Helper()
	for _, err := range errs {
		if err != nil {
			w.Fatal(err)
		}
	}
}

func (w *town) credentials(id chat.NodeID) *peer.Credentials {
	dir := w.TempDir()
	pair, err := peer.IssueNode(w.ca, peer.NodeOptions{Node: id, Days: 100, Now: time.Now()})
	w.must(err)
	w.must(peer.WriteNode(dir, pair, w.ca.Cert))
	c, err := peer.OpenCredentials(peer.CredentialOptions{CertFile: filepath.Join(dir, peer.NodeCertFile), KeyFile: filepath.Join(dir, peer.NodeKeyFile),
		CAFile: filepath.Join(dir, peer.CACertFile), Metrics: &metrics.New(nil).Peer, Log: slog.New(slog.DiscardHandler)})
	w.must(err)
	return c
}

// try starts a node of a build: the first one founds, others join.
func (w *town) try(id chat.NodeID, build persistence.Formats) (*resident, error) {
	w.Helper()
	fresh := w.disks[id] == nil
	if fresh {
		w.disks[id], w.addrs[id] = vfs.NewMem(), "127.0.0.1:0"
	}
	so := persistencetest.Options(w)
	so.FS, so.Dir, so.Formats = w.disks[id], "data", build
	so.Fatal = func(reason string) {
		w.Errorf("node %d must end: %s", id, reason)
		runtime.Goexit()
	}
	store, err := persistence.Open(so)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", w.addrs[id])
	w.must(err)
	w.addrs[id] = listener.Addr().String()
	r := &resident{store: store, beyond: make(chan error, 1)}
	o := Options{Credentials: w.credentials(id), Listener: listener, Advertise: w.addrs[id], Found: fresh && len(w.nodes) == 0,
		Store: store, Metrics: metrics.New(nil), Log: slog.New(slog.DiscardHandler), KeepFormat: true,
		Beyond: func(err error) {
			select {
			case r.beyond <- err:
			default:
			}
		}}
	for other := range w.nodes {
		o.Seeds = append(o.Seeds, w.addrs[other])
	}
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if r.Node, err = Open(ctx, o); err != nil {
		w.must(store.Close(), listener.Close())
		return nil, err
	}
	r.directory, err = persistence.OpenDirectory(ctx, store, chat.Settings{})
	w.must(err)
	following, stop := context.WithCancel(w.Context())
	followed := make(chan error, 1)
	go func() { followed <- r.directory.Follow(following) }()
	r.end = func() {
		stop()
		w.must(<-followed)
		disconnect := r.Close()
		w.must(store.Close(), disconnect())
	}
	w.nodes[id] = r
	return r, r.Attend(ctx, r.directory)
}

func (w *town) start(id chat.NodeID, build persistence.Formats) *resident {
	w.Helper()
	r, err := w.try(id, build)
	w.must(err)
	return r
}

func (w *town) stop(id chat.NodeID) {
	r := w.nodes[id]
	delete(w.nodes, id)
	r.end()
}

// until waits for what comes by itself.
func (w *town) until(what string, so func() bool) {
	w.Helper()
	for end := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("it does not come about that %s", what)
		}
	}
}

// whole waits until every group has its leader, and every node a vote in it.
func (w *town) whole() {
	w.Helper()
	for id, r := range w.nodes {
		w.until(fmt.Sprintf("node %d sees a whole cluster", id), func() bool {
			s, err := r.Status(w.Context())
			return err == nil && len(s.Nodes) == len(w.disks) &&
				!slices.ContainsFunc(s.Groups, func(g GroupState) bool { return g.Leader == 0 || !slices.Equal(g.Voters, g.WantVoters) })
		})
	}
}

// write has every node change the directory, and all the others learn of it.
func (w *town) write(text string) {
	w.Helper()
	for id, r := range w.nodes {
		name := fmt.Sprint(text, " ", id)
		w.must(r.directory.PutTenant(w.Context(), chat.Tenant{ID: "acme", Name: name}))
		for other, o := range w.nodes {
			w.until(fmt.Sprintf("node %d knows what %d wrote", other, id), func() bool {
				list := o.directory.Tenants()
				return len(list) == 1 && list[0].Name == name
			})
		}
	}
}

// finalize is the operator's command at a node.
func (w *town) finalize(at chat.NodeID) error {
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	return w.nodes[at].finalize(ctx, nil)
}

// refuses expects an error that says all of it.
func (w *town) refuses(what string, err error, kind chat.ErrorKind, says ...string) {
	w.Helper()
	for _, word := range says {
		if err == nil || chat.KindOf(err) != kind || !strings.Contains(err.Error(), word) {
			w.Errorf("%s: %v, want %v with %q", what, err, kind, word)
		}
	}
}

// active expects every node to have come to a format.
func (w *town) active(want persistence.FormatVersion) {
	w.Helper()
	for id, r := range w.nodes {
		w.until(fmt.Sprintf("node %d has format %d", id, want), func() bool {
			s, err := r.Status(w.Context())
			return err == nil && r.store.Format() == want && s.Format == want
		})
	}
}

// TestFinalize_RollingUpgrade takes three nodes to the next build, one after another and
// one of them back in between, and finalizes: which is refused as long as a node does
// not know the format, or does not say. Then the build of before has no way in.
func TestFinalize_RollingUpgrade(t *testing.T) {
	w := newTown(t)
	for id := range chat.NodeID(3) {
		w.start(id+1, thisBuild)
	}
	w.whole()
	w.write("by one build")
	for _, step := range []struct {
		node  chat.NodeID
		build persistence.Formats
	}{{1, nextBuild}, {2, nextBuild}, {2, thisBuild}, {2, nextBuild}} {
		w.stop(step.node)
		w.start(step.node, step.build)
		w.whole()
		w.write(fmt.Sprint("by two builds ", step))
		w.active(thisBuild.Newest)
	}
	for id := range w.nodes {
		w.refuses("the third has the older build", w.finalize(id), chat.KindConflict, "format 7", "node 3 knows formats up to 6", "upgrade")
	}
	s, err := w.nodes[1].Status(t.Context())
	w.must(err)
	if line := s.FormatLine(); !strings.Contains(line, "node 3") || s.FormatNext != nextBuild.Newest || !slices.Equal(s.FormatLacking, []chat.NodeID{3}) {
		t.Errorf("status: %s, %+v", line, s)
	}
	w.stop(3)
	w.refuses("the third is down", w.finalize(1), chat.KindConflict, "node 3 does not answer", "chumi cluster remove")
	w.active(thisBuild.Newest)
	w.start(3, nextBuild)
	w.whole()
	d := w.nodes[1].directory
	w.refuses("one joined after the others were asked", d.Change(t.Context(), finalizeAmong(d.Nodes()[:2], nextBuild.Newest)), chat.KindConflict, "members", "repeat")
	w.active(thisBuild.Newest)
	w.must(w.finalize(3), w.finalize(1))
	w.active(nextBuild.Newest)
	w.write("in the new format")
	if s, err := w.nodes[2].Status(t.Context()); err != nil || s.FormatNext != 0 || s.FormatLine() != "format 7" {
		t.Errorf("status: %+v, %v", s, err)
	}
	w.stop(3)
	_, err = w.try(3, thisBuild)
	w.refuses("its data directory", err, chat.KindInvalid, "format 7", "up to 6", "start the newer binary")
	_, err = w.try(4, thisBuild)
	w.refuses("a new node", err, chat.KindOther, "the cluster at", "writes 7", "up to 6", "docs/operations.md")
}

// TestFinalize_MissedByANode: one that was down when it happened. Of the next build, it
// knows before it serves; of this one, it is told that it must end.
func TestFinalize_MissedByANode(t *testing.T) {
	w := newTown(t)
	for id := range chat.NodeID(3) {
		w.start(id+1, nextBuild)
	}
	w.whole()
	w.stop(3)
	// The check of the members was over when the node went.
	w.must(w.nodes[1].directory.Change(t.Context(), func(c *persistence.Change) error { return c.Finalize(nextBuild.Newest) }))
	w.active(nextBuild.Newest)
	old := w.start(3, thisBuild)
	select {
	case err := <-old.beyond:
		w.refuses("what it is told", err, chat.KindInvalid, "finalized to format 7", "up to 6", "start the newer binary")
	case <-time.After(patience):
		t.Error("the older build goes on")
	}
	if old.store.Format() != thisBuild.Newest {
		t.Errorf("the older build has format %d in its store", old.store.Format())
	}
	w.stop(3)
	late := w.start(3, nextBuild)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for late.Refresh(ctx) != nil && ctx.Err() == nil { // as before it is ready
		time.Sleep(forwardPause)
	}
	if cl, _ := late.directory.Cluster(); late.store.Format() != nextBuild.Newest || cl.Format != nextBuild.Newest {
		t.Errorf("before it serves, the store has format %d, the cluster %d", late.store.Format(), cl.Format)
	}
	w.write("by all")
}

// TestJoin_RefusesABuildThatCannotWriteTheFormat, whatever its own store begins with.
func TestJoin_RefusesABuildThatCannotWriteTheFormat(t *testing.T) {
	w := newTown(t)
	w.start(1, nextBuild)
	_, err := w.try(2, lastBuild)
	w.refuses("a build that is too new", err, chat.KindOther, "7 to 8", "6")
	if s, err := w.nodes[1].Status(t.Context()); err != nil || len(s.Nodes) != 1 || s.Format != thisBuild.Newest {
		t.Errorf("%+v, %v", s, err)
	}
}
