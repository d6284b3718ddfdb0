//go:build !race

package actors

// raced tells that the race detector's own memory would be measured.
const raced = false
