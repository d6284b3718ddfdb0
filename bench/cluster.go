package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

const (
	// clusterNodes is how many nodes TargetCluster has.
	clusterNodes = 3
	// wholeIn bounds the wait until every group has its copies and leadership is
	// spread.
	wholeIn = 60 * time.Second
	// wholePause is how often that is looked at.
	wholePause = 100 * time.Millisecond
	// clusterConns leaves one client all the connections it asks for.
	clusterConns = 4096
)

// startCluster starts three nodes on empty stores and waits until they are whole.
func (r *runner) startCluster(ctx context.Context, quiet string, sims *simulators) (*server, error) {
	r.servers++
	dir := filepath.Join(r.dir, fmt.Sprintf("%03d-%s", r.servers, TargetCluster))
	secrets := filepath.Join(dir, "secrets")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	if err := child.InitCluster(ctx, child.Options{Binary: r.o.Binary}, secrets, clusterNodes); err != nil {
		return nil, err
	}
	var first *server
	var join []string
	for n := 1; n <= clusterNodes; n++ {
		s, err := r.startNode(ctx, dir, secrets, n, join, quiet, sims)
		if err != nil {
			if first != nil {
				first.kill()
			}
			return nil, err
		}
		if first == nil {
			first = s
		} else {
			first.more = append(first.more, s)
		}
		join = append(join, s.Peer)
	}
	if err := whole(ctx, first.Ops); err != nil {
		first.kill()
		return nil, err
	}
	return first, nil
}

func (r *runner) startNode(ctx context.Context, dir, secrets string, n int, join []string, quiet string, sims *simulators) (*server, error) {
	own := filepath.Join(dir, fmt.Sprint("node-", n))
	if err := os.MkdirAll(own, 0o700); err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	config, bootstrap, err := child.WriteFiles(own, sims.world, child.Config{
		GraphURL: sims.graphURL, InstagramURL: sims.graphURL, ModelURL: sims.modelURL, QuietPeriod: quiet,
		Node: &child.NodeConfig{Secrets: child.NodeSecrets(secrets, n), PerIPMax: clusterConns},
	})
	if err != nil {
		return nil, err
	}
	s := &server{engine: true, dir: dir, options: child.Options{Binary: r.o.Binary, DataDir: filepath.Join(own, "data"),
		Config: config, Bootstrap: bootstrap, Join: join, Found: join == nil}}
	s.Engine, err = child.Start(ctx, s.options)
	return s, err
}

// whole waits until every group has three voters that are up to date, and its
// leaders are spread.
func whole(ctx context.Context, ops string) error {
	ctx, cancel := context.WithTimeout(ctx, wholeIn)
	defer cancel()
	for asked := false; ; {
		ailment := "nobody answers"
		c, err := child.ReadCluster(ctx, ops)
		if err == nil {
			if ailment = c.Ailment(clusterNodes); ailment == "" && !asked {
				asked = child.Rebalance(ctx, ops) == nil
			}
			for n := 1; n <= clusterNodes && ailment == ""; n++ {
				if len(c.LedBy(n)) == 0 {
					ailment = fmt.Sprintf("node %d leads nothing", n)
				}
			}
			if ailment == "" {
				return nil
			}
		}
		select {
		case <-time.After(wholePause):
		case <-ctx.Done():
			return fmt.Errorf("bench: the cluster is not whole: %s", ailment)
		}
	}
}

func (s *server) nodes() []*server { return append([]*server{s}, s.more...) }

// edges are where webhooks are posted to.
func (s *server) edges() (list []string) {
	for _, n := range s.nodes() {
		list = append(list, n.Edge)
	}
	return list
}

func (s *server) pids() (list []int) {
	for _, n := range s.nodes() {
		list = append(list, n.Pid())
	}
	return list
}

// stores are where the acknowledged messages must be.
func (s *server) stores() (list []child.Options) {
	for _, n := range s.nodes() {
		list = append(list, n.options)
	}
	return list
}

// data is the directory that grows.
func (s *server) data() string {
	if len(s.more) > 0 {
		return s.dir
	}
	return s.options.DataDir
}

// terminate stops every process, the last node first.
func (s *server) terminate() error {
	for i := len(s.more) - 1; i >= 0; i-- {
		if err := s.more[i].Terminate(); err != nil {
			return err
		}
	}
	return s.Terminate()
}

func (s *server) kill() {
	for _, n := range s.nodes() {
		n.Kill()
	}
}
