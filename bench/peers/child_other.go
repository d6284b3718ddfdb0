//go:build !linux

package main

import "os/exec"

// dieWithParent needs Linux; elsewhere children end when their sockets do, or stay.
func dieWithParent(*exec.Cmd) {}
