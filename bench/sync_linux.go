package bench

import "syscall"

// settleDisk writes out what earlier rounds left dirty, so that this round does
// not pay for it.
func settleDisk() { syscall.Sync() }
