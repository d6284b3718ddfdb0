package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/chumiai/chumi/persistence/seal"
	"github.com/chumiai/chumi/transport/edge"
)

const (
	// syncSlow is when a sync of the disk is worth a word: every acknowledgement waits
	// for one.
	syncSlow = 20 * time.Millisecond
	// syncTries are made, and the median counts.
	syncTries = 9
	// storeFiles is what the store keeps open, at most, beside connections.
	storeFiles = 2000
)

// disk is what a file system says of itself.
type disk struct {
	// kind is its name, "" when it is not known; free is what this user may write.
	kind string
	free uint64
}

// key looks at the key-encryption key.
func (d *doctor) key(context.Context) []finding {
	path, given := keyFile(d.config), d.config.Keys.File != ""
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && exists(storeDir(d.config)):
		return []finding{fail("key", "restore the file from where its copy is kept, or name it with keys.file; without it nothing can be read", "the store exists, its key-encryption key %s does not", path)}
	case errors.Is(err, fs.ErrNotExist):
		return []finding{warn("key", "make one with chumi cluster init, keep it apart from the data and name it with keys.file", "a key-encryption key will be made at the first start in %s, beside the data it opens", path)}
	case err != nil:
		return []finding{fail("key", "run chumi doctor as the user the engine runs as", "the key file %s cannot be looked at: %s", path, cause(err))}
	case seal.Exposed(info):
		return []finding{fail("key", "chmod 0400 "+path, "others may read the key file %s (mode %04o)", path, info.Mode().Perm())}
	}
	kek, err := seal.LoadKEK(path)
	if err != nil {
		return []finding{fail("key", "restore the file; it must be readable by the engine's user", "the key file cannot be used: %v", err)}
	}
	if !given {
		return []finding{warn("key", "move it off this disk's backups, name it with keys.file, and keep a copy apart", "the key-encryption key %s (%s) lies beside the data it opens: who copies the directory can read everything", kek.Fingerprint(), path)}
	}
	list := []finding{okay("key", "the key-encryption key is %s", kek.Fingerprint())}
	if within(path, d.config.DataDir) {
		list[0] = warn("key", "move it elsewhere and name it with keys.file", "the key-encryption key %s lies in the data directory", kek.Fingerprint())
	}
	return list
}

// within reports whether path lies below dir.
func within(path, dir string) bool {
	path, err1 := filepath.Abs(path)
	dir, err2 := filepath.Abs(dir)
	return err1 == nil && err2 == nil && strings.HasPrefix(path, dir+string(filepath.Separator))
}

// directory looks at the data directory, or at where it will be made.
func (d *doctor) directory(context.Context) (list []finding) {
	dir := d.config.DataDir
	if !exists(dir) {
		parent := filepath.Dir(filepath.Clean(dir))
		for !exists(parent) && parent != filepath.Dir(parent) {
			parent = filepath.Dir(parent)
		}
		list = append(list, okay("data_dir", "%s will be made at the first start", dir))
		dir = parent
	}
	took, err := d.syncTime(dir)
	if err != nil {
		return append(list, fail("data_dir", "give the directory to the user the engine runs as, and mount it writable", "%s cannot be written: %s", dir, cause(err)))
	}
	if took > syncSlow {
		list = append(list, warn("fsync", "use a local SSD; every acknowledgement waits for one sync", "a sync in %s takes %s", dir, took.Round(10*time.Microsecond)))
	} else {
		list = append(list, okay("fsync", "a sync in %s takes %s", dir, took.Round(10*time.Microsecond)))
	}
	at, err := d.disk(dir)
	if err != nil {
		return append(list, warn("disk", "", "the file system does not say what it is and has: %s", cause(err)))
	}
	return append(list, d.fileSystem(at), d.space(at))
}

func (d *doctor) fileSystem(at disk) finding {
	switch at.kind {
	case "tmpfs", "ramfs":
		return fail("filesystem", "put data_dir on a disk", "the data directory is in memory (%s): a power cut loses it", at.kind)
	case "overlay":
		return warn("filesystem", "mount a volume at data_dir", "the data directory is in a container's own layer (overlay): it goes with the container")
	case "nfs", "cifs", "smb2", "9p", "fuse", "ceph":
		return warn("filesystem", "use a local disk, or a block device of the network", "the data directory is on %s: whether a sync is durable is another machine's word", at.kind)
	case "":
		return okay("filesystem", "the kind of the file system is not known here")
	}
	return okay("filesystem", "the file system is %s", at.kind)
}

