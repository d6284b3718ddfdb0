package replica_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// gate is a file system whose log syncs can be held up or made to fail.
type gate struct {
	vfs.FS
	mu      sync.Mutex
	open    *sync.Cond
	closed  bool
	blocked chan struct{}
	broken  atomic.Bool
}

func newGate(fs vfs.FS) *gate {
	g := &gate{FS: fs, blocked: make(chan struct{}, 1024)}
	g.open = sync.NewCond(&g.mu)
	return g
}

// shut holds up log syncs until release is called.
func (g *gate) shut() (release func()) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	return func() {
		g.mu.Lock()
		g.closed = false
		g.mu.Unlock()
		g.open.Broadcast()
	}
}

// waitBlocked returns when a sync is being held up.
func (g *gate) waitBlocked() { <-g.blocked }

func (g *gate) pass() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		g.blocked <- struct{}{}
	}
	for g.closed {
		g.open.Wait()
	}
	if g.broken.Load() {
		return errors.New("injected: input/output error")
	}
	return nil
}

func (g *gate) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &gatedFile{File: f, gate: g}, nil
}

func (g *gate) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.Create(name, c)
	return g.wrap(name, f, err)
}

func (g *gate) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(from, to, c)
	return g.wrap(to, f, err)
}

type gatedFile struct {
	vfs.File
	gate *gate
}

func (f *gatedFile) Sync() error {
	if err := f.gate.pass(); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *gatedFile) SyncData() error {
	if err := f.gate.pass(); err != nil {
		return err
	}
	return f.File.SyncData()
}
