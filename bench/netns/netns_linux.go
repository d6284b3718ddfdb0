package netns

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
)

// Network is a bridge with nodes on it. Its methods are safe for concurrent use
// on different nodes.
type Network struct {
	// Host is this machine's address on the bridge, where nodes find the
	// simulators.
	Host  string
	nodes []Node
	// undo lists the commands that remove what was made, in that order.
	undo [][]string
}

// nodesMax keeps addresses in one subnet, the host at its end.
const nodesMax = 100

// New makes a network of n nodes.
func New(n int) (*Network, error) {
	if n < 1 || n > nodesMax {
		return nil, fmt.Errorf("netns: %d nodes, 1 to %d are possible", n, nodesMax)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: only root can make them", ErrUnavailable)
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: the command %s is missing (packages iproute2 and nftables)", ErrUnavailable, tool)
		}
	}
	subnet, err := freeSubnet(os.Getpid())
	if err != nil {
		return nil, err
	}
	w := &Network{Host: subnet + ".254"}
	if err := w.build(subnet, n); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Node returns the nth node, from 1.
func (w *Network) Node(n int) *Node { return &w.nodes[n-1] }

func (w *Network) build(subnet string, n int) error {
	bridge := fmt.Sprintf("chumi-%d", os.Getpid())
	if err := w.make([]string{"ip", "link", "del", bridge}, "ip", "link", "add", bridge, "type", "bridge"); err != nil {
		return err
	}
	for _, c := range [][]string{
		{"ip", "addr", "add", w.Host + "/24", "dev", bridge},
		{"ip", "link", "set", bridge, "up"},
	} {
		if err := run(c...); err != nil {
			return err
		}
	}
	for i := 1; i <= n; i++ {
		node := Node{Name: fmt.Sprintf("%s-%d", bridge, i), Addr: fmt.Sprintf("%s.%d", subnet, i)}
		if err := w.make([]string{"ip", "netns", "del", node.Name}, "ip", "netns", "add", node.Name); err != nil {
			return err
		}
		w.nodes = append(w.nodes, node)
		// A pair goes with its namespace, but some time after it.
		if err := w.make([]string{"ip", "link", "del", node.Name},
			"ip", "link", "add", node.Name, "type", "veth", "peer", "name", "eth0", "netns", node.Name); err != nil {
			return err
		}
		for _, c := range [][]string{
			{"ip", "link", "set", node.Name, "master", bridge, "up"},
			{"ip", "-n", node.Name, "addr", "add", node.Addr + "/24", "dev", "eth0"},
			{"ip", "-n", node.Name, "link", "set", "eth0", "up"},
			{"ip", "-n", node.Name, "link", "set", "lo", "up"},
		} {
			if err := run(c...); err != nil {
				return err
			}
		}
	}
	return nil
}

// make runs a command and, when it made something, notes how to remove that
// before everything made earlier.
func (w *Network) make(undo []string, command ...string) error {
	if err := run(command...); err != nil {
		return err
	}
	w.undo = append([][]string{undo}, w.undo...)
	return nil
}

// Cut drops the packets between node n and every other node. Clients on the
// host still reach it. A cut takes the place of the one before.
func (w *Network) Cut(n int, d Direction) error {
	var others []string
	for i := range w.nodes {
		if i != n-1 {
			others = append(others, w.nodes[i].Addr)
		}
	}
	if len(others) == 0 {
		return nil
	}
	set := "{ " + strings.Join(others, ", ") + " }"
	// Declared before it is deleted, so that it need not exist: both are one
	// transaction.
	rules := "table inet chumi\ndelete table inet chumi\ntable inet chumi {\n"
	if d != Out {
		rules += "chain in { type filter hook input priority 0; policy accept; ip saddr " + set + " drop; }\n"
	}
	if d != In {
		rules += "chain out { type filter hook output priority 0; policy accept; ip daddr " + set + " drop; }\n"
	}
	return w.nft(n, rules+"}\n")
}

// Heal takes a node's cut away; without one it does nothing.
func (w *Network) Heal(n int) error {
	return w.nft(n, "table inet chumi\ndelete table inet chumi\n")
}

func (w *Network) nft(n int, rules string) error {
	c := append(w.Node(n).Within(), "nft", "-f", "-")
	cmd := exec.Command(c[0], c[1:]...)
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("netns: nft: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// Close removes everything New made. Processes in the namespaces must have
// ended. It can be called twice.
func (w *Network) Close() error {
	var errs []error
	for _, c := range w.undo {
		errs = append(errs, run(c...))
	}
	w.undo = nil
	return errors.Join(errs...)
}

func run(command ...string) error {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("netns: %s: %w: %s", strings.Join(command, " "), err, bytes.TrimSpace(out))
	}
	return nil
}

// freeSubnet finds three bytes of a private network no interface here is in;
// seed makes runs at the same time choose different ones.
func freeSubnet(seed int) (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", fmt.Errorf("netns: %w", err)
	}
	for i := range 256 {
		subnet := fmt.Sprintf("10.213.%d", (seed+i)%256)
		prefix := netip.MustParsePrefix(subnet + ".0/24")
		taken := false
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			taken = taken || err == nil && p.Overlaps(prefix)
		}
		if !taken {
			return subnet, nil
		}
	}
	return "", errors.New("netns: every subnet of 10.213.0.0/16 is in use here")
}
