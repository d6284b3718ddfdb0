package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/transport/peer"
)

func (c *cli) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Make, watch and change a cluster of nodes",
		Long: `Nodes of a cluster speak to one another with mutual TLS only. One private
authority per cluster signs one certificate per node; init makes all of it at once,
ca and cert one by one:

  chumi cluster init --out shop --nodes 3

Keep ca.key away from the nodes: whoever has it can be any of them. A certificate
that ends is replaced by writing the new files over the old ones on the node, which
takes them up without a restart.

The other commands talk to the ops listener of a running node, any one will do.`,
		Args: noArgs, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.clusterInitCommand(), c.clusterCACommand(), c.clusterCertCommand(),
		c.clusterStatusCommand(), c.clusterAddCommand(), c.clusterRemoveCommand(), c.clusterTransferCommand(), c.clusterRebalanceCommand(), c.clusterFinalizeCommand())
	return cmd
}

func (c *cli) clusterCACommand() *cobra.Command {
	var id, out string
	var days int
	cmd := &cobra.Command{Use: "ca", Short: "Make the private authority of a new cluster",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if id == "" || out == "" {
				return usageError(errors.New("cluster ca needs --cluster-id and --out"))
			}
			if err := positive(days); err != nil {
				return err
			}
			ca, err := peer.NewCA(peer.CAOptions{ClusterID: id, Days: days, Now: time.Now()})
			if err != nil {
				return asUsage(err)
			}
			if err := peer.WriteCA(out, ca); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "wrote %s and %s: the authority of cluster %s, for %d days\nkeep %s away from the nodes\n",
				filepath.Join(out, peer.CACertFile), filepath.Join(out, peer.CAKeyFile), id, days, peer.CAKeyFile)
			return err
		}}
	f := cmd.Flags()
	f.StringVar(&id, "cluster-id", "", "id of the cluster: lower-case letters, digits, hyphens")
	f.StringVar(&out, "out", "", "directory for ca.crt and ca.key; made if it is missing")
	f.IntVar(&days, "days", peer.DefaultCADays, "days until it ends")
	return cmd
}

func (c *cli) clusterCertCommand() *cobra.Command {
	var dir, out string
	var node uint64
	var hosts []string
	var days int
	cmd := &cobra.Command{Use: "cert", Short: "Make the certificate of one node",
		Long: `cert signs a certificate for one node with the authority that cluster ca made,
and writes all the node needs: node.crt, node.key, and ca.crt to know its peers.
Nothing is replaced. Peers know a node by its number; --host adds names and
addresses for other tools.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if dir == "" || out == "" || node == 0 {
				return usageError(errors.New("cluster cert needs --ca, --node (from 1) and --out"))
			}
			if err := positive(days); err != nil {
				return err
			}
			ca, err := peer.ReadPair(filepath.Join(dir, peer.CACertFile), filepath.Join(dir, peer.CAKeyFile))
			if err != nil {
				return fmt.Errorf("no authority in %s, chumi cluster ca makes one: %w", dir, err)
			}
			pair, err := peer.IssueNode(ca, peer.NodeOptions{Node: chat.NodeID(node), Hosts: hosts, Days: days, Now: time.Now()})
			if err != nil {
				return asUsage(err)
			}
			if err := peer.WriteNode(out, pair, ca.Cert); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "wrote %s, %s and %s for node %d, for %d days\n",
				filepath.Join(out, peer.NodeCertFile), filepath.Join(out, peer.NodeKeyFile), filepath.Join(out, peer.CACertFile), node, days)
			return err
		}}
	f := cmd.Flags()
	f.StringVar(&dir, "ca", "", "directory with ca.crt and ca.key")
	f.Uint64Var(&node, "node", 0, "number of the node, from 1; no two nodes share one")
	f.StringVar(&out, "out", "", "directory for node.crt, node.key and ca.crt; made if it is missing")
	f.StringArrayVar(&hosts, "host", nil, "a DNS name or address to put in (repeatable)")
	f.IntVar(&days, "days", peer.DefaultNodeDays, "days until it ends")
	return cmd
}

func positive(days int) error {
	if days <= 0 {
		return usageError(fmt.Errorf("--days is %d, it must be positive", days))
	}
	return nil
}

// asUsage gives errors of what was asked the exit code of wrong usage.
func asUsage(err error) error {
	if chat.KindOf(err) == chat.KindInvalid {
		return usageError(err)
	}
	return err
}
