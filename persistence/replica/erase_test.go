package replica_test

import (
	"bytes"
	"context"
	"encoding/base32"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
)

// What was sealed of a person who is erased, and the key of it, goes from the disk of
// every node: its tables, its log, its write-ahead logs; also from one that was down.
func TestCluster_EraseReachesEveryDisk(t *testing.T) {
	c := newCluster(t)
	for _, id := range three {
		c.start(id, vfs.NewMem(), replica.Options{Voters: three})
	}
	c.admit("acme")
	p, other := person(t, c.leader(0).store, "acme", 1), person(t, c.leader(0).store, "acme", 2)
	var said []string
	for i := range 20 {
		said = append(said, fmt.Sprint("canary ", i))
		c.say(p, said[i])
		c.say(other, said[i])
	}
	group := p.Store.Group("acme")
	c.agree(p, said)
	c.agree(other, said)
	led := c.leader(group)
	secrets := sealedOf(t, led.store, p.Place.Conversation)
	kept := sealedOf(t, led.store, other.Place.Conversation)
	if len(secrets) < 20 {
		t.Fatalf("the test finds %d sealed records", len(secrets))
	}
	for _, n := range c.nodes {
		if holding(t, n.fs, secrets) == 0 {
			t.Fatalf("the test cannot see ciphertext on the disk of node %d", n.id)
		}
	}
	var down chat.NodeID
	for _, id := range three {
		if id != led.id {
			down = id
		}
	}
	fs := c.stop(down)
	c.eventually("the person is erased", func() bool {
		led := c.leader(group)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := led.store.BeginErase(ctx, "acme", p.Place.Contact)
		return err == nil
	})
	c.start(down, fs, replica.Options{Voters: three})
	for _, n := range c.nodes {
		c.eventually(fmt.Sprintf("node %d gives up what it holds", n.id), func() bool {
			at, err := n.store.ErasedAt("acme", p.Place.Contact)
			return err == nil && !at.IsZero() && n.store.Unshredded(group) == 0
		})
		if found := holding(t, n.fs, secrets); found > 0 {
			t.Errorf("node %d still holds %d of %d sealed records", n.id, found, len(secrets))
		}
		if holding(t, n.fs, kept) == 0 {
			t.Errorf("node %d lost what it holds of another person", n.id)
		}
		checked(t, n.store)
	}
	c.say(other, "after")
	c.agree(other, append(said, "after"))
}

// sealedOf is the ciphertext of a conversation's records.
func sealedOf(t *testing.T, s *persistence.Store, id chat.ConversationID) (list [][]byte) {
	t.Helper()
	raw, err := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding).DecodeString(id.Body())
	if err != nil {
		t.Fatal(err)
	}
	start, end := persistence.GroupSpan(s.Group("acme"))
	it, err := s.DB().NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = it.Close() }()
	for it.First(); it.Valid(); it.Next() {
		key := it.Key()
		if v := it.Value(); bytes.HasPrefix(key[3:], append([]byte("Tacme\x00e"), raw...)) && len(v) > 60 {
			list = append(list, bytes.Clone(v[len(v)-40:]))
		}
	}
	return list
}

// holding counts the records that a file of the node holds.
func holding(t *testing.T, fs vfs.FS, records [][]byte) (n int) {
	t.Helper()
	var files [][]byte
	var walk func(dir string)
	walk = func(dir string) {
		names, err := fs.List(dir)
		if err != nil {
			return
		}
		for _, name := range names {
			path := fs.PathJoin(dir, name)
			info, err := fs.Stat(path)
			if err != nil {
				continue // gone meanwhile
			}
			if info.IsDir() {
				walk(path)
				continue
			}
			f, err := fs.Open(path)
			if err != nil {
				continue
			}
			b := make([]byte, info.Size())
			_, _ = f.ReadAt(b, 0)
			_ = f.Close()
			files = append(files, b)
		}
	}
	walk("data")
	for _, r := range records {
		for _, b := range files {
			if bytes.Contains(b, r) {
				n++
				break
			}
		}
	}
	return n
}
