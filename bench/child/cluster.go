package child

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"
)

// MetadataGroup is the number of the group that keeps the cluster's own tables;
// no tenant is in it.
const MetadataGroup = 65535

// Cluster is what one node says about its cluster.
type Cluster struct {
	ID string `json:"cluster"`
	// Node is the number of the node that was asked.
	Node   int      `json:"node"`
	Nodes  []Member `json:"nodes"`
	Groups []Group  `json:"groups"`
}

// Member is a node as another one sees it.
type Member struct {
	ID      int    `json:"id"`
	Addr    string `json:"addr"`
	Leaving bool   `json:"leaving"`
	Live    bool   `json:"live"`
}

// Group is one group as a node sees it. Leader is 0 when it knows none.
type Group struct {
	Group        int    `json:"group"`
	Leader       int    `json:"leader"`
	Term         uint64 `json:"term"`
	Applied      uint64 `json:"applied"`
	Voters       []int  `json:"voters"`
	Learners     []int  `json:"learners"`
	WantVoters   []int  `json:"want_voters"`
	WantLearners []int  `json:"want_learners"`
	// Behind is how many entries the others lack, as far as the leader knows.
	Behind map[int]uint64 `json:"behind"`
}

// behindMax is what a follower may lack while writes go on and be called whole.
const behindMax = 1000

// Ailment says why the cluster is not whole as n nodes, "" when it is: all are
// live, and every group has a leader and each of them as a voter that is not far
// behind.
func (c *Cluster) Ailment(n int) string {
	live := 0
	for _, m := range c.Nodes {
		if m.Live && !m.Leaving {
			live++
		}
	}
	if live < n {
		return fmt.Sprintf("node %d sees %d of %d nodes live", c.Node, live, n)
	}
	if len(c.Groups) == 0 {
		return fmt.Sprintf("node %d knows no groups", c.Node)
	}
	for _, g := range c.Groups {
		switch {
		case g.Leader == 0:
			return fmt.Sprintf("node %d knows no leader of group %d", c.Node, g.Group)
		case len(g.Voters) < n:
			return fmt.Sprintf("group %d has voters %v", g.Group, g.Voters)
		}
		for node, by := range g.Behind {
			if by > behindMax {
				return fmt.Sprintf("group %d: node %d lacks %d entries", g.Group, node, by)
			}
		}
	}
	return ""
}

// LedBy lists the groups a node leads, without the metadata group.
func (c *Cluster) LedBy(node int) []int {
	var out []int
	for _, g := range c.Groups {
		if g.Leader == node && g.Group != MetadataGroup {
			out = append(out, g.Group)
		}
	}
	return out
}

// LeaderOf is the leader of a group, 0 when there is none.
func (c *Cluster) LeaderOf(group int) int {
	i := slices.IndexFunc(c.Groups, func(g Group) bool { return g.Group == group })
	if i < 0 {
		return 0
	}
	return c.Groups[i].Leader
}

// InitCluster makes the authority, the certificates and the key-encryption key
// of a new cluster. NodeSecrets is where those of one node are.
func InitCluster(ctx context.Context, o Options, dir string, nodes int) error {
	if err := o.ensureDefaults(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, o.Binary, "cluster", "init", "--out", dir, "--nodes", strconv.Itoa(nodes))
	cmd.SysProcAttr = dieWithParent()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("child: cluster init: %w: %s", err, clip(out))
	}
	return nil
}

// NodeSecrets is the directory of a node's files below that of InitCluster.
func NodeSecrets(dir string, node int) string {
	return filepath.Join(dir, "node-"+strconv.Itoa(node))
}

// ReadCluster asks the node with that ops listener about its cluster.
func ReadCluster(ctx context.Context, ops string) (*Cluster, error) {
	body, err := admin(ctx, http.MethodGet, ops, "/cluster", nil)
	if err != nil {
		return nil, err
	}
	var c Cluster
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("child: the cluster of %s: %w", ops, err)
	}
	return &c, nil
}

// Transfer asks for another leader of a group.
func Transfer(ctx context.Context, ops string, group, to int) error {
	_, err := admin(ctx, http.MethodPost, ops, "/cluster/transfer",
		url.Values{"group": {strconv.Itoa(group)}, "to": {strconv.Itoa(to)}})
	return err
}

// Rebalance asks for groups and leaders to be spread.
func Rebalance(ctx context.Context, ops string) error {
	_, err := admin(ctx, http.MethodPost, ops, "/cluster/rebalance", nil)
	return err
}

// RemoveNode takes a node out of the cluster and returns when no group has it
// and no table lists it any more.
func RemoveNode(ctx context.Context, ops string, node int) error {
	for asked := false; ; {
		c, err := ReadCluster(ctx, ops)
		switch {
		case err != nil:
			return err
		case !slices.ContainsFunc(c.Nodes, func(m Member) bool { return m.ID == node }):
			return nil
		case !asked:
			if _, err := admin(ctx, http.MethodPost, ops, "/cluster/remove", url.Values{"node": {strconv.Itoa(node)}}); err != nil {
				return err
			}
			asked = true
		}
		select {
		case <-time.After(removePause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// removePause is how often a removal is looked at.
const removePause = 200 * time.Millisecond

func admin(ctx context.Context, method, ops, path string, q url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+ops+path+"?"+q.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	req.Header.Set("Chumi-Admin", "1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("child: %s: %w", path, err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, fmt.Errorf("child: %s: status %d: %s", path, resp.StatusCode, clip(body))
	}
	return body, nil
}
