package replica_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/persistencetest"
	"github.com/chumiai/chumi/persistence/replica"
)

// A node alone lives on a disk that refuses one operation, or all of a kind from
// one on, for every operation in turn. Its life makes a store, fills memtables and
// logs with commits, and opens the store again. Where the process is told to end,
// the disk is cloned in that moment: with what was synced, and with everything.

// refusal is what a disk refuses.
type refusal struct {
	name  string
	kinds []errorfs.OpKind
	err   error
	// lasting refuses every operation from the n-th on, but none on tables: Pebble
	// repeats a flush for ever, and a store that closes or stalls meanwhile waits.
	lasting bool
}

var refusals = []refusal{
	{name: "create", kinds: []errorfs.OpKind{errorfs.OpCreate}, err: errorfs.ErrInjected},
	{name: "reuse", kinds: []errorfs.OpKind{errorfs.OpReuseForWrite}, err: errorfs.ErrInjected},
	{name: "write", kinds: []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt}, err: syscall.EIO},
	{name: "sync", kinds: []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo, errorfs.OpFileFlush}, err: syscall.EIO},
	{name: "close", kinds: []errorfs.OpKind{errorfs.OpFileClose}, err: syscall.EIO},
	{name: "remove", kinds: []errorfs.OpKind{errorfs.OpRemove}, err: errorfs.ErrInjected},
	{name: "full", kinds: []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt}, err: syscall.ENOSPC, lasting: true},
	{name: "full for a moment", kinds: []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt, errorfs.OpCreate, errorfs.OpFilePreallocate}, err: syscall.ENOSPC},
}

// refuser is a disk that refuses the n-th operation.
type refuser struct {
	refusal
	n int
	// broken is called where the engine ends the process by itself; it does not
	// return.
	broken func()
	// tables is true once the store has tables when it is opened.
	tables atomic.Bool

	mu   sync.Mutex
	seen int
	// last is the file refused last, and spoilt are all of them.
	last   string
	spoilt map[string]bool
	over   bool
}

func (r *refuser) String() string { return r.name }

// MaybeError implements errorfs.Injector.
//
// Pebble cannot go on when it cannot change to a new log, and panics with locks in
// such a state that nothing can recover: that is the end of the process. It would
// be the end of the test too, so it is taken for one where the refusal that causes
// it is certain: in the change itself, or when that closes a log that was refused
// something before. It panics as well where it cannot sync the change of a marker; and
// when it cannot open a store that has tables, it reads them with what it has given up
// already.
func (r *refuser) MaybeError(op errorfs.Op) error {
	refused := r.refuses(op)
	r.mu.Lock()
	ends := refused != nil || op.Kind == errorfs.OpFileClose && r.spoilt[op.Path]
	r.mu.Unlock()
	if ends && (within("(*DB).rotateWAL") || op.Kind == errorfs.OpFileSync && within("(*Marker).Move") || r.tables.Load() && within("pebble/v2.Open")) {
		r.broken()
	}
	return refused
}

func (r *refuser) refuses(op errorfs.Op) error {
	if !slices.Contains(r.kinds, op.Kind) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.lasting && strings.HasSuffix(op.Path, ".sst") {
		return nil
	}
	r.seen++
	if r.n == 0 || r.seen < r.n || r.seen > r.n && !r.lasting {
		return nil
	}
	r.last, r.spoilt[op.Path] = op.Path, true
	return r.err
}

// within reports whether a function of the engine is on the stack.
func within(function string) bool {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, function) {
			return true
		}
		if !more {
			return false
		}
	}
}

// refused names the operation that was refused last.
func (r *refuser) refused() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// cease lets everything through: what the process would have done after its end
// must not keep a processor busy with attempts.
func (r *refuser) cease() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	return r.seen
}

// refusing is errorfs for the files that Pebble writes to, which are also old logs
// used again, and counts closing them.
type refusing struct {
	vfs.FS
	mem  *vfs.MemFS
	disk *refuser
}

