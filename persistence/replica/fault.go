package replica

// fault is a mistake that the tests of this package make on purpose, to show that
// the simulator notices it. Nothing but those tests sets one.
type fault int

// The faults.
const (
	faultVoteUnsynced     fault = iota + 1 // a vote is told before it is on the disk
	faultVoteUnwritten                     // a vote is not written at all
	faultTermUnwritten                     // a term without a vote is not written
	faultAppendUnsynced                    // an append is told before it is on the disk
	faultStaleAccepted                     // the epoch of a commit is not looked at
	faultTailKept                          // what a new leader overwrites stays behind it in the log
	faultSnapshotUnplaced                  // a snapshot does not say up to where it goes
	faultLogKept                           // a snapshot leaves the log of before
	faultReadUnconfirmed                   // a read does not ask whether the leader still is one
	faultHeldSent                          // an entry without its commits goes to others
	faultAnsweredEarly                     // a commit is answered when it is proposed
	faultAppliedLate                       // what was applied is noted now and then
	faultMembersUnwritten                  // a change of members is not written
	faultSoleUnsynced                      // a group of one answers before its sync
	faultCommitUnwritten                   // that a change of members is committed is not written
	faults                                 // how many there are, and one
)

// plant makes the core, and the logs of its groups, do f.
func (c *core) plant(f fault) {
	c.fault = f
	for _, m := range c.order {
		m.log.fault = f
	}
}
