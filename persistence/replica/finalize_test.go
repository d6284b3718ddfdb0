package replica_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
)

// The builds of an upgrade: the next one knows a format that this one does not.
var (
	thisBuild = persistence.Formats{Oldest: persistence.FormatOldest, Newest: persistence.FormatNewest}
	nextBuild = persistence.Formats{Oldest: persistence.FormatOldest, Newest: persistence.FormatNewest + 1}
)

// upgrading is a cluster of which the third node has still this build.
type upgrading struct {
	*cluster
	ends chan string
	// refused is the first snapshot's error, installed how many had none.
	refused   atomic.Pointer[error]
	installed atomic.Int32

	p    *persistencetest.Person
	said []string
}

func newUpgrading(t *testing.T, log uint64) *upgrading {
	u := &upgrading{cluster: newCluster(t), ends: make(chan string, 8)}
	u.log = log
	u.snapshot = func(err error) {
		if err != nil {
			u.refused.CompareAndSwap(nil, &err)
		} else {
			u.installed.Add(1)
		}
	}
	u.builds = map[chat.NodeID]persistence.Formats{1: nextBuild, 2: nextBuild, 3: thisBuild}
	u.fatal = func(id chat.NodeID, reason string) { u.ends <- fmt.Sprint(id, ": ", reason) }
	for _, id := range three {
		u.start(id, vfs.NewMem(), replica.Options{Voters: three})
	}
	u.admit("acme")
	u.change(func(c *persistence.Change) error {
		s := u.nodes[1].store
		return c.PutCluster(persistence.Cluster{ID: "home", KEK: s.KeyFingerprint(), Groups: s.Groups()})
	})
	u.p = person(t, u.leader(0).store, "acme", 1)
	return u
}

// change makes a change of the directory through whoever leads it.
func (u *upgrading) change(fill func(*persistence.Change) error) {
	u.t.Helper()
	u.eventually("the directory is changed", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		d, err := persistence.OpenDirectory(ctx, u.leader(persistence.MetaGroup).store, chat.Settings{})
		return err == nil && d.Change(ctx, fill) == nil
	})
}

func (u *upgrading) tell(text string) {
	u.t.Helper()
	u.said = append(u.said, text)
	u.say(u.p, text)
}

// formats expects every node to have come to a format, in its store and for the cluster.
func (u *upgrading) formats(want persistence.FormatVersion) {
	u.t.Helper()
	for id, n := range u.nodes {
		u.eventually(fmt.Sprintf("node %d has format %d", id, want), func() bool {
			known, err := persistence.ReadMembership(n.store)
			return err == nil && n.store.Format() == want && known.Cluster.Format == want
		})
	}
}

func finalize(c *persistence.Change) error { return c.Finalize(nextBuild.Newest) }

// TestCluster_FinalizesWhatMixedBuildsWrote: builds of two formats replicate to each
// other, whoever leads, until the cluster is finalized. A node that was down meanwhile
// learns of it with what it lacks.
func TestCluster_FinalizesWhatMixedBuildsWrote(t *testing.T) {
	u := newUpgrading(t, 0)
	for _, id := range three {
		u.leadAll(u.nodes[id])
		u.tell(fmt.Sprint("led by ", id))
	}
	u.agree(u.p, u.said)
	u.formats(thisBuild.Newest)
	// Back to the version of before, while that is possible.
	fs := u.stop(1)
	u.builds[1] = thisBuild
	u.start(1, fs, replica.Options{Voters: three})
	u.tell("with the first node as before")
	fs = u.stop(1)
	u.builds[1] = nextBuild
	u.start(1, fs, replica.Options{Voters: three})

	third := u.stop(3)
	u.change(finalize)
	u.tell("in the new format")
	u.formats(nextBuild.Newest)
	u.builds[3] = nextBuild
	u.start(3, third, replica.Options{Voters: three})
	u.formats(nextBuild.Newest)
	u.leadAll(u.nodes[3])
	u.tell("led by 3 again")
	u.agree(u.p, u.said)
	for _, n := range u.nodes {
		checked(t, n.store)
	}
	select {
	case reason := <-u.ends:
		t.Error(reason)
	default:
	}
}

// TestCluster_FinalizeEndsWhoDoesNotKnowTheFormat: should a node get the entry all the
// same, because it went back to the version of before in that moment, it ends with
// nothing of the new format in its store. The next build goes on with that.
func TestCluster_FinalizeEndsWhoDoesNotKnowTheFormat(t *testing.T) {
	u := newUpgrading(t, 0)
	u.leadAll(u.nodes[1])
	u.change(finalize)
	select {
	case reason := <-u.ends:
		if reason != "3: a pass cannot be finished" {
			t.Error(reason)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the third node goes on")
	}
	u.tell("in the new format")
	third := u.stop(3)
	o := options(t, third)
	s, err := persistence.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if known, err := persistence.ReadMembership(s); err != nil || s.Format() != thisBuild.Newest || known.Cluster.Format != thisBuild.Newest {
		t.Errorf("its store has format %d, of the cluster %d, %v", s.Format(), known.Cluster.Format, err)
	}
	closed(t, s)
	u.builds[3] = nextBuild
	u.start(3, third, replica.Options{Voters: three})
	u.formats(nextBuild.Newest)
	u.agree(u.p, u.said)
}

// TestCluster_SnapshotHasTheFormat: who is too far behind for the log learns the format
// with the first group it gets, and who does not know it gets none.
func TestCluster_SnapshotHasTheFormat(t *testing.T) {
	u := newUpgrading(t, 8)
	third := u.stop(3)
	u.change(finalize)
	for i := range 40 {
		u.tell(fmt.Sprint("in the new format ", i))
		u.change(func(c *persistence.Change) error {
			return c.PutTenant(chat.Tenant{ID: "acme", Name: fmt.Sprint("Acme ", i)})
		})
	}
	// A transport keeps this build from the others, see package peer; without one:
	u.refused.Store(nil)
	n := u.start(3, third, replica.Options{Voters: three})
	u.eventually("a snapshot is refused", func() bool { return u.refused.Load() != nil || len(u.ends) > 0 })
	if len(u.ends) > 0 {
		t.Fatal(<-u.ends)
	}
	if err := *u.refused.Load(); chat.KindOf(err) != chat.KindInvalid || !strings.Contains(err.Error(), "formats up to 6") {
		t.Errorf("a snapshot to who does not know its format: %v", err)
	}
	if n.store.Format() != thisBuild.Newest {
		t.Errorf("the store has format %d", n.store.Format())
	}
	u.stop(3)
	u.builds[3] = nextBuild
	u.installed.Store(0)
	n = u.start(3, third, replica.Options{Voters: three})
	u.eventually("a snapshot is installed", func() bool { return u.installed.Load() > 0 })
	if n.store.Format() != nextBuild.Newest {
		t.Errorf("with a snapshot in the new format the store has format %d", n.store.Format())
	}
	u.formats(nextBuild.Newest)
	u.agree(u.p, u.said)
	u.stop(3)
	if _, err := persistence.Open(options(t, third)); chat.KindOf(err) != chat.KindInvalid {
		t.Errorf("this build opens the store: %v", err)
	}
}
