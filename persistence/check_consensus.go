package persistence

import "strconv"

// raftRow checks the shape of a row of the replica's own range. Whether a log
// leads on from what was applied is the replica's to know.
func (k *checker) raftRow(key, value []byte) {
	switch {
	case key[3] == raftHardState && len(key) == 4:
		k.sized(key, value, 24)
	case key[3] == raftTruncated && len(key) == 4:
		k.sized(key, value, 16)
	case key[3] == raftEntry && len(key) == 12:
		if len(value) == 0 {
			k.broken(InvariantRecord, key, "an entry of the log is empty")
		}
	default:
		k.broken(InvariantKeyspace, key, "no such row of a replica")
	}
}

// appliedRow checks what a group says of the entries it has applied.
func (k *checker) appliedRow(key, value []byte) {
	switch key[4] {
	case appliedIndex:
		k.sized(key, value, 16)
	case appliedMembers:
		if len(value) == 0 {
			k.broken(InvariantRecord, key, "a group has no members")
		}
	default:
		k.broken(InvariantKeyspace, key, "no such row of a group")
	}
}

func (k *checker) sized(key, value []byte, want int) {
	if len(value) != want {
		k.broken(InvariantRecord, key, strconv.Itoa(len(value))+" bytes, want "+strconv.Itoa(want))
	}
}
