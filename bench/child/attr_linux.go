package child

import "syscall"

// dieWithParent ends the child when this process dies, so that a killed run
// leaves no engine behind.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
