package child

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Options says how to start an engine.
type Options struct {
	// Binary is the chumi executable; empty means this process's own.
	Binary string
	// DataDir is the engine's data directory. Its log goes beside it, into
	// DataDir + ".log", appended at every start.
	DataDir string
	// Config and Bootstrap are files, see WriteFiles.
	Config, Bootstrap string
	// Args replaces the serve command, for another server that prints a ready
	// line; it then needs an edge address only.
	Args []string
	// Listen is where the listeners shall be; an empty one is on the loopback
	// interface, at a port the engine chooses.
	Listen Addrs
	// Join are peer addresses of members of the cluster this node belongs to. Found
	// makes it the first of a new one.
	Join  []string
	Found bool
	// Within is a command that runs the engine in its place, such as
	// "ip netns exec NAME". It must become the engine, as exec does: signals are
	// sent to the process that was started.
	Within []string
	// Env is added to this process's environment.
	Env []string
	// ReadyIn bounds the wait for the ready line; 0 means 30 s.
	ReadyIn time.Duration
}

func (o *Options) ensureDefaults() error {
	if o.ReadyIn == 0 {
		o.ReadyIn = 30 * time.Second
	}
	if o.Binary == "" {
		self, err := os.Executable()
		if err != nil {
			return fmt.Errorf("child: find this executable: %w", err)
		}
		o.Binary = self
	}
	return nil
}

// Addrs are the addresses of an engine's listeners, host:port. Peer is empty
// when it does not listen for other nodes.
type Addrs struct {
	Edge, API, Ops, Peer string
}

// Engine is a running `chumi serve`. Its methods are safe for concurrent use.
type Engine struct {
	Addrs
	// Began is when the process was started, Ready when its ready line came.
	Began, Ready time.Time

	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; read after done
	stop sync.Once
}

// Start starts an engine on addresses of its own choosing and returns when it
// is ready. A process that ends before that is a *DiedError.
func Start(ctx context.Context, o Options) (*Engine, error) {
	if err := o.ensureDefaults(); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(o.DataDir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	e := &Engine{done: make(chan struct{}), Began: time.Now()}
	command := o.command()
	e.cmd = exec.Command(command[0], command[1:]...)
	e.cmd.Env = append(os.Environ(), o.Env...)
	e.cmd.SysProcAttr = dieWithParent()
	stderr, err := e.cmd.StderrPipe()
	if err == nil {
		err = e.cmd.Start()
	}
	if err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("child: start %s: %w", filepath.Base(o.Binary), err)
	}
	ready := make(chan string, 1)
	go e.follow(stderr, log, ready)
	timeout := time.NewTimer(o.ReadyIn)
	defer timeout.Stop()
	select {
	case line := <-ready:
		e.Ready = time.Now()
		if err := e.parseReady(line, o.Args == nil); err != nil {
			e.Kill()
			return nil, err
		}
		return e, nil
	case <-e.done:
		return nil, &DiedError{Log: o.DataDir + ".log", Tail: tail(o.DataDir + ".log"), Err: e.err, Killed: e.Killed()}
	case <-timeout.C:
		e.Kill()
		return nil, fmt.Errorf("child: no ready line within %v; see %s", o.ReadyIn, o.DataDir+".log")
	case <-ctx.Done():
		e.Kill()
		return nil, ctx.Err()
	}
}

// command is the whole command line.
func (o *Options) command() []string {
	out := append(append([]string(nil), o.Within...), o.Binary)
	if o.Args != nil {
		return append(out, o.Args...)
	}
	at := func(addr string) string {
		if addr == "" {
			return anyPort
		}
		return addr
	}
	out = append(out, "serve", "--data-dir", o.DataDir, "--config", o.Config, "--bootstrap", o.Bootstrap,
		"--edge-addr", at(o.Listen.Edge), "--api-addr", at(o.Listen.API), "--ops-addr", at(o.Listen.Ops), "--peer-addr", at(o.Listen.Peer))
	if o.Found {
		out = append(out, "--found")
	}
	if len(o.Join) > 0 {
		out = append(out, "--join", strings.Join(o.Join, ","))
	}
	return out
}

// DiedError is an engine that ended before it was ready.
type DiedError struct {
	// Log is the log's path, Tail its last lines.
	Log, Tail string
	// Killed is true when SIGKILL ended it.
	Killed bool
	Err    error
}

// Error quotes the end of the log.
func (e *DiedError) Error() string {
	return fmt.Sprintf("child: engine ended before it was ready: %v\n%s\n(%s)", e.Err, e.Tail, e.Log)
}

// Unwrap returns the error of the process.
func (e *DiedError) Unwrap() error { return e.Err }

// follow copies the log, finds the ready line and reaps the process.
func (e *Engine) follow(stderr io.Reader, log *os.File, ready chan<- string) {
	r := bufio.NewReaderSize(stderr, 64<<10)
	found := false
	for {
		line, err := r.ReadString('\n')
		if !found && strings.HasPrefix(line, "ready ") {
			found = true
			ready <- strings.TrimSpace(line)
		}
		_, _ = log.WriteString(line)
		if err != nil {
			break
		}
	}
	e.err = e.cmd.Wait()
	_ = log.Close()
	close(e.done)
}

// anyPort lets the child choose; it tells in its ready line.
const anyPort = "127.0.0.1:0"

func (e *Engine) parseReady(line string, all bool) error {
	for _, field := range strings.Fields(line)[1:] {
		key, value, _ := strings.Cut(field, "=")
		value = strings.TrimPrefix(value, "http://")
		switch key {
		case "edge":
			e.Edge = value
		case "api":
			e.API = value
		case "ops":
			e.Ops = value
		case "peer":
			e.Peer = value
		}
	}
	if e.Edge == "" || all && (e.API == "" || e.Ops == "") {
		return fmt.Errorf("child: ready line %q lacks an address", line)
	}
	return nil
}

// Pid is the process id.
func (e *Engine) Pid() int { return e.cmd.Process.Pid }

// Done is closed when the process has ended.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Killed reports whether the process has ended by SIGKILL.
func (e *Engine) Killed() bool {
	select {
	case <-e.done:
	default:
		return false
	}
	var exit *exec.ExitError
	if !errors.As(e.err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Pause stops the process with SIGSTOP: it neither runs nor knows that it does
// not. Resume lets it go on. Both do nothing when it has ended.
func (e *Engine) Pause() { _ = e.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (e *Engine) Resume() { _ = e.cmd.Process.Signal(syscall.SIGCONT) }

// Kill sends SIGKILL and waits until the process is gone.
func (e *Engine) Kill() {
	_ = e.cmd.Process.Kill()
	<-e.done
}

// Terminate sends SIGTERM and waits for a clean exit, at most 30 s as the
// engine promises; then it kills and reports that.
func (e *Engine) Terminate() error {
	var err error
	e.stop.Do(func() {
		_ = e.cmd.Process.Signal(syscall.SIGTERM)
		timeout := time.NewTimer(30 * time.Second)
		defer timeout.Stop()
		select {
		case <-e.done:
			if e.err != nil {
				err = fmt.Errorf("child: exit after SIGTERM: %w", e.err)
			}
		case <-timeout.C:
			e.Kill()
			err = errors.New("child: still running 30 s after SIGTERM")
		}
	})
	return err
}

// tail returns the last lines of a file.
func tail(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return strings.TrimSpace(string(b))
}
