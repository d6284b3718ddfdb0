//go:build planted

package failpoint

import "os"

// CHUMI_PLANT names the one bug that is on.
var plant = Bug(os.Getenv("CHUMI_PLANT"))

// Plant switches another bug on in place of the one that is; "" none.
func Plant(b Bug) { plant = b }

// Planted reports whether b is switched on.
func Planted(b Bug) bool { return b == plant }
