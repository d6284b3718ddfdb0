//go:build !linux

package torture

import "errors"

// freeBytes is not needed where no disk of its own is mounted.
func freeBytes(string) (int64, error) { return 0, errors.New("torture: not known on this system") }
