package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

const (
	// threadsMin: a goroutine in fdatasync keeps its processor until the runtime
	// takes it away, up to milliseconds later. With as many processors as cores
	// the log's syncs would leave a small machine half idle.
	threadsMin = 4
	// collectPercent trades memory for collections. Memtables and block cache are
	// on this heap too, as the build has no cgo: a node settles near five times what
	// is live. At 200 a young node, whose heap is small, collects so often that it
	// stores a quarter less. The memory limit takes memory back where the heap is
	// large.
	collectPercent = 400
)

// tuneRuntime sets what Go's defaults do not fit: processors and collections of
// a process that syncs all the time. GOMAXPROCS, GOGC and GOMEMLIMIT in the
// environment win.
func tuneRuntime() {
	if os.Getenv("GOMAXPROCS") == "" && runtime.GOMAXPROCS(0) < threadsMin {
		runtime.GOMAXPROCS(threadsMin)
	}
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	if total := memoryTotal(); total > 0 {
		debug.SetGCPercent(collectPercent)
		debug.SetMemoryLimit(total / 2)
	}
}

// memoryTotal is the memory this process may use, in bytes: the cgroup's limit
// or the machine's memory; 0 where neither can be read.
func memoryTotal() int64 {
	total := int64(0)
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if line, _, ok := strings.Cut(string(info), "\n"); ok {
			if words := strings.Fields(line); len(words) == 3 && words[0] == "MemTotal:" {
				if kib, err := strconv.ParseInt(words[1], 10, 64); err == nil {
					total = kib << 10
				}
			}
		}
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && limit > 0 && limit < total {
			total = limit
		}
	}
	return total
}
