package drop

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"
)

// Run runs segments until enough messages were written. It returns the report also
// with ErrRed; other errors mean that it could not run. When ctx ends, the segments
// so far are the result.
func Run(ctx context.Context, o Options) (*Report, error) {
	o.EnsureDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	report, err := resume(&o)
	if err != nil {
		return nil, err
	}
	began, before := time.Now(), report.Took
	for ctx.Err() == nil && !report.Red() {
		left := o.Messages - int(report.ByClass[AtMostOnce].Messages)
		if left <= 0 {
			break
		}
		n := min(o.SegmentMessages, left)
		fmt.Fprintf(o.Log, "segment %d: %d messages of each class, %d of each so far\n", report.Segments+1, n, o.Messages-left)
		seg, err := runSegment(ctx, &o, n, o.Seed+uint64(report.Segments)*7919)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return nil, err
		}
		report.add(seg)
		report.Took = before + time.Since(began)
		if o.Resume != "" {
			if err := report.write(o.Resume); err != nil {
				return nil, err
			}
		}
	}
	if o.Out != "" {
		if err := report.write(o.Out); err != nil {
			return nil, err
		}
	}
	if report.Red() {
		return report, ErrRed
	}
	return report, nil
}

// resume reads the totals so far, or begins with none.
func resume(o *Options) (*Report, error) {
	report := newReport()
	sum, err := hashOf(o.Binary)
	if err != nil {
		return nil, err
	}
	if o.Resume != "" {
		b, err := os.ReadFile(o.Resume)
		switch {
		case errors.Is(err, os.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("drop: %w", err)
		default:
			if err := json.Unmarshal(b, report); err != nil {
				return nil, fmt.Errorf("drop: %s is not a report: %w", o.Resume, err)
			}
			if report.SHA256 != sum && !o.Force {
				return nil, fmt.Errorf("drop: %s holds totals of build %.12s, this is %.12s: start a new file, or force it", o.Resume, report.SHA256, sum)
			}
		}
	}
	report.SHA256, report.Commit = sum, o.Commit
	if !slices.Contains(report.Seeds, o.Seed) {
		report.Seeds = append(report.Seeds, o.Seed)
	}
	return report, nil
}

// hashOf hashes an executable, this process's own when its name is empty.
func hashOf(binary string) (string, error) {
	if binary == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("drop: %w", err)
		}
		binary = self
	}
	f, err := os.Open(binary)
	if err != nil {
		return "", fmt.Errorf("drop: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("drop: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
