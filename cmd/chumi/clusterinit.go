package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/seal"
	"github.com/chumiai/chumi/transport/peer"
)

// initNodesMax bounds what cluster init makes at once; cluster cert makes more.
const initNodesMax = 64

// kekFile is the key-encryption key in a node's directory, the same for all.
const kekFile = "kek"

func (c *cli) clusterInitCommand() *cobra.Command {
	var id, out string
	var nodes int
	cmd := &cobra.Command{Use: "init", Short: "Make all that the nodes of a new cluster need",
		Long: `init makes a private authority, a certificate for each node, and one key-encryption
key that all of them share, each node's in a directory of its own:

  chumi cluster init --out shop --nodes 3

  shop/ca.crt, ca.key   the authority; keep ca.key away from the nodes
  shop/node-1/          node.crt, node.key, ca.crt, kek, chumi.yaml
  shop/node-2/          ...

Bring each node its directory and start it there: the first with

  chumi serve --config chumi.yaml --found

this once, and every other with --join and the first one's peer address.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case out == "":
				return usageError(errors.New("cluster init needs --out"))
			case nodes < 1 || nodes > initNodesMax:
				return usageError(fmt.Errorf("--nodes is %d, it must be 1 to %d", nodes, initNodesMax))
			}
			return c.initCluster(id, out, nodes)
		}}
	f := cmd.Flags()
	f.StringVar(&id, "cluster-id", "chumi", "id of the cluster: lower-case letters, digits, hyphens")
	f.StringVar(&out, "out", "", "directory for everything; made if it is missing")
	f.IntVar(&nodes, "nodes", 3, "how many nodes")
	return cmd
}

func (c *cli) initCluster(id, out string, nodes int) error {
	ca, err := peer.NewCA(peer.CAOptions{ClusterID: id, Days: peer.DefaultCADays, Now: time.Now()})
	if err != nil {
		return asUsage(err)
	}
	if err := peer.WriteCA(out, ca); err != nil {
		return err
	}
	var key []byte
	for n := 1; n <= nodes; n++ {
		pair, err := peer.IssueNode(ca, peer.NodeOptions{Node: chat.NodeID(n), Days: peer.DefaultNodeDays, Now: time.Now()})
		if err != nil {
			return asUsage(err)
		}
		dir := filepath.Join(out, "node-"+strconv.Itoa(n))
		if err := peer.WriteNode(dir, pair, ca.Cert); err != nil {
			return err
		}
		if key == nil {
			if _, _, err := seal.LoadOrCreateKEK(filepath.Join(dir, kekFile)); err != nil {
				return err
			}
			if key, err = os.ReadFile(filepath.Join(dir, kekFile)); err != nil {
				return err
			}
		} else if err := writeOnce(filepath.Join(dir, kekFile), key, 0o400); err != nil {
			return err
		}
		if err := writeOnce(filepath.Join(dir, defaultConfigFile), []byte(nodeConfig), 0o600); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.stdout, "wrote the authority and %d nodes of cluster %s to %s\nkeep %s away from the nodes, and a copy of kek apart from backups: without it no data can be read\n",
		nodes, id, out, filepath.Join(out, peer.CAKeyFile))
	return err
}

// nodeConfig is the configuration of a node, run in its directory.
const nodeConfig = `# Run in this directory: chumi serve --config chumi.yaml
# with an empty data directory: --join HOST:PORT, a member's peer address, and only
# on the first node of a new cluster, once: --found.
data_dir: data
cluster:
  cert_file: node.crt
  key_file: node.key
  ca_file: ca.crt
keys:
  file: kek
peer:
  addr: 127.0.0.1:8083        # where other nodes reach this one
`

// writeOnce writes a new file and replaces none.
func writeOnce(path string, data []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
