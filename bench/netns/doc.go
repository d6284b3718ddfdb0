// Package netns builds a small network of its own: a bridge on this machine and
// one network namespace per node, where a node's packets to other nodes can be
// dropped while clients still reach it.
//
// It needs Linux, root, and the commands ip and nft; [New] says which is
// missing. Everything it makes is named chumi-<pid>, is inside the new
// namespaces or on the new bridge, and goes with [Network.Close].
package netns

import (
	"errors"
	"strconv"
)

// ErrUnavailable is wrapped by the errors of New on machines that cannot have
// such a network.
var ErrUnavailable = errors.New("netns: no network namespaces here")

// Direction says which packets between a node and the other nodes are dropped.
type Direction int

// The directions.
const (
	Both Direction = iota
	// In drops what comes in from other nodes, Out what goes out to them.
	In
	Out
)

// Node is one namespace with one address. Nodes count from 1.
type Node struct {
	// Name is the namespace's.
	Name string
	// Addr is the node's address, without a port.
	Addr string
}

// Within is the command that runs another one in the node's namespace, in its
// own place.
func (n *Node) Within() []string { return []string{"ip", "netns", "exec", n.Name} }

// At is an address of the node with a port.
func (n *Node) At(port int) string { return n.Addr + ":" + strconv.Itoa(port) }
