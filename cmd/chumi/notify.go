package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// What a service manager is told: sd_notify(3) of systemd, which others took over.
const (
	notifyReady    = "READY=1"
	notifyStopping = "STOPPING=1"
)

// notify tells the service manager that started this process about it. Without one
// it does nothing.
func notify(env []string, state string) error {
	socket := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "NOTIFY_SOCKET="); ok {
			socket = v
		}
	}
	if socket == "" {
		return nil
	}
	// Go takes a leading @ for the abstract name it is.
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("the service manager is not reached: %w", err)
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}
