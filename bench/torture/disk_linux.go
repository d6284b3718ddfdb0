package torture

import (
	"fmt"
	"syscall"
)

// freeBytes is what the disk of a directory has left for this user.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("torture: %w", err)
	}
	return int64(s.Bavail) * s.Bsize, nil // #nosec G115 -- a disk of a trial is small
}
