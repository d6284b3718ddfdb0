//go:build unix

package seal

import (
	"io/fs"
	"syscall"
)

// owner is the user a file belongs to, -1 when nobody says so.
func owner(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Uid)
	}
	return -1
}
