package knowledge

// How ranks are joined. The numbers were chosen on the part of the retrieval set
// that is for choosing, see retrieval_test.go.
const (
	// depth is how far down each ranking counts.
	depth = 100
	// rankBase flattens the top: the first place counts little more than the second.
	rankBase = 40.0
	// wordsWeight is what a rank by words counts beside one by meaning.
	wordsWeight = 0.3
)

// fuse is reciprocal rank fusion: scores of different rankings cannot be compared,
// their ranks can.
func fuse(words, meaning []hit, n int) []hit {
	sum := make(map[string]float64, len(words)+len(meaning))
	for i, h := range words {
		sum[h.key] += wordsWeight / (rankBase + float64(i+1))
	}
	for i, h := range meaning {
		sum[h.key] += 1 / (rankBase + float64(i+1))
	}
	hits := make([]hit, 0, len(sum))
	for key, score := range sum {
		hits = append(hits, hit{key, score})
	}
	return best(hits, n)
}
