package replica_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// A snapshot is installed, or a group left, on a disk that loses power between
// every two operations that change it. The operation happens once; before each of
// the node's file operations, and after the last, the disk is cloned as it would be
// without power, and every clone is opened, looked at, and lived on.

// mute is a transport to nobody.
type mute struct{}

func (mute) Send([]replica.Message) {}
func (mute) SendSnapshot(context.Context, chat.NodeID, []byte, io.Reader) error {
	return errors.New("unreachable")
}

// streamed is a snapshot on the wire.
type streamed struct {
	header, body []byte
	index, term  uint64
}

// tap is a wire on which snapshots of a group are looked at and go no further.
type tap struct {
	wire
	group chat.Group
	seen  chan streamed
}

func (w tap) SendSnapshot(_ context.Context, _ chat.NodeID, header []byte, body io.Reader) error {
	all, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	m := new(raftpb.Message)
	if err := proto.Unmarshal(header[6:], m); err != nil {
		return err
	}
	if chat.Group(binary.BigEndian.Uint16(header)) == w.group {
		at := m.GetSnapshot().GetMetadata()
		select {
		case w.seen <- streamed{bytes.Clone(header), all, at.GetIndex(), m.GetTerm()}:
		default:
		}
	}
	return errors.New("the test keeps the snapshot")
}

// sleeper is node 3 of three, which slept through a change of leaders and more than
// the log: its disk, and two snapshots that it would get, the later one last.
type sleeper struct {
	disk    *vfs.MemFS
	group   chat.Group
	streams [2]streamed
}

const sleeperLog = 8

func sleeperOptions() replica.Options {
	return replica.Options{ID: 3, Voters: three, Transport: mute{}, Logger: quiet, Tick: time.Hour, LogLen: sleeperLog}
}

func newSleeper(t *testing.T) *sleeper {
	t.Helper()
	c := newCluster(t)
	c.log = sleeperLog
	d := &sleeper{}
	seen := make(chan streamed, 1)
	for _, id := range three {
		n := c.start(id, vfs.NewCrashableMem(), replica.Options{Voters: three})
		d.group = n.store.Group("acme")
	}
	other := chat.TenantID("")
	for _, id := range cutTenants[1:] {
		if c.nodes[1].store.Group(id) != d.group {
			other = id
		}
	}
	c.admit("acme")
	c.admit(other)
	p, q := person(t, c.leader(d.group).store, "acme", 1), person(t, c.leader(0).store, other, 1)
	for i := range 12 {
		c.say(p, fmt.Sprint("old ", i))
		c.say(q, fmt.Sprint("beside ", i))
	}
	slept := c.stop(3).(*vfs.MemFS)
	d.disk = slept.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
	d.lengthen(t)
	// The others go on, under another leader, with taps.
	for _, id := range three[:2] {
		n := c.nodes[id]
		fs := c.stop(id)
		s, err := persistence.Open(options(t, fs))
		if err != nil {
			t.Fatal(err)
		}
		n.store = s
		n.node, err = replica.Start(s, replica.Options{ID: id, Voters: three, Transport: tap{wire{c, id}, d.group, seen}, Logger: quiet,
			Tick: 20 * time.Millisecond, LogLen: sleeperLog})
		if err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		c.nodes[id] = n
		c.mu.Unlock()
	}
	say := func(n int) {
		for i := range n {
			c.say(p, fmt.Sprint("new ", i, strings.Repeat(" and so on", 400)))
		}
	}
	say(40)
	c.start(3, slept, replica.Options{Voters: three})
	d.streams[0] = <-seen
	say(10)
	for d.streams[1].index <= d.streams[0].index {
		d.streams[1] = <-seen
	}
	return d
}

// lengthen gives the sleeper's log an entry that nobody else has, and leaves it
// with everything known and nothing to do.
func (d *sleeper) lengthen(t *testing.T) {
	t.Helper()
	before := uint64(0)
	for last := uint64(1); last != before; {
		before = last
		s := startOn(t, d.disk)
		st := statusOf(t, s.node, d.group)
		if last == 1 {
			s.node.Receive([]replica.Message{{Group: d.group, Message: &raftpb.Message{Type: raftpb.MsgApp.Enum(), From: new(uint64(1)),
				To: new(uint64(3)), Term: new(st.Term), Index: new(st.Last), LogTerm: new(st.Term), Commit: new(st.Applied),
				Entries: []*raftpb.Entry{{Index: new(st.Last + 1), Term: new(st.Term)}}}}})
			for end := time.Now().Add(10 * time.Second); statusOf(t, s.node, d.group).Last != st.Last+1; {
				if time.Now().After(end) {
					t.Fatal("the entry is not taken")
				}
			}
		}
		last = statusOf(t, s.node, d.group).Last
		closed(t, s.store)
	}
}

