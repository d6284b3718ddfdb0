package main

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestServe_TellsSystemd stands where systemd does: READY=1 comes when the engine
// can accept and not before, STOPPING=1 when it begins to stop.
func TestServe_TellsSystemd(t *testing.T) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	told := func() string {
		var b [256]byte
		n, err := socket.Read(b[:])
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	var log strings.Builder
	r, w := io.Pipe()
	copied := make(chan struct{})
	go func() { _, _ = io.Copy(&log, r); close(copied) }()
	go func() {
		ended <- run(ctx, []string{"serve", "--data-dir", t.TempDir(), "--edge-addr", "127.0.0.1:0", "--api-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0"},
			[]string{"NOTIFY_SOCKET=" + socket.LocalAddr().String()}, io.Discard, w)
		_ = w.Close()
	}()
	if got := told(); got != "READY=1" {
		t.Errorf("first %q", got)
	}
	stop()
	if got := told(); got != "STOPPING=1" {
		t.Errorf("then %q", got)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d", code)
	}
	<-copied
	if !strings.Contains(log.String(), "ready edge=") {
		t.Errorf("it said:\n%s", log.String())
	}
}

func TestNotify_NoManagerIsNoError(t *testing.T) {
	if err := notify([]string{"PATH=/bin"}, notifyReady); err != nil {
		t.Error(err)
	}
	if err := notify([]string{"NOTIFY_SOCKET=" + filepath.Join(t.TempDir(), "gone")}, notifyReady); err == nil {
		t.Error("a socket that is not there was told")
	}
}
