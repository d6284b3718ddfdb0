//go:build !(linux || darwin || freebsd)

package persistence

import (
	"io"
	"os"
)

// region is a file with a copy in memory, for systems without a mapping: each
// store is one write.
type region struct {
	file *os.File
	mem  []byte
}

func openRegion(f *os.File, size int) (*region, error) {
	if err := f.Truncate(int64(size)); err != nil {
		return nil, err
	}
	mem := make([]byte, size)
	if _, err := f.ReadAt(mem, 0); err != nil && err != io.EOF {
		return nil, err
	}
	return &region{file: f, mem: mem}, nil
}

// store writes mem[at:at+n] to the file.
func (r *region) store(at, n int) error {
	_, err := r.file.WriteAt(r.mem[at:at+n], int64(at))
	return err
}

func (r *region) close() error { return r.file.Close() }