func startOn(t *testing.T, fs vfs.FS) *clusterNode {
	t.Helper()
	s, err := persistence.Open(options(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	n, err := replica.Start(s, sleeperOptions())
	if err != nil {
		t.Fatal(err)
	}
	return &clusterNode{id: 3, fs: fs, store: s, node: n}
}

func statusOf(t *testing.T, n *replica.Node, g chat.Group) replica.Status {
	t.Helper()
	for _, s := range n.Status() {
		if s.Group == g {
			return s
		}
	}
	t.Fatal("there is no such group")
	return replica.Status{}
}

// image is what a disk has of a group, and of all others.
type image struct {
	rows, log, others string
	term, vote        uint64
}

func imageOf(t testing.TB, s *persistence.Store, g chat.Group) (i image) {
	t.Helper()
	for _, o := range s.GroupIDs() {
		if o == g {
			continue
		}
		i.others += fmt.Sprint(o, content(t, s, o), span(t, s, persistence.AppendRaft(nil, o)), "\n")
	}
	hard, closer, err := s.DB().Get(persistence.AppendHardState(nil, g))
	if err != nil {
		t.Fatal(err)
	}
	defer closer.Close()
	i.term, i.vote = binary.BigEndian.Uint64(hard), binary.BigEndian.Uint64(hard[8:])
	i.rows = content(t, s, g)
	i.log = span(t, s, persistence.AppendLog(nil, g)) + span(t, s, persistence.AppendTruncated(nil, g))
	return i
}

// span prints all rows that start with prefix.
func span(t testing.TB, s *persistence.Store, prefix []byte) string {
	t.Helper()
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: persistence.PrefixEnd(prefix)})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&b, "%x=%x ", it.Key(), it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// powerCut is a disk without power, and between which operations it went.
type powerCut struct {
	disk    *vfs.MemFS
	percent int
	before  string
}

// cutter is a disk that is cloned before every operation that changes it.
type cutter struct {
	vfs.FS
	mem *vfs.MemFS

	mu     sync.Mutex
	armed  bool
	rng    *rand.Rand
	n      int
	cuts   []powerCut
	synced bool
	// tables counts the tables that a snapshot, or the end of a group, is made of.
	tables int
}

// newCutter cuts the power of disk. lie names files whose syncs do nothing once it
// is armed.
func newCutter(disk *vfs.MemFS, lie func(name string) bool) *cutter {
	c := &cutter{mem: disk.CrashClone(vfs.CrashCloneCfg{}), rng: rand.New(rand.NewPCG(3, 3)), synced: true}
	c.FS = errorfs.Wrap(liar{c.mem, c, lie}, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFilePreallocate {
			c.cut(op)
		}
		return nil
	}))
	return c
}

// cut clones the disk: with what was synced, if that may have changed, and with
// half, or nearly all, of the rest.
func (c *cutter) cut(op errorfs.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed {
		return
	}
	c.n++
	if op.Kind == errorfs.OpCreate && strings.Contains(op.Path, "incoming") {
		c.tables++
	}
	before := fmt.Sprintf("operation %d, %d on %s", c.n, op.Kind, op.Path)
	if c.synced {
		c.cuts = append(c.cuts, powerCut{c.mem.CrashClone(vfs.CrashCloneCfg{}), 0, before})
	}
	some := 50
	if c.n%2 == 0 {
		some = 99
	}
	c.cuts = append(c.cuts, powerCut{c.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: some, RNG: c.rng}), some, before})
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileClose:
		c.synced = true
	default:
		// Another goroutine's sync may have been under way.
		c.synced = c.n%4 == 0
	}
}

// pause cuts the power while nothing happens, and numbers that as an operation.
func (c *cutter) pause(why string) int {
	c.mu.Lock()
	c.synced = true
	c.mu.Unlock()
	c.cut(errorfs.Op{Path: why})
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

func (c *cutter) arm(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = on
}

// liar answers syncs of some files without doing them.
type liar struct {
	vfs.FS
	of    *cutter
	about func(name string) bool
}

func (l liar) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, c)
	if err == nil && l.about != nil && l.about(name) {
		f = liedAbout{f, l.of}
	}
	return f, err
}

