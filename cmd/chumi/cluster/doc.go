// Package cluster is one node's part in a cluster: what connects the replicas,
// the actors and the API of this process with those of the others. Like the rest
// of cmd it only wires: it knows all three wings, and none of them knows it.
//
// # Who is a member
//
// The directory, in the metadata group that every node holds, lists the nodes and
// says which of them shall hold each group. A node founds a cluster, or joins one
// by asking any member; the answer is a change of the directory and nothing else.
// The leader of each group then moves its members to where the directory wants
// them (replica.Tend), so a crash at any point of a growth is carried on with.
//
// # Who answers
//
// Each group has one leader. What arrives at another node is brought to it:
// webhooks as mail between routers, API requests as the requests they are, plain
// writes of the directory and the quarantine as proposals. Who was asked wrongly
// says who leads, and the asker goes on until its own deadline.
//
// # Calls between nodes
//
//	POST /peer/join               a node asks to be a member; the one call of strangers
//	POST /peer/propose/{group}    a plain write for the group's leader
//	POST /peer/deliver/{group}    a delivery that no mail can hold
//	POST /peer/transfer/{group}/{node}  hand the group over
//	GET  /peer/status             what the node knows of every group
//	     /v1/...                  a request of the API, relayed
package cluster
