package bench

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Environment says where and with what a run was made.
type Environment struct {
	Time   time.Time `json:"time"`
	CPU    string    `json:"cpu"`
	CPUs   int       `json:"cpus"`
	Memory int64     `json:"memory_bytes"`
	Kernel string    `json:"kernel"`
	// FileSystem is of the data directories.
	FileSystem string `json:"file_system"`
	Go         string `json:"go"`
	// Commit is of the binary, as far as it knows.
	Commit string `json:"commit"`
	// Sync is the floor under every durable answer: append 1 KiB, fsync.
	Sync Quantiles `json:"fsync"`
}

// ReadEnvironment describes this machine and a binary built from commit, and
// measures fsync in dir.
func ReadEnvironment(dir, commit string) (Environment, error) {
	e := Environment{
		Time: time.Now().UTC().Truncate(time.Second), CPUs: runtime.NumCPU(), Go: runtime.Version(),
		CPU: procField("/proc/cpuinfo", "model name"), Commit: commit,
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		e.Kernel = strings.TrimSpace(string(b))
	}
	var kib int64
	if _, err := fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d", &kib); err == nil {
		e.Memory = kib << 10
	}
	e.FileSystem = fileSystem(dir)
	var err error
	e.Sync, err = syncFloor(dir, 300)
	return e, err
}

// procField is the value of the first "name: value" line of a file.
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileSystem is the type of the mount that holds dir.
func fileSystem(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	best, kind := "", ""
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) < len(best) {
			continue
		}
		if abs == f[1] || strings.HasPrefix(abs, strings.TrimSuffix(f[1], "/")+"/") {
			best, kind = f[1], f[2]
		}
	}
	return kind
}

// syncFloor appends 1 KiB and syncs, n times.
func syncFloor(dir string, n int) (Quantiles, error) {
	f, err := os.CreateTemp(dir, "fsync-*")
	if err != nil {
		return Quantiles{}, fmt.Errorf("bench: %w", err)
	}
	defer os.Remove(f.Name())
	defer f.Close()
	h := newHistogram()
	block := make([]byte, 1<<10)
	for range n {
		begin := time.Now()
		if _, err := f.Write(block); err != nil {
			return Quantiles{}, fmt.Errorf("bench: %w", err)
		}
		if err := f.Sync(); err != nil {
			return Quantiles{}, fmt.Errorf("bench: %w", err)
		}
		record(h, time.Since(begin))
	}
	return quantiles(h), nil
}

// median of at least one value.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	if n := len(s); n%2 == 0 {
		return (s[n/2-1] + s[n/2]) / 2
	}
	return s[len(s)/2]
}
