//go:build !linux

package bench

func settleDisk() {}
