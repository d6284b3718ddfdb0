package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when this process ends, however.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
