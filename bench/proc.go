package bench

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU times in /proc: USER_HZ, 100 on every Linux port Go has.
const tick = 10 * time.Millisecond

// Usage is what one process has used since it began.
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
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, fmt.Errorf("bench: %w", err)
	}
	// The command name, in parentheses, may hold spaces; fields count from 3 after it.
	i := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[i+1:])
	const utime, stime, rss = 14 - 3, 15 - 3, 24 - 3
	if i < 0 || len(fields) <= rss {
		return u, fmt.Errorf("bench: %s/stat is not understood", dir)
	}
	number := func(b []byte) int64 { n, _ := strconv.ParseInt(string(b), 10, 64); return n }
	u.CPU = time.Duration(number(fields[utime])+number(fields[stime])) * tick
	u.RSS = number(fields[rss]) * int64(os.Getpagesize())
	io, err := os.ReadFile(filepath.Join(dir, "io"))
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

// StartMeter begins to measure the processes of a server, which keep their data in
// dir.
func StartMeter(dir string, pids ...int) (*Meter, error) {
	m := &Meter{pids: pids, dir: dir, at: time.Now(), disk: dirSize(dir)}
	var err error
	for _, pid := range pids {
		u, err := ReadUsage(pid)
		if err != nil {
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
