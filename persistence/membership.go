package persistence

// Membership is what a store by itself knows of where it belongs.
type Membership struct {
	// Used is true for a store that holds data, of a cluster or of a node alone.
	Used bool
	// Cluster is zero for a store that has been in none.
	Cluster Cluster
	// Nodes are the members by id, as this store last heard of them.
	Nodes []Node
}

// ReadMembership reads what stands in the store, which may be out of date. It
// needs no leader and no commits.
func ReadMembership(s *Store) (Membership, error) {
	v, err := readVault(s)
	if v == nil || err != nil {
		return Membership{}, err
	}
	t, err := v.loadTable()
	if err != nil {
		return Membership{}, err
	}
	return Membership{Used: true, Cluster: t.cluster, Nodes: t.nodesSorted()}, nil
}
