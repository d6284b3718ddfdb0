//go:build !linux

package netns

import "fmt"

// Network exists on Linux only.
type Network struct{ Host string }

// New says that there is none here.
func New(int) (*Network, error) {
	return nil, fmt.Errorf("%w: they are of Linux", ErrUnavailable)
}

// Node is never called: there is no Network.
func (*Network) Node(int) *Node { return nil }

// Cut is never called.
func (*Network) Cut(int, Direction) error { return ErrUnavailable }

// Heal is never called.
func (*Network) Heal(int) error { return ErrUnavailable }

// Close does nothing.
func (*Network) Close() error { return nil }