func (d *doctor) space(at disk) finding {
	reserve := uint64(max(d.config.Engine.DiskFreeMin, 0)) // #nosec G115 -- not negative
	switch {
	case reserve == 0:
		return warn("space", "set engine.disk_free_min", "%s are free, and there is no reserve: a full disk ends the process", mib(at.free))
	case at.free < reserve:
		return fail("space", "free some, or enlarge the disk", "%s are free, below the reserve of %s: webhooks are answered 503", mib(at.free), mib(reserve))
	case at.free < 2*reserve:
		return warn("space", "free some, or enlarge the disk", "%s are free, the reserve is %s", mib(at.free), mib(reserve))
	}
	return okay("space", "%s are free, the reserve is %s", mib(at.free), mib(reserve))
}

func mib(n uint64) string { return fmt.Sprintf("%d MiB", n>>20) }

// syncTime writes a file, syncs it some times and removes it; the median of the times.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	times := make([]time.Duration, syncTries)
	page := make([]byte, 4<<10)
	for i := range times {
		if _, err = f.Write(page); err != nil {
			break
		}
		begin := time.Now()
		err = f.Sync()
		times[i] = time.Since(begin)
		if err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, err
	}
	slices.Sort(times)
	return times[syncTries/2], nil
}

// limits looks at how many files and sockets a process may have open.
func (d *doctor) limits(context.Context) []finding {
	have, need := d.descriptors(), d.config.Edge.ConnectionsMax+edge.DefaultAPILimits.ConnMax+storeFiles
	switch {
	case have == 0:
		return []finding{okay("descriptors", "this system does not say how many files a process may open")}
	case have < need:
		return []finding{warn("descriptors", "raise it: LimitNOFILE of systemd, ulimit -n of a shell, ulimits of a container", "a process may open %d files; with all connections the engine may want %d", have, need)}
	}
	return []finding{okay("descriptors", "a process may open %d files", have)}
}

// listeners looks whether the addresses can be had.
func (d *doctor) listeners(ctx context.Context) (list []finding) {
	c := d.config
	addrs := [][2]string{{"edge.addr", c.Edge.Addr}, {"api.addr", c.API.Addr}, {"ops.addr", c.Ops.Addr}}
	if c.Cluster.On() {
		addrs = append(addrs, [2]string{"peer.addr", c.Peer.Addr})
	}
	for _, a := range addrs {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", a[1])
		switch {
		case err == nil:
			_ = ln.Close()
			if d.running && !strings.HasSuffix(a[1], ":0") {
				list = append(list, warn("listener", "look at the engine's own configuration", "an engine answers at ops.addr, but not on %s %s: it was started with other addresses", a[0], a[1]))
				continue
			}
			list = append(list, okay("listener", "%s %s is free", a[0], a[1]))
		case errors.Is(err, syscall.EADDRINUSE) && d.running:
			list = append(list, okay("listener", "%s %s is in use, and the engine runs", a[0], a[1]))
		case errors.Is(err, syscall.EADDRINUSE):
			list = append(list, fail("listener", "end the other program, or give the engine another address", "%s %s is held by another program", a[0], a[1]))
		default:
			list = append(list, fail("listener", "use an address of this machine, and a port from 1024 on", "cannot listen on %s %s: %v", a[0], a[1], unwrapped(err)))
		}
	}
	return list
}

// unwrapped is the innermost reason of a network error.
func unwrapped(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// alive asks whether an engine runs here.
func (d *doctor) alive() bool {
	body, err := d.operator().request("GET", "/livez")
	return err == nil && string(body) == "alive\n"
}

// operator talks to the engine that may run with this configuration.
func (d *doctor) operator() operator {
	return operator{cli: d.cli, addr: dialable(d.config.Ops.Addr)}
}

// dialable is where a listener on addr is reached from this machine.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !unspecified(host) {
		return addr
	}
	return net.JoinHostPort("127.0.0.1", port)
}

// ready asks a running engine whether it can keep its promise.
func (d *doctor) ready(context.Context) []finding {
	if !d.running {
		return []finding{okay("engine", "no engine answers at %s", d.config.Ops.Addr)}
	}
	body, err := d.operator().request("GET", "/readyz")
	if err != nil {
		return []finding{fail("engine", "docs/runbook.md says what each check means", "the engine runs and is %v", unready(err))}
	}
	all := []finding{okay("engine", "the engine runs and is ready")}
	var r struct{ Checks []struct{ Name, Note string } }
	if json.Unmarshal(body, &r) == nil {
		for _, check := range r.Checks {
			if check.Note != "" {
				all = append(all, warn(check.Name, "docs/backup.md says when to confirm", "the engine %s", check.Note))
			}
		}
	}
	return all
}
