//go:build !planted

package failpoint

// Planted is false in this build.
func Planted(Bug) bool { return false }
