package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/cmd/chumi/cluster"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/peer"
)

const (
	// expiryWarn leaves time to bring a new certificate to a node.
	expiryWarn = 30 * 24 * time.Hour
	// peerTimeout bounds one look at another node's port.
	peerTimeout = 3 * time.Second
)

// membership looks at the node's certificate, and at the other nodes.
func (d *doctor) membership(ctx context.Context) (list []finding) {
	if !d.config.Cluster.On() {
		return nil
	}
	f, self := d.certificate()
	list = append(list, f)
	if self.Node == 0 {
		return list
	}
	if d.running {
		return append(list, d.cluster()...)
	}
	return append(list, d.peers(ctx, self)...)
}

// certificate looks at the files that make this machine a node.
func (d *doctor) certificate() (finding, peer.Identity) {
	c := &d.config.Cluster
	credentials, err := peer.OpenCredentials(peer.CredentialOptions{CertFile: c.CertFile, KeyFile: c.KeyFile, CAFile: c.CAFile,
		Now: d.now, Metrics: &metrics.New(nil).Peer, Log: slog.New(slog.DiscardHandler)})
	const fix = "make a new one with chumi cluster cert, and write its files over the old ones: the node takes them up without a restart"
	if err != nil {
		return fail("certificate", fix, "%v", err), peer.Identity{}
	}
	self := credentials.Identity()
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return fail("certificate", fix, "%v", err), peer.Identity{}
	}
	left := pair.Leaf.NotAfter.Sub(d.now())
	if left < expiryWarn {
		return warn("certificate", fix, "the certificate of node %d ends in %d days", self.Node, int(left.Hours()/24)), self
	}
	return okay("certificate", "node %d of cluster %s, for %d more days", self.Node, self.Cluster, int(left.Hours()/24)), self
}

// cluster is what the running node knows of the others.
func (d *doctor) cluster() (list []finding) {
	s, err := d.operator().status()
	if err != nil {
		return []finding{fail("peer", "docs/runbook.md: a node of a cluster is not ready", "the node does not say how the cluster is: %v", err)}
	}
	for _, n := range s.Nodes {
		if !n.Live {
			list = append(list, fail("peer", "start it, or let this machine through to its peer port; chumi cluster remove when it is gone for good", "node %d at %s does not answer", n.ID, n.Addr))
			continue
		}
		list = append(list, okay("peer", "node %d at %s answers", n.ID, n.Addr))
	}
	list = append(list, formatFinding(s))
	unled, short := 0, 0
	for _, g := range s.Groups {
		if g.Leader == 0 {
			unled++
		}
		if !slices.Equal(g.Voters, g.WantVoters) {
			short++
		}
	}
	switch {
	case unled > 0:
		list = append(list, fail("groups", "bring back a majority of the nodes", "%d of %d groups have no leader: what is posted for their tenants is answered 503", unled, len(s.Groups)))
	case short > 0:
		list = append(list, warn("groups", "wait; chumi cluster status shows how far it is", "%d of %d groups are on their way to other nodes", short, len(s.Groups)))
	default:
		list = append(list, okay("groups", "all %d groups are led and where they shall be", len(s.Groups)))
	}
	return list
}

// formatFinding is whether an upgrade is finished.
func formatFinding(s *cluster.Status) finding {
	switch line := s.FormatLine(); {
	case s.FormatNext == 0:
		return okay("format", "%s, the newest that the nodes know", line)
	case len(s.FormatLacking) > 0:
		return warn("format", "go on with the upgrade: docs/operations.md, Upgrading", "%s", line)
	default:
		return warn("format", "chumi cluster finalize, when nobody wants to go back to the version of before", "%s", line)
	}
}

// peers knocks at the ports of the members that a stopped node's store knows of.
func (d *doctor) peers(ctx context.Context, self peer.Identity) (list []finding) {
	if !exists(storeDir(d.config)) {
		return []finding{okay("peer", "the node is in no cluster yet: --join or --found brings it into one")}
	}
	store, err := openOffline(d.config, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{fail("peer", "chumi check looks closer", "the store does not say who the other nodes are: %v", err)}
	}
	known, err := persistence.ReadMembership(store)
	if closed := store.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return []finding{fail("peer", "chumi check looks closer", "the store does not say who the other nodes are: %v", err)}
	}
	if known.Cluster.ID != "" && known.Cluster.ID != self.Cluster {
		return []finding{fail("peer", "use the certificate of that cluster", "the data directory is of cluster %s, the certificate of %s", known.Cluster.ID, self.Cluster)}
	}
	for _, n := range known.Nodes {
		if n.ID != self.Node {
			list = append(list, d.knock(ctx, n.ID, n.Addr))
		}
	}
	return list
}

func (d *doctor) knock(ctx context.Context, id chat.NodeID, addr string) finding {
	if d.offline {
		return okay("peer", "node %d at %s is not looked at: --offline", id, addr)
	}
	conn, err := (&net.Dialer{Timeout: peerTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fail("peer", "start it, or let this machine through to its peer port", "node %d at %s cannot be reached: %v", id, addr, unwrapped(err))
	}
	_ = conn.Close()
	return okay("peer", "node %d at %s can be reached", id, addr)
}

// channels asks a running engine how the channels of a tenant stand.
func (d *doctor) channels(ctx context.Context) (list []finding) {
	if !d.running {
		return nil
	}
	a := &apiClient{base: "http://" + dialable(d.config.API.Addr), key: d.cli.lookup("CHUMI_KEY"), client: &http.Client{Timeout: serverTimeout}}
	defer a.client.CloseIdleConnections()
	if a.key == "" {
		return []finding{okay("channel", "channels are not looked at: CHUMI_KEY, an API key of their tenant, is not set")}
	}
	var shown struct{ Data []shownChannel }
	if err := a.call(ctx, http.MethodGet, "/v1/channels", nil, &shown); err != nil {
		return []finding{fail("channel", "look at CHUMI_KEY, and at api.addr", "the channels cannot be asked for: %v", err)}
	}
	for _, c := range shown.Data {
		var h chat.Health
		err := a.call(ctx, http.MethodGet, channelPath(c.ID, "/health"), nil, &h)
		switch {
		case err != nil:
			list = append(list, fail("channel", "chumi channel health --channel "+c.ID, "channel %s does not say how it stands: %v", c.ID, err))
		case c.Held != nil:
			list = append(list, fail("channel", h.Fix, "channel %s holds its sends: %s", c.ID, *c.Held))
		case !h.OK:
			list = append(list, warn("channel", h.Fix, "channel %s needs attention", c.ID))
		default:
			list = append(list, okay("channel", "channel %s is in order", c.ID))
		}
	}
	return list
}