type liedAbout struct {
	vfs.File
	of *cutter
}

func (f liedAbout) SyncData() error            { return f.Sync() }
func (f liedAbout) SyncTo(int64) (bool, error) { return true, f.Sync() }
func (f liedAbout) Sync() error {
	f.of.mu.Lock()
	defer f.of.mu.Unlock()
	if f.of.armed {
		return nil
	}
	return f.File.Sync()
}

// deed is what is done on a disk that loses power.
type deed struct {
	// do does it and reports whether it was acknowledged.
	do func(*sleeper, *clusterNode) error
	// again does it on a disk where it may have happened or not.
	again func(*sleeper, *clusterNode) error
	// tables are how many it should take at least.
	tables int
}

var installing = deed{
	tables: 4,
	do:     func(d *sleeper, n *clusterNode) error { return d.receive(n, 0) },
}

var leaving = deed{
	tables: 2,
	do: func(d *sleeper, n *clusterNode) error {
		left, err := n.node.Leave(d.removed())
		if err == nil && !left {
			err = errors.New("the group was not left")
		}
		return err
	},
	again: func(d *sleeper, n *clusterNode) error {
		_, err := n.node.Leave(d.removed())
		return err
	},
}

func (d *sleeper) receive(n *clusterNode, which int) error {
	return n.node.ReceiveSnapshot(context.Background(), d.streams[which].header, bytes.NewReader(d.streams[which].body))
}

// removed is the account of a leader that has removed node 3.
func (d *sleeper) removed() replica.Status {
	return replica.Status{Group: d.group, Leader: 1, Term: d.streams[0].term, Applied: d.streams[0].index, Voters: three[:2]}
}

// everyCut does a deed, cutting the power at every moment, and returns what is
// wrong with the disks that were left. An empty want becomes what the disk holds
// before and after.
func (d *sleeper) everyCut(t *testing.T, todo deed, f replica.Fault, lie func(string) bool, want *[2]image) (disk *cutter, wrong []string) {
	t.Helper()
	disk = newCutter(d.disk, lie)
	n := startOn(t, disk)
	n.node.Plant(f)
	if want[0].rows == "" {
		want[0] = imageOf(t, n.store, d.group)
	}
	disk.arm(true)
	if err := todo.do(d, n); err != nil {
		t.Fatal(err)
	}
	acknowledged := disk.pause("nothing: it is acknowledged")
	if want[1].rows == "" {
		want[1] = imageOf(t, n.store, d.group)
	}
	closed(t, n.store)
	disk.pause("nothing: the store is closed")
	disk.arm(false)
	done := false // on the disk, by what is certainly there
	for i, cut := range disk.cuts {
		at := fmt.Sprintf("%s, with %d %% of what was not synced", cut.before, cut.percent)
		disk.cuts[i].disk = nil // for the garbage
		v := d.judge(todo, cut.disk, want)
		var number int
		_, _ = fmt.Sscanf(cut.before, "operation %d", &number)
		switch {
		case v.wrong != nil:
		case number >= acknowledged && !v.done:
			v.wrong = errors.New("what was acknowledged is gone")
		case done && !v.done:
			v.wrong = errors.New("what was durable is gone")
		}
		done = done || v.done && cut.percent == 0
		if v.wrong != nil {
			wrong = append(wrong, at+": "+v.wrong.Error())
		}
	}
	return disk, wrong
}

// verdict is what became of a disk.
type verdict struct {
	done  bool
	wrong error
}

// judge opens a disk that lost power, holds it against what it should be, and goes
// on: the deed again, and the later snapshot.
func (d *sleeper) judge(todo deed, disk *vfs.MemFS, want *[2]image) (v verdict) {
	// The end of a helper's test is the end of the goroutine.
	jury := &jury{}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		v = d.examine(jury, todo, disk, want)
	}()
	<-finished
	if v.wrong == nil && len(jury.said) > 0 {
		v.wrong = errors.New(strings.Join(jury.said, "; "))
	}
	return v
}

// jury is a testing.TB that keeps its verdict to itself.
type jury struct {
	testing.TB
	mu   sync.Mutex
	said []string
}

func (j *jury) Helper()           {}
func (j *jury) Fatal(args ...any) { j.Error(args...); runtime.Goexit() }
func (j *jury) Error(args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.said = append(j.said, fmt.Sprint(args...))
}

