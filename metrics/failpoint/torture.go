//go:build torture

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Armed is true in a build that can kill itself.
const Armed = true

// CHUMI_FAILPOINT=name:n makes the n-th hit of the point kill the process.
var (
	target    Point
	remaining atomic.Int64
)

func init() {
	name, n, ok := strings.Cut(os.Getenv("CHUMI_FAILPOINT"), ":")
	if !ok {
		return
	}
	count, err := strconv.ParseInt(n, 10, 64)
	if err != nil || count < 1 {
		return
	}
	target = Point(name)
	remaining.Store(count)
}

// Hit kills the process with SIGKILL when p is the armed point and its turn
// has come. It does not return then.
func Hit(p Point) {
	if p != target || remaining.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
