package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// SyncCount is how many flushes of the disk one acknowledged message took.
type SyncCount struct {
	Target     string  `json:"target"`
	PerMessage float64 `json:"per_message"`
	// Source is who counted; empty when nobody could.
	Source string `json:"source,omitempty"`
}

// String is the figure with its source.
func (s SyncCount) String() string {
	if s.Source == "" {
		return "n/a"
	}
	return fmt.Sprintf("%.3f (%s)", s.PerMessage, s.Source)
}

// syncCalls are the system calls that wait until a file is on disk.
var syncCalls = []string{"fsync", "fdatasync", "msync", "syncfs"}

// syncTracer is a command that becomes the one after it and has strace write, when
// all that came of it has ended, how often each of syncCalls was made. Only these
// calls are stopped, so that the others cost what they always do. It is nil where
// strace is not installed or may not trace.
func syncTracer(path string) (count func() (float64, error), within []string) {
	command := []string{"strace", "-D", "-f", "-qq", "--seccomp-bpf", "-c", "-e", "trace=" + strings.Join(syncCalls, ","), "-o", path}
	if exec.Command(command[0], append(command[1:], "true")...).Run() != nil {
		return nil, nil
	}
	_ = os.Remove(path)
	return func() (float64, error) { return readSyncs(path) }, command
}

// readSyncs reads what strace wrote. It holds the stderr of what it traced, so that
// it has ended when the process that reads that knows it has.
func readSyncs(path string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	if !bytes.Contains(text, []byte(" total")) {
		return 0, errors.New("bench: strace counted nothing")
	}
	return countSyncs(string(text))
}

// countSyncs adds up the calls in a table of `strace -c`.
func countSyncs(table string) (float64, error) {
	var sum float64
	for line := range strings.Lines(table) {
		// % time, seconds, usecs/call, calls, errors or nothing, syscall
		f := strings.Fields(line)
		if len(f) < 5 || !slices.Contains(syncCalls, f[len(f)-1]) {
			continue
		}
		n, err := strconv.ParseFloat(f[3], 64)
		if err != nil {
			return 0, fmt.Errorf("bench: line of strace %q", line)
		}
		sum += n
	}
	return sum, nil
}

// engineSyncs is the engine's own count of its durable writes.
func engineSyncs(ctx context.Context, ops string) (float64, error) {
	m, err := Scrape(ctx, ops)
	if err != nil {
		return 0, err
	}
	n, ok := m["chumi_sync_seconds_count"]
	if !ok {
		return 0, errors.New("bench: the engine does not say how often it synced")
	}
	return n, nil
}

// readCommand runs a command and has f read what it prints.
func readCommand(ctx context.Context, command []string, f func(io.Reader) error) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	readErr := f(out)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return readErr
}
