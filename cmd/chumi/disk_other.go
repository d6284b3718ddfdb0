//go:build !linux

package main

import "errors"

// diskOf asks the file system that dir is on.
func diskOf(string) (disk, error) {
	return disk{}, errors.New("only asked for on Linux")
}
