package torture

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// prison is a control group whose memory can be limited, of either version.
type prison struct {
	dir   string
	limit string // the file of the limit
}

// openPrison makes a control group, or says why this machine has none.
func openPrison() (*prison, error) {
	var last error
	for _, p := range []prison{{"/sys/fs/cgroup", "memory.max"}, {"/sys/fs/cgroup/memory", "memory.limit_in_bytes"}} {
		p.dir = filepath.Join(p.dir, fmt.Sprintf("chumi-torture-%d-%d", os.Getpid(), time.Now().UnixNano()))
		if last = os.Mkdir(p.dir, 0o755); last != nil {
			continue
		}
		if _, last = os.Stat(filepath.Join(p.dir, p.limit)); last == nil {
			return &p, nil
		}
		_ = os.Remove(p.dir) // it is no control group of memory
	}
	return nil, fmt.Errorf("%w: no control group for memory can be made: %w", errSkip, last)
}

// within is a command that runs another one as a prisoner.
func (p *prison) within() []string {
	return []string{"/bin/sh", "-c", `echo $$ > "$0" && exec "$@"`, filepath.Join(p.dir, "cgroup.procs")}
}

func (p *prison) set(bytes int64) error {
	return os.WriteFile(filepath.Join(p.dir, p.limit), []byte(strconv.FormatInt(bytes, 10)), 0o644)
}

// kills is how many processes the kernel has killed here for their memory.
func (p *prison) kills() int64 {
	for _, file := range []string{"memory.events", "memory.oom_control"} {
		b, err := os.ReadFile(filepath.Join(p.dir, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
				count, _ := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
				return count
			}
		}
	}
	return 0
}

// close removes it. Its processes must have ended; the kernel takes a moment to
// see that.
func (p *prison) close() error {
	var err error
	for range 100 {
		if err = os.Remove(p.dir); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("torture: %w", err)
}

// confine has every engine of the trial run in a control group.
func (x *ordeal) confine() error {
	p, err := openPrison()
	if err != nil {
		return err
	}
	x.prison = p
	x.start.Within = p.within()
	x.undo = append(x.undo, p.close)
	return nil
}

const (
	// starveStep is by how much the limit is lowered at a time, starveEvery how often,
	// and starveIn how long that may take.
	starveStep  = 4 << 20
	starveEvery = 50 * time.Millisecond
	starveIn    = 60 * time.Second
	// roomy is no limit for an engine of a trial.
	roomy = 8 << 30
)

// starve takes memory away under load until the kernel kills the engine, and
// gives it back.
func starve(ctx context.Context, x *ordeal) error {
	x.busy(ctx, 2*time.Second)
	before := x.prison.kills()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.engine.Pid()))
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	limit := statusOf(string(status), "VmRSS:")
	x.v.weighed("resident before", limit)
	for began := time.Now(); !x.gone(ctx, starveEvery); limit -= starveStep {
		// The kernel may refuse a limit below what it cannot take back; the engine
		// needs more soon.
		if err := x.prison.set(max(limit, starveStep)); err != nil && time.Since(began) > starveIn {
			return fmt.Errorf("torture: the engine was not killed within %v: %w", starveIn, err)
		}
		if time.Since(began) > starveIn || ctx.Err() != nil {
			return fmt.Errorf("torture: the engine was not killed within %v", starveIn)
		}
	}
	killed := x.prison.kills() - before
	if killed == 0 || !x.engine.Killed() {
		return fmt.Errorf("torture: the engine ended, and not for its memory; see %s", x.start.DataDir+".log")
	}
	x.out.Chances[ChanceOOM]++
	return x.prison.set(roomy)
}
