package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// Metrics is one scrape: the value of every series by its name with labels,
// exactly as printed.
type Metrics map[string]float64

// Scrape reads /metrics of an ops listener.
func Scrape(ctx context.Context, ops string) (Metrics, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ops+"/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("bench: scrape: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("bench: scrape: status %d", resp.StatusCode)
	}
	return ParseMetrics(resp.Body)
}

// ParseMetrics reads the Prometheus text format; comments are skipped.
func ParseMetrics(r io.Reader) (Metrics, error) {
	m := Metrics{}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line := s.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("bench: metric line %q", line)
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("bench: metric line %q", line)
		}
		m[line[:i]] = v
	}
	if err := s.Err(); err != nil {
		return nil, fmt.Errorf("bench: scrape: %w", err)
	}
	return m, nil
}

// labels is by how much each series of a counter with one label has grown since before,
// by the label's value; those that have not are left out.
func (m Metrics) labels(name, label string, before Metrics) map[string]int64 {
	out := map[string]int64{}
	for key, n := range m {
		rest, ok := strings.CutPrefix(key, name+"{"+label+`="`)
		if value, one := strings.CutSuffix(rest, `"}`); ok && one && !strings.Contains(value, `"`) && n > before[key] {
			out[value] = int64(n - before[key])
		}
	}
	return out
}

// Quantile estimates a quantile of what a histogram without labels saw between
// before and m, by linear interpolation in its bucket, as Prometheus does.
// ok is false when it saw nothing.
func (m Metrics) Quantile(name string, q float64, before Metrics) (v float64, ok bool) {
	type bucket struct{ le, count float64 }
	var buckets []bucket
	prefix := name + `_bucket{le="`
	for key, count := range m {
		rest, found := strings.CutPrefix(key, prefix)
		if !found {
			continue
		}
		le, err := strconv.ParseFloat(strings.TrimSuffix(rest, `"}`), 64)
		if err != nil {
			continue
		}
		buckets = append(buckets, bucket{le, count - before[key]})
	}
	sort.Slice(buckets, func(i, j int) bool { return buckets[i].le < buckets[j].le })
	if len(buckets) == 0 || buckets[len(buckets)-1].count <= 0 {
		return 0, false
	}
	rank := q * buckets[len(buckets)-1].count
	i := sort.Search(len(buckets), func(i int) bool { return buckets[i].count >= rank })
	low, below := 0.0, 0.0
	if i > 0 {
		low, below = buckets[i-1].le, buckets[i-1].count
	}
	if math.IsInf(buckets[i].le, 1) {
		return low, true
	}
	if in := buckets[i].count - below; in > 0 {
		return low + (buckets[i].le-low)*(rank-below)/in, true
	}
	return buckets[i].le, true
}
