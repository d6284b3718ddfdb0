package persistence

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/chumiai/chumi/chat"
)

// BenchmarkAppend is 64 conversations of 8 tenants that append one message at a
// time to a store on the real file system. cpu-us/op is user and system time of
// the whole process, compactions included.
func BenchmarkAppend(b *testing.B) {
	o := testOptions(b, vfs.Default)
	o.Dir, o.Groups, o.MemTableSize, o.CacheSize = b.TempDir(), DefaultGroups, 0, 0
	s := openTest(b, o)
	defer s.Close()
	const width = 64
	talkers := make([]*talker, width)
	for i := range talkers {
		tenant := chat.TenantID(fmt.Sprintf("tenant%d", i%8))
		ensure(b, s, tenant)
		talkers[i] = newTalker(b, s, tenant, i)
		talkers[i].say(b, "hello")
	}
	text := strings.Repeat("x", 120)
	b.ResetTimer()
	from := cpuTime()
	var wg sync.WaitGroup
	for i, k := range talkers {
		n := b.N / width
		if i < b.N%width {
			n++
		}
		wg.Go(func() {
			for range n {
				c := k.next(text)
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
