package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/edge"
)

// operator talks to a node's ops listener.
type operator struct {
	cli  *cli
	addr string
}

const (
	operatorTimeout = 15 * time.Second
	// watchEvery is how often a command that waits looks again.
	watchEvery = 500 * time.Millisecond
)

// operatorCommand builds a command that talks to a running node.
func (c *cli) operatorCommand(use, short, long string, flags func(*cobra.Command), run func(cmd *cobra.Command, o operator) error) *cobra.Command {
	o := operator{cli: c}
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, o) }}
	cmd.Flags().StringVar(&o.addr, "ops-addr", DefaultConfig().Ops.Addr, "ops listener of any node")
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

// request makes one request and returns the body of a good answer.
func (o operator) request(method, path string) ([]byte, error) {
	return o.requestWith(method, path, nil)
}

// requestWith is request with a body.
func (o operator) requestWith(method, path string, sent []byte) ([]byte, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.Header.SetMethod(method)
	req.SetRequestURI("http://" + strings.TrimPrefix(o.addr, "http://") + path)
	req.Header.Set(edge.OperatorHeader, "1")
	req.SetBody(sent)
	if err := fasthttp.DoTimeout(req, resp, operatorTimeout); err != nil {
		return nil, fmt.Errorf("no node answers at %s (--ops-addr): %w", o.addr, err)
	}
	body := slices.Clone(resp.Body())
	switch status := resp.StatusCode(); {
	case status == fasthttp.StatusNotFound && path == "/cluster":
		return nil, errors.New("the node at " + o.addr + " is in no cluster: it was started without cluster.cert_file")
	case status != fasthttp.StatusOK:
		return nil, errors.New(strings.TrimSpace(string(body)))
	}
	return body, nil
}

func (o operator) status() (*cluster.Status, error) {
	body, err := o.request(fasthttp.MethodGet, "/cluster")
	if err != nil {
		return nil, err
	}
	s := new(cluster.Status)
	if err := json.Unmarshal(body, s); err != nil {
		return nil, fmt.Errorf("the node's answer is unreadable: %w", err)
	}
	return s, nil
}

func (c *cli) clusterAddCommand() *cobra.Command {
	var node uint64
	var addr string
	return c.operatorCommand("add", "Keep a node that was leaving, or tell where it is now",
		`A new node enters by itself: start it with chumi serve --join. add is for a member:
it calls off a removal under way, or says at which address the node is reached now.`,
		func(cmd *cobra.Command) {
			cmd.Flags().Uint64Var(&node, "node", 0, "number of the node")
			cmd.Flags().StringVar(&addr, "addr", "", "its peer address, HOST:PORT")
		},
		func(_ *cobra.Command, o operator) error {
			if node == 0 || addr == "" {
				return usageError(errors.New("cluster add needs --node and --addr"))
			}
			_, err := o.request(fasthttp.MethodPost, fmt.Sprintf("/cluster/add?node=%d&addr=%s", node, addr))
			return err
		})
}

func (c *cli) clusterRemoveCommand() *cobra.Command {
	var node uint64
	return c.operatorCommand("remove", "Move everything off a node and strike it off",
		`remove moves the groups of a node to the others, one step after another, and then
strikes it off; it returns when that is done. The node may be down: then its groups
get another copy from those that are left. Interrupted, the removal goes on; cluster
add calls it off.

A node whose disk was lost is removed first and started again, with an empty data
directory and --join, afterwards.`,
		func(cmd *cobra.Command) { cmd.Flags().Uint64Var(&node, "node", 0, "number of the node") },
		func(cmd *cobra.Command, o operator) error {
			if node == 0 {
				return usageError(errors.New("cluster remove needs --node"))
			}
			if _, err := o.request(fasthttp.MethodPost, fmt.Sprintf("/cluster/remove?node=%d", node)); err != nil {
				return err
			}
			return c.watchRemoval(cmd, o, chat.NodeID(node))
		})
}

// watchRemoval tells how far a removal is until the node is struck off.
func (c *cli) watchRemoval(cmd *cobra.Command, o operator, id chat.NodeID) error {
	told := -1
	for {
		s, err := o.status()
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(s.Nodes, func(n cluster.NodeState) bool { return n.ID == id }) {
			fmt.Fprintf(c.stdout, "node %d has left\n", id)
			return nil
		}
		left := 0
		for _, g := range s.Groups {
			if slices.Contains(g.Voters, id) || slices.Contains(g.Learners, id) {
				left++
			}
		}
		if left != told {
			told = left
			fmt.Fprintf(c.stdout, "%d of %d groups still have node %d\n", left, len(s.Groups), id)
		}
		select {
		case <-time.After(watchEvery):
		case <-cmd.Context().Done():
			fmt.Fprintln(c.stdout, "the removal goes on")
			return nil
		}
	}
}

func (c *cli) clusterTransferCommand() *cobra.Command {
	var group string
	var to uint64
	return c.operatorCommand("transfer", "Move the leadership of one group", "",
		func(cmd *cobra.Command) {
			cmd.Flags().StringVar(&group, "group", "", "number of the group, or meta")
			cmd.Flags().Uint64Var(&to, "to", 0, "number of the node that shall lead it")
		},
		func(_ *cobra.Command, o operator) error {
			if group == "" || to == 0 {
				return usageError(errors.New("cluster transfer needs --group and --to"))
			}
			if group == "meta" {
				group = strconv.Itoa(int(persistence.MetaGroup))
			}
			_, err := o.request(fasthttp.MethodPost, fmt.Sprintf("/cluster/transfer?group=%s&to=%d", group, to))
			return err
		})
}

func (c *cli) clusterRebalanceCommand() *cobra.Command {
	return c.operatorCommand("rebalance", "Spread groups and leadership evenly over the nodes", "", nil,
		func(_ *cobra.Command, o operator) error {
			_, err := o.request(fasthttp.MethodPost, "/cluster/rebalance")
			return err
		})
}

func (c *cli) clusterFinalizeCommand() *cobra.Command {
	return c.operatorCommand("finalize", "Let the cluster write the newest format that all its nodes know",
		`After an upgrade the nodes go on writing the format of before, so that each can go back
to the version of before. finalize ends that, once every node runs a version that knows
the newer format: from then on the older version is refused, by the data directory and
by the other nodes. It is refused while a node does not know the format or does not
answer. Where there is nothing to finalize it does nothing.`, nil,
		func(_ *cobra.Command, o operator) error {
			if _, err := o.request(fasthttp.MethodPost, "/cluster/finalize"); err != nil {
				return err
			}
			s, err := o.status()
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.stdout, s.FormatLine())
			return err
		})
}
