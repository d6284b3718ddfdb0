//go:build !torture

package failpoint

// Armed is true in a build that can kill itself.
const Armed = false

// Hit does nothing in this build.
func Hit(Point) {}
