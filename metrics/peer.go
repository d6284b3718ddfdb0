package metrics

import "github.com/prometheus/client_golang/prometheus"

// Peer is what the port between nodes reports. Nodes are not labels: which one
// is meant stands in the log.
type Peer struct {
	// Refused counts refused connections and streams by reason; the reasons are
	// the constants Reason… of transport/peer.
	Refused *prometheus.CounterVec
	// Dropped counts messages not sent by kind (raft, mail) and reason:
	// overflow, unreachable, closed, unknown, unknown_type, oversized, malformed,
	// in_flight.
	Dropped *prometheus.CounterVec
	// Messages and Bytes count by kind (raft, mail; bytes also snapshot) and
	// direction (in, out).
	Messages, Bytes *prometheus.CounterVec
	// Connects counts attempts to connect by kind (raft, mail, call) and result
	// (ok, failed).
	Connects *prometheus.CounterVec
	// Snapshots counts snapshots by direction and result.
	Snapshots *prometheus.CounterVec
	// Calls counts calls by direction and result: out, ok is any answer; in, ok is
	// any that the handler gave.
	Calls *prometheus.CounterVec
	// InFlight is the requests to other nodes that wait for an answer.
	InFlight prometheus.Gauge
	// CertificateExpiry is when this node's certificate ends.
	CertificateExpiry prometheus.Gauge
	// Reloads counts changes of the certificate's files by result (ok, failed).
	Reloads *prometheus.CounterVec
}

func newPeer(reg prometheus.Registerer) Peer {
	p := Peer{
		Refused:           counters(reg, "chumi_peer_refused_total", "Refused connections and streams between nodes.", "reason"),
		Dropped:           counters(reg, "chumi_peer_dropped_total", "Messages to other nodes that were not sent.", "kind", "reason"),
		Messages:          counters(reg, "chumi_peer_messages_total", "Messages between nodes.", "kind", "direction"),
		Bytes:             counters(reg, "chumi_peer_bytes_total", "Bytes of frames and chunks between nodes.", "kind", "direction"),
		Connects:          counters(reg, "chumi_peer_connects_total", "Attempts to connect to another node.", "kind", "result"),
		Snapshots:         counters(reg, "chumi_peer_snapshots_total", "Snapshots sent and received.", "direction", "result"),
		Calls:             counters(reg, "chumi_peer_calls_total", "Calls made to other nodes and served for them.", "direction", "result"),
		InFlight:          gauge(reg, "chumi_peer_in_flight", "Requests to other nodes that wait for an answer."),
		CertificateExpiry: gauge(reg, "chumi_peer_certificate_expiry_timestamp_seconds", "When this node's certificate ends, in Unix time; 0 without one."),
		Reloads:           counters(reg, "chumi_peer_certificate_reloads_total", "Changes of the node's certificate files that were taken up or not.", "result"),
	}
	seedPairs(p.Dropped, []string{"raft", "mail"}, []string{"overflow", "unreachable"})
	seedPairs(p.Messages, []string{"raft", "mail"}, ways)
	seedPairs(p.Bytes, []string{"raft", "mail", "snapshot"}, ways)
	seedPairs(p.Connects, []string{"raft", "mail", "call"}, outcomes)
	seedPairs(p.Snapshots, ways, outcomes)
	seedPairs(p.Calls, ways, outcomes)
	seed(p.Refused, "foreign_ca", "expired", "wrong_cluster", "not_admitted", "plaintext", "handshake")
	seed(p.Reloads, outcomes...)
	return p
}