func (d *sleeper) examine(j *jury, todo deed, disk *vfs.MemFS, want *[2]image) (v verdict) {
	o := options(j, disk)
	o.Fatal = func(reason string) { j.Error("the store must end: " + reason) }
	s, err := persistence.Open(o)
	if err != nil {
		return verdict{wrong: err}
	}
	defer s.Close()
	got := imageOf(j, s, d.group)
	old, next := got, got
	old.term, old.vote, next.term, next.vote = want[0].term, want[0].vote, want[1].term, want[1].vote
	switch {
	case next == want[1]:
		v.done = true
		if got != next {
			return verdict{wrong: fmt.Errorf("term %d and vote %d behind it, want %d and %d", got.term, got.vote, next.term, next.vote)}
		}
	case old != want[0]:
		return verdict{wrong: fmt.Errorf("neither what was nor what shall be: %s, was %s, shall be %s", got.rows, want[0].rows, want[1].rows)}
	case got != old && (got.term != want[1].term || got.vote != want[1].vote):
		return verdict{wrong: fmt.Errorf("term %d and vote %d, were %d and %d", got.term, got.vote, old.term, old.vote)}
	}
	checked(j, s)
	node, err := replica.Start(s, sleeperOptions())
	if err != nil {
		return verdict{wrong: err}
	}
	n := &clusterNode{id: 3, store: s, node: node}
	for _, st := range node.Status() {
		if st.Group == d.group && (st.Term != got.term || st.Last < st.Applied || st.First > st.Applied+1) {
			return verdict{wrong: fmt.Errorf("the log does not go with what is applied: %+v", st)}
		}
	}
	if todo.again != nil {
		if err := todo.again(d, n); err != nil {
			return verdict{wrong: err}
		}
		if again := imageOf(j, s, d.group); again.rows != want[1].rows || again.log != want[1].log {
			return verdict{wrong: errors.New("done again, it gives something else")}
		}
	}
	if err := d.receive(n, 1); err != nil {
		return verdict{wrong: err}
	}
	for _, st := range node.Status() {
		if st.Group == d.group && (st.Applied != d.streams[1].index || st.Last != st.Applied || len(st.Voters) != 3) {
			return verdict{wrong: fmt.Errorf("after the next snapshot: %+v", st)}
		}
	}
	if after := imageOf(j, s, d.group); after.others != want[0].others {
		return verdict{wrong: errors.New("other groups changed")}
	}
	checked(j, s)
	return v
}

// Wherever the power goes, a snapshot is there or it is not, and so is the end of a
// group; term and vote stay, other groups do not notice, and the next snapshot is
// taken. Mistakes of ours and of the disk are noticed.
func TestEveryPowerCut_LeavesOldOrNew(t *testing.T) {
	replica.SmallTables(t, 48<<10)
	d := newSleeper(t)
	unsynced := func(part string) func(string) bool {
		return func(name string) bool { return strings.Contains(name, part) }
	}
	for name, todo := range map[string]deed{"install": installing, "leave": leaving} {
		t.Run(name, func(t *testing.T) {
			var want [2]image
			disk, wrong := d.everyCut(t, todo, 0, nil, &want)
			for _, w := range wrong {
				t.Error(w)
			}
			t.Logf("power cuts before %d operations, %d disks, %d tables", disk.n, len(disk.cuts), disk.tables)
			if disk.n < 15 || disk.tables < todo.tables || want[0].rows == want[1].rows || want[0].log == want[1].log ||
				name == "install" && want[0].term == want[1].term {
				t.Errorf("from %s in term %d to %s in term %d: the test proves little", want[0].rows, want[0].term, want[1].rows, want[1].term)
			}
			for _, planted := range []struct {
				name  string
				fault replica.Fault
				lie   func(string) bool
			}{
				{"a snapshot that does not say its place", replica.FaultSnapshotUnplaced, nil},
				{"a log that stays", replica.FaultLogKept, nil},
				{"tables that are not synced", 0, unsynced("incoming")},
				{"a manifest that is not synced", 0, unsynced("MANIFEST")},
			} {
				if name == "leave" && planted.fault == replica.FaultSnapshotUnplaced {
					continue // no snapshot is in it
				}
				if _, wrong := d.everyCut(t, todo, planted.fault, planted.lie, &want); len(wrong) == 0 {
					t.Errorf("not noticed: %s", planted.name)
				} else {
					t.Logf("%s: noticed %d times, first %.200s", planted.name, len(wrong), wrong[0])
				}
			}
		})
	}
}
