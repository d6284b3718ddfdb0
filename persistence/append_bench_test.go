package persistence

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// BenchmarkAppend is 64 goroutines that look up and append one message at a
// time to 8192 conversations of 8 tenants, in a store on the real file system.
// cpu-us/op is user and system time of the whole process, with compactions.
func BenchmarkAppend(b *testing.B) {
	o := testOptions(b, vfs.Default)
	o.Dir, o.Groups, o.MemTableSize, o.CacheSize = b.TempDir(), DefaultGroups, 0, 0
	s := openTest(b, o)
	defer s.Close()
	const width, each = 64, 128
	talkers := make([]*talker, width*each)
	var wg sync.WaitGroup
	for w := range width {
		tenant := chat.TenantID(fmt.Sprintf("tenant%d", w%8))
		ensure(b, s, tenant)
		wg.Go(func() {
			for i := range each {
				k := newTalker(b, s, tenant, w*each+i)
				k.say(b, "hello")
				talkers[w*each+i] = k
			}
		})
	}
	wg.Wait()
	text := strings.Repeat("x", 120)
	b.ResetTimer()
	from := cpuTime()
	for w := range width {
		n := b.N / width
		if w < b.N%width {
			n++
		}
		wg.Go(func() {
			for i := range n {
				k := talkers[w*each+i*37%each]
				c := k.next(text)
				if p, err := s.Locate(k.state.Tenant, "wa", []chat.Address{k.addr}); err != nil || !p.Found {
					b.Error(p.Found, err)
					return
				}
				if _, found, err := s.Row(k.state.Tenant, "wa", c.Rows[0].Remote, ""); err != nil || found {
					b.Error(found, err)
					return
				}
				r, err := s.Append(context.Background(), c)
				if err != nil || r.Answer != chat.Applied {
					b.Error(r.Answer, err)
					return
				}
				k.state = *c.State
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-from).Microseconds())/float64(b.N), "cpu-us/op")
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBare is the bound: 64 goroutines that each write a body of 900 bytes
// and a dedupe key of 16, blindly, with one sync per batch of two rows.
func BenchmarkBare(b *testing.B) {
	o := testOptions(b, vfs.Default)
	o.Dir, o.MemTableSize, o.CacheSize = b.TempDir(), 0, 0
	s := openTest(b, o)
	defer s.Close()
	const width = 64
	body := make([]byte, 900)
	b.ResetTimer()
	from := cpuTime()
	var wg sync.WaitGroup
	for w := range width {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 0))
			for i := range b.N / width {
				batch := s.db.NewBatch()
				dedupe := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{9}, rng.Uint64()), rng.Uint64())
				err := errors.Join(batch.Set(fmt.Appendf([]byte{8}, "%d/%d", w, i), body, nil),
					batch.Set(dedupe, nil, nil), batch.Commit(pebble.Sync), batch.Close())
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64((cpuTime()-from).Microseconds())/float64(b.N), "cpu-us/op")
}