func (r refusing) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := r.FS.Create(name, c)
	if err != nil {
		return nil, err
	}
	return refusingFile{f, name, r.disk}, nil
}

func (r refusing) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := r.disk.MaybeError(errorfs.Op{Kind: errorfs.OpReuseForWrite, Path: from}); err != nil {
		return nil, err
	}
	f, err := r.mem.ReuseForWrite(from, to, c)
	if err != nil {
		return nil, err
	}
	return refusingFile{errorfs.WrapFile(f, errorfs.InjectorFunc(func(op errorfs.Op) error {
		op.Path = to
		return r.disk.MaybeError(op)
	})), to, r.disk}, nil
}

type refusingFile struct {
	vfs.File
	path string
	disk *refuser
}

func (f refusingFile) Close() error {
	if err := f.disk.MaybeError(errorfs.Op{Kind: errorfs.OpFileClose, Path: f.path}); err != nil {
		return errors.Join(err, f.File.Close())
	}
	return f.File.Close()
}

// process is a node that lives on a refuser until it is told to end.
type process struct {
	t    *testing.T
	mem  *vfs.MemFS
	disk *refuser
	told ledger
	// alive ends when the store says that the process must.
	alive context.Context
	end   context.CancelFunc
	death sync.Once
	// left are the disks at the end: synced data only, and all of it.
	left [2]*vfs.MemFS
	// late counts what was applied of what was asked after the store had said that.
	late *atomic.Int32
}

func newProcess(t *testing.T, r refusal, n int, late *atomic.Int32) *process {
	p := &process{t: t, mem: vfs.NewCrashableMem(), late: late}
	p.disk = &refuser{refusal: r, n: n, broken: p.gone, spoilt: map[string]bool{}}
	p.alive, p.end = context.WithCancel(t.Context())
	return p
}

func (p *process) options() persistence.Options {
	o := options(p.t, refusing{errorfs.Wrap(p.mem, p.disk), p.mem, p.disk})
	o.MemTableSize = 32 << 10
	o.Fatal = func(string) { p.gone() }
	return o
}

// gone is what a process does after its end.
func (p *process) gone() {
	p.finish()
	select {}
}

// finish keeps the disk as it is and ends the process.
func (p *process) finish() {
	p.death.Do(func() {
		rng := rand.New(rand.NewPCG(1, 1))
		p.left = [2]*vfs.MemFS{p.mem.CrashClone(vfs.CrashCloneCfg{}),
			p.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})}
		p.end()
	})
}

// live is the whole life. An error is a store that ends by itself, which only one
// that cannot be opened or closed does.
func (p *process) live() error {
	for _, waves := range []int{14, 2} {
		s, err := persistence.Open(p.options())
		if err != nil {
			return err
		}
		if _, err := replica.Start(s, replica.Options{Logger: quiet, Tick: time.Hour}); err != nil {
			return errors.Join(err, s.Close())
		}
		if !p.talk(s, waves) {
			<-p.alive.Done()
			p.ask(s)
			return nil
		}
		if err := s.Close(); err != nil {
			return err
		}
		p.disk.tables.Store(true)
	}
	return nil
}

// ask wants a commit of a store that has said that it failed. Nobody waits for the
// answer, which may never come, but it has until the end of the test.
func (p *process) ask(s *persistence.Store) {
	k, err := persistencetest.NewPerson(s, cutTenants[0], 99)
	if err != nil {
		return
	}
	if r, err := s.Append(context.Background(), k.Message("too late")); err == nil && r.Answer == chat.Applied {
		p.late.Add(1)
	}
}

