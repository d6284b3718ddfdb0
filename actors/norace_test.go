//go:build !race

package actors

// raced tells that the race detector runs: what is measured is its own, and fake time
// costs several times as much.
const raced = false
