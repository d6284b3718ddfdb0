// Package persistencetest is the conformance suite of the store: what every
// way of keeping it, in memory, on a disk or on several nodes, must do. It
// speaks to the store through its exported methods only, and ends each test
// with the store's own check.
package persistencetest
