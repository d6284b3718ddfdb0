package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// The kernel kills children when the thread that started them ends: this one is
	// the last to.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("want list, serve or audit")
	}
	var (
		f      = flag.NewFlagSet("peers "+args[0], flag.ContinueOnError)
		name   = f.String("kind", "", "which peer")
		dir    = f.String("dir", ".", "directory of its store")
		addr   = f.String("addr", "127.0.0.1:0", "address to listen on")
		secret = f.String("secret", "", "app secret that signs the webhooks")
	)
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "list":
		return list(stdout)
	case natsCommand:
		return runNATS(ctx, *dir, stdout)
	}
	k, ok := kinds()[*name]
	if !ok {
		return fmt.Errorf("unknown kind %q", *name)
	}
	if reason := k.missing(); reason != "" {
		return fmt.Errorf("%s: %s", *name, reason)
	}
	files, err := nodeDir()
	if err != nil && k.node {
		return err
	}
	// Sockets have short names, whatever the directory's is.
	if err := os.Chdir(*dir); err != nil {
		return err
	}
	switch args[0] {
	case "serve":
		edge, err := k.serve(ctx, site{addr: *addr, secret: *secret, files: files})
		if err != nil {
			return err
		}
		fmt.Fprintf(stderr, "ready edge=%s\n", edge)
		<-ctx.Done()
		return nil
	case "audit":
		out := bufio.NewWriter(stdout)
		if err := k.audit(ctx, func(id string) { fmt.Fprintln(out, id) }); err != nil {
			return err
		}
		return out.Flush()
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// list prints every kind and what keeps it from being run.
func list(w io.Writer) error {
	all := kinds()
	out := make([]description, 0, len(all))
	for _, name := range order {
		d := all[name].description
		d.Name, d.Skipped = name, all[name].missing()
		if d.Skipped == "" {
			d.Version = all[name].version()
		}
		out = append(out, d)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(out)
}
