package torture

import (
	"testing"

	"github.com/chumiai/chumi/bench/child"
)

func TestGrown_IsTheGroupThatAppliedMost(t *testing.T) {
	at := func(metadata, one, two uint64) *child.Cluster {
		return &child.Cluster{Groups: []child.Group{{Group: child.MetadataGroup, Applied: metadata}, {Group: 1, Applied: one}, {Group: 2, Applied: two}}}
	}
	if group, by := grown(at(5, 10, 20), at(90, 12, 31)); group != 2 || by != 11 {
		t.Errorf("group %d by %d, want 2 by 11", group, by)
	}
	if _, by := grown(at(5, 10, 20), at(6, 10, 20)); by != 0 {
		t.Errorf("grew by %d, want 0", by)
	}
}
