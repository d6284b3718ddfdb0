//go:build !torture

package persistence

import "github.com/cockroachdb/pebble/v2/vfs"

// systemFS is the operating system's file system.
func systemFS() vfs.FS { return vfs.Default }
