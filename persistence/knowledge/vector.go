package knowledge

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"github.com/chumiai/chumi/chat"
)

// vectors are rows of one length, each of length one, in one piece of memory. To
// search them is to look at every one: 10,000 of 1,536 numbers take a few
// milliseconds, and there is no index that could be wrong.
type vectors struct {
	dims int
	data []float32
}

func (v *vectors) row(i int) []float32 { return v.data[i*v.dims : (i+1)*v.dims] }

// add appends a vector; false for one that has another length or no direction.
func (v *vectors) add(one []float32) bool {
	if v.dims == 0 {
		v.dims = len(one)
	}
	if len(one) != v.dims || v.dims == 0 {
		return false
	}
	at := len(v.data)
	v.data = append(v.data, one...)
	if !normalize(v.data[at:]) {
		v.data = v.data[:at]
		return false
	}
	return true
}

// normalize makes a vector one long; false for one that cannot be.
func normalize(v []float32) bool {
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return false
	}
	scale := float32(1 / math.Sqrt(sum))
	for i := range v {
		v[i] *= scale
	}
	return true
}

// dot has four sums so that the processor need not wait for each.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// hit is a chunk with its score in one ranking.
type hit struct {
	key   string
	score float64
}

// best sorts hits, best first, equal ones by key, and keeps n.
func best(hits []hit, n int) []hit {
	slices.SortFunc(hits, func(a, b hit) int {
		if c := cmp.Compare(b.score, a.score); c != 0 {
			return c
		}
		return cmp.Compare(a.key, b.key)
	})
	return hits[:min(n, len(hits))]
}

// unpack reads the vectors of a batch; false for one that is not what it says.
func unpack(b *chat.VectorBatch) ([][]float32, bool) {
	if b.Dims <= 0 || b.Dims > chat.VectorDimsMax || len(b.Data) != 4*b.Dims*len(b.Chunks) {
		return nil, false
	}
	out := make([][]float32, len(b.Chunks))
	for i := range out {
		v := make([]float32, b.Dims)
		for j := range v {
			v[j] = math.Float32frombits(binary.LittleEndian.Uint32(b.Data[4*(i*b.Dims+j):]))
		}
		out[i] = v
	}
	return out, true
}
