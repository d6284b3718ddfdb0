//go:build !linux

package bench

import "os"

func settleDisk() {}

func syncData(f *os.File) error { return f.Sync() }
