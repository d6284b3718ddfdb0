package cluster

import (
	"context"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
)

// currentTimeout is how long a group may take to confirm what it has committed.
const currentTimeout = 15 * time.Second

// Current returns the groups that this node holds, but those in skip, once it has all
// that was committed in each when it was called.
func (n *Node) Current(ctx context.Context, skip []chat.Group) (list []chat.Group, err error) {
	ctx, cancel := context.WithTimeout(ctx, currentTimeout)
	defer cancel()
	for _, s := range n.replica.Status() {
		if !s.Left(n.self) && !slices.Contains(skip, s.Group) {
			list = append(list, s.Group)
		}
	}
	failed := make(chan error, len(list))
	for _, g := range list {
		go func() { failed <- n.replica.Barrier(ctx, g) }()
	}
	for range list {
		if e := <-failed; e != nil {
			err = e
		}
	}
	return list, err
}