// talk lets three people of three tenants write at once, waves times. False means
// that the store failed.
func (p *process) talk(s *persistence.Store, waves int) bool {
	d, err := persistence.OpenDirectory(p.alive, s, chat.Settings{})
	if err != nil {
		return p.unless(err)
	}
	var people []*persistencetest.Person
	for n, id := range cutTenants[:3] {
		if err := d.PutTenant(p.alive, chat.Tenant{ID: id}); err != nil {
			return p.unless(err)
		}
		k, err := persistencetest.NewPerson(s, id, n)
		if err != nil {
			return p.unless(err)
		}
		if state, found, err := s.Load(id, k.Place.Conversation); err != nil {
			return p.unless(err)
		} else if found {
			k.State = state
		}
		people = append(people, k)
	}
	for range waves {
		wrong := make([]error, len(people))
		var wave sync.WaitGroup
		for i, k := range people {
			wave.Go(func() { wrong[i] = p.say(s, k) })
		}
		wave.Wait()
		if err := errors.Join(wrong...); err != nil {
			return p.unless(err)
		}
	}
	return true
}

// unless reports err, which only a store that failed may give.
func (p *process) unless(err error) bool {
	if p.alive.Err() == nil {
		p.t.Errorf("neither did it work nor did the store fail: %v", err)
		p.finish()
	}
	return false
}

func (p *process) say(s *persistence.Store, k *persistencetest.Person) error {
	c := k.Message(fmt.Sprint(k.State.Seq, strings.Repeat(" and so on", 200)))
	r, err := s.Append(p.alive, c)
	if err != nil {
		return err
	}
	if r.Answer != chat.Applied {
		return fmt.Errorf("answered %v", r.Answer)
	}
	k.Adopt(c)
	first := r.Pos - chat.Pos(len(c.Events)) + 1
	for i, e := range c.Events {
		a := acked{tenant: c.Tenant, conversation: e.Conversation, seq: e.Seq, pos: first + chat.Pos(i)}
		if e.Message != nil {
			a.text = e.Message.Text
		}
		p.told.add(a)
	}
	return nil
}

// run lives, and waits for the end of it.
func (p *process) run() (seen int) {
	over := make(chan error, 1)
	go func() { over <- p.live() }()
	select {
	case <-p.alive.Done():
	case err := <-over:
		if err != nil && p.disk.refused() == "" {
			p.t.Errorf("nothing was refused: %v", err)
		}
		p.finish()
	case <-time.After(20 * time.Second):
		p.t.Errorf("it hangs")
		p.finish()
	}
	return p.disk.cease()
}

// judge opens what is left of the disk: everything promised is there, and the
// store takes more.
func (p *process) judge() {
	t := p.t
	list := p.told.copy()
	for i, disk := range p.left {
		func() {
			defer func() {
				if t.Failed() {
					t.Logf("the %d. %s was refused, on %s; %d events were promised; disk %d", p.disk.n, p.disk.name, p.disk.refused(), len(list), i)
				}
			}()
			s := start(t, options(t, disk), replica.Options{Tick: time.Hour})
			defer closed(t, s)
			if gone := lost(t, s, list); gone > 0 {
				t.Fatalf("%d promised events are lost", gone)
			}
			admit(t, s, "zeta")
			say(t, person(t, s, "zeta", 1), "it goes on")
		}()
	}
}

// Whatever a disk refuses, and whenever: what was answered is there afterwards,
// and the store goes on or says that it cannot. CHUMI_CUTS=1000 tries every
// operation, the default every few.
func TestCrash_WhateverTheDiskRefuses(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			var late atomic.Int32
			whole := newProcess(t, r, 0, &late)
			operations := whole.run()
			whole.judge()
			promised := len(whole.told.copy())
			if t.Failed() || operations == 0 || promised == 0 {
				t.Fatalf("%d operations in a life without refusals, %d events promised", operations, promised)
			}
			ended := 0
			for n := 1; n <= operations && !t.Failed(); n += 1 + 2*operations/cuts(t) {
				p := newProcess(t, r, n, &late)
				p.run()
				p.judge()
				if len(p.told.copy()) < promised {
					ended++
				}
			}
			if n := late.Load(); n > 0 {
				t.Errorf("%d commits were applied after their store had failed", n)
			}
			t.Logf("%d operations, %d lives ended early", operations, ended)
		})
	}
}
