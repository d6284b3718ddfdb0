package bench

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// settleDisk writes out what earlier rounds left dirty, so that this round does
// not pay for it.
func settleDisk() { syscall.Sync() }

// syncData flushes what a file holds, and of its metadata only what reading it back
// needs.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EINTR) {
			return fmt.Errorf("bench: fdatasync: %w", err)
		}
	}
}
