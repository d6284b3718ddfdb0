package peer

import (
	"crypto/x509"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
)

// scheme is that of the URI which names a node in its certificate.
const scheme = "chumi"

// clusterID admits what is a host name's label: it stands as the host of a URI.
var clusterID = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Identity is what a certificate proves.
type Identity struct {
	// Cluster is the id of the cluster.
	Cluster string
	// Node is the number of the node in it, from 1.
	Node chat.NodeID
}

// Validate says what is wrong with a cluster or node id.
func (i Identity) Validate() error {
	if err := validCluster(i.Cluster); err != nil {
		return err
	}
	if i.Node == 0 {
		return chat.E("peer.Identity", chat.KindInvalid, "node ids count from 1", nil)
	}
	return nil
}

func validCluster(id string) error {
	if !clusterID.MatchString(id) {
		return chat.E("peer.Identity", chat.KindInvalid,
			fmt.Sprintf("cluster id %q is not 1 to 63 lower-case letters, digits and inner hyphens", id), nil)
	}
	return nil
}

// URI is the identity as it stands in a certificate.
func (i Identity) URI() string {
	return fmt.Sprintf("%s://%s/node/%d", scheme, i.Cluster, i.Node)
}

// IdentityOf reads the identity of a certificate. A certificate without one, or
// with two, has none; the error is a Refusal.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	var found []Identity
	for _, u := range cert.URIs {
		if u.Scheme != scheme {
			continue
		}
		number, ok := strings.CutPrefix(u.Path, "/node/")
		node, err := strconv.ParseUint(number, 10, 64)
		id := Identity{Cluster: u.Host, Node: chat.NodeID(node)}
		// The comparison refuses what a URI may carry besides: user, port, query.
		if !ok || err != nil || id.Validate() != nil || id.URI() != u.String() {
			return Identity{}, refusal(ReasonNoIdentity, "the certificate names %q, which is no node's URI", u)
		}
		found = append(found, id)
	}
	if len(found) != 1 {
		return Identity{}, refusal(ReasonNoIdentity, "the certificate holds %d URIs %s://<cluster id>/node/<node id>, it must hold one", len(found), scheme)
	}
	return found[0], nil
}

// addressPrefix begins the address of every PID of a cluster.
const addressPrefix = "node-"

// Address is the address of the PIDs of a node's actors. It names the node, not
// a place, and stays right when the node moves.
func Address(node chat.NodeID) string { return addressPrefix + strconv.FormatUint(uint64(node), 10) }

// NodeOf is the node that an address of a PID names.
func NodeOf(address string) (node chat.NodeID, ok bool) {
	number, ok := strings.CutPrefix(address, addressPrefix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(number, 10, 64)
	node = chat.NodeID(n)
	return node, err == nil && node != 0 && Address(node) == address
}
