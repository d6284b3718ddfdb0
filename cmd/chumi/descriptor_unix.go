//go:build unix

package main

import (
	"math"
	"syscall"
)

// descriptorsMax is how many files and sockets this process may have open; 0 when
// nobody says so.
func descriptorsMax() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil || l.Cur > math.MaxInt32 {
		return 0
	}
	return int(l.Cur) // #nosec G115 -- bounded
}
