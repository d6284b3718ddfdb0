package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// startChild starts a store or an edge that dies with this process, and leaves its
// chatter to this process's stderr. A child that ends first ends this process.
func startChild(cmd *exec.Cmd) error {
	if cmd.Stdout == nil {
		cmd.Stdout = os.Stderr
	}
	cmd.Stderr = os.Stderr
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { fatal(fmt.Errorf("%s ended: %v", cmd.Path, cmd.Wait())) }()
	return nil
}

// startReady starts a child that prints "ready <address>" on its stdout, and returns
// the address.
func startReady(cmd *exec.Cmd) (string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return "", err
	}
	cmd.Stdout = w
	err = startChild(cmd)
	_ = w.Close()
	if err != nil {
		return "", err
	}
	for s := bufio.NewScanner(r); s.Scan(); {
		if addr, ok := strings.CutPrefix(s.Text(), "ready "); ok {
			return addr, nil
		}
	}
	return "", fmt.Errorf("%s ended before it was ready", cmd.Path)
}

// up waits until probe succeeds: a store that was killed first repairs itself.
func up(ctx context.Context, name string, probe func(context.Context) error) error {
	const patience, pause = 60 * time.Second, 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := probe(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", name, err)
		}
	}
}

// firstLine is what a command says of its version.
func firstLine(command string, args ...string) string {
	out, err := exec.Command(command, args...).Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return strings.TrimSpace(line)
}
