//go:build !torture

package failpoint

import "time"

// Armed is true in a build that can kill itself.
const Armed = false

// Hit does nothing in this build.
func Hit(Point) {}

// Now is the time of day.
func Now() time.Time { return time.Now() }
