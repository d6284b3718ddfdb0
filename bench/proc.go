package bench

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux port Go has.
const tick = 10 * time.Millisecond

// Usage is what one process has used since it began, with its children that have
// ended.
type Usage struct {
	CPU time.Duration
	// Written is bytes it caused to be sent to disk.
	Written int64
	// RSS is its resident memory in bytes.
	RSS int64
}

// ReadUsage reads /proc/<pid>. It needs Linux and the same user.
func ReadUsage(pid int) (Usage, error) {
	var u Usage
	fields, err := readStat(pid)
	if err != nil {
		return u, err
	}
	const utime, cstime, rss = 14 - 3, 17 - 3, 24 - 3
	for i := utime; i <= cstime; i++ {
		u.CPU += time.Duration(number(fields[i])) * tick
	}
	u.RSS = number(fields[rss]) * int64(os.Getpagesize())
	io, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "io"))
	if err != nil {
		return u, fmt.Errorf("bench: %w", err)
	}
	for line := range strings.Lines(string(io)) {
		if v, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			u.Written = number([]byte(strings.TrimSpace(v)))
		}
	}
	return u, nil
}

// readStat returns the fields of /proc/<pid>/stat after the command's name, which
// may hold spaces: the first is field 3 of proc(5).
func readStat(pid int) ([][]byte, error) {
	path := filepath.Join("/proc", strconv.Itoa(pid), "stat")
	stat, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	if i < 0 || len(fields) < 24-2 {
		return nil, fmt.Errorf("bench: %s is not understood", path)
	}
	return fields, nil
}

func number(b []byte) int64 { n, _ := strconv.ParseInt(string(b), 10, 64); return n }

// family returns pids and all their descendants that are alive.
func family(pids []int) ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	children := map[int][]int{}
	for _, name := range names {
		pid, err := strconv.Atoi(filepath.Base(name))
		if err != nil {
			continue
		}
		if fields, err := readStat(pid); err == nil { // it may just have ended
			parent := int(number(fields[4-3]))
			children[parent] = append(children[parent], pid)
		}
	}
	all := slices.Clone(pids)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// machineBusy is the time all CPUs together have worked, or were taken by the
// hypervisor, since boot.
func machineBusy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("bench: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	fields := strings.Fields(line)
	// cpu user nice system idle iowait irq softirq steal ...
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("bench: /proc/stat is not understood")
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// dirSize is the bytes of all files below dir.
func dirSize(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			sum += info.Size()
		}
		return nil
	})
	return sum
}

// Meter measures what a server, this process and everybody else used between
// two moments.
type Meter struct {
	pids         []int
	dir          string
	at           time.Time
	server, self Usage
	busy         time.Duration
	disk         int64
}

// Spent is the result of a Meter.
type Spent struct {
	Elapsed time.Duration `json:"elapsed_ns"`
	// Server and Generator are CPU times; Generator includes simulators that
	// run in this process.
	Server    time.Duration `json:"server_cpu_ns"`
	Generator time.Duration `json:"generator_cpu_ns"`
	// Other is the share of one CPU that neither of them used, 0.1 = 10 %.
	Other float64 `json:"other_cpu"`
	// Written is bytes sent to disk, Grown the growth of the data directory.
	Written int64 `json:"written_bytes"`
	Grown   int64 `json:"grown_bytes"`
	// RSS is the server's at the end.
	RSS int64 `json:"rss_bytes"`
}

// StartMeter begins to measure the processes of a server and all that they started.
// They keep their data in dir.
func StartMeter(dir string, pids ...int) (*Meter, error) {
	m := &Meter{pids: pids, dir: dir, at: time.Now(), disk: dirSize(dir)}
	all, err := family(pids)
	if err != nil {
		return nil, err
	}
	for i, pid := range all {
		u, err := ReadUsage(pid)
		if err != nil && i < len(pids) {
			return nil, err
		}
		m.server.CPU += u.CPU
		m.server.Written += u.Written
		m.server.RSS += u.RSS
	}
	if m.self, err = ReadUsage(os.Getpid()); err != nil {
		return nil, err
	}
	if m.busy, err = machineBusy(); err != nil {
		return nil, err
	}
	return m, nil
}

// Stop ends the measurement; the server must still run.
func (m *Meter) Stop() (Spent, error) {
	end, err := StartMeter(m.dir, m.pids...)
	if err != nil {
		return Spent{}, err
	}
	s := Spent{
		Elapsed:   end.at.Sub(m.at),
		Server:    end.server.CPU - m.server.CPU,
		Generator: end.self.CPU - m.self.CPU,
		Written:   end.server.Written - m.server.Written,
		Grown:     end.disk - m.disk,
		RSS:       end.server.RSS,
	}
	if s.Elapsed > 0 {
		other := end.busy - m.busy - s.Server - s.Generator
		s.Other = max(0, float64(other)/float64(s.Elapsed))
	}
	return s, nil
}
