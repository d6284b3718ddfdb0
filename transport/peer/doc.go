// Package peer is the one port between the nodes of a cluster. Four kinds of
// traffic share its listener, each on TCP connections of its own, so that a
// snapshot does not hold up heartbeats:
//
//	raft      frames of Raft messages of all groups; lossy, ordered per node
//	mail      actor messages, in the batches of protoactor's remote; at most once
//	snapshot  one stream per snapshot, checksummed, answered when installed
//	calls     requests and their answers, which may be streams; at most once
//
// Calls are HTTP/1.1 and the rest is gRPC, which ALPN tells apart; all of it is
// over mutual TLS 1.3. A node's certificate names its cluster
// and its number, in the URI chumi://<cluster id>/node/<node id>; that name, not
// an address and not what a message says of itself, is who a peer is. The
// network is taken to be hostile and peers to be of other versions; a peer with
// a valid certificate is trusted with Raft, but not to crash this process:
//
//	P1  nothing is read from a connection whose certificate is not of our CA,
//	    of our cluster and in its validity; a dialled peer must also be the node
//	    that was meant
//	P2  every refusal is one rate-limited log line and one count of
//	    chumi_peer_refused_total; the node stays up
//	P3  a Raft message whose From is not the certificate's node is refused, and
//	    so is mail whose sender is an actor of a third node
//	P4  no mail is decoded whose type is not in Options.MailTypes, and no type can
//	    be listed there that stops or watches actors
//	P5  every queue, frame, stream and connection count has a bound
//	P6  a panic behind the port ends a stream or a call, never the process
//
// Calls have places of their own among the connections, so that no number of them
// keeps Raft out. Options.Admit is asked for each stream and each call; a node it
// says no to may still call Options.OpenPaths, which is how it joins.
//
// Actors of other nodes are addressed as Address(node): the address of a PID
// says which node, Transport.SetPeers says where that node is now.
package peer
