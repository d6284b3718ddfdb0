package failpoint

import "time"

// Order is what a build with -tags torture is told to do to its disk and its
// clock. It stands as JSON in the file that CHUMI_ORDERS names, from the start of
// the process or from any moment after, and until another one takes its place.
type Order struct {
	// Number tells orders apart; notes carry it. An order with the number of the
	// one that stands is not looked at.
	Number int64 `json:"number"`
	// SyncError, from 1 on, has that sync of the store's log and every one after
	// it fail with EIO. What was written to the file since the sync before is
	// thrown away, as a disk may. With AnyFile syncs of all files count and fail.
	SyncError int64 `json:"sync_error,omitempty"`
	AnyFile   bool  `json:"any_file,omitempty"`
	// Lie has those syncs say that all is well, though nothing was done. What a
	// power cut would then take away is in the notes.
	Lie bool `json:"lie,omitempty"`
	// Stall has every sync wait until so long after the order was taken.
	Stall time.Duration `json:"stall_ns,omitempty"`
	// Scarce has the disk say that it has no room, Full every write fail with ENOSPC.
	Scarce bool `json:"scarce,omitempty"`
	Full   bool `json:"full,omitempty"`
	// Clock is how far the wall clock is off, in whole seconds.
	Clock time.Duration `json:"clock_ns,omitempty"`
}

// Note is what the build wrote down about an order, one JSON object a line, in
// the file whose name has NotesSuffix after that of the orders.
type Note struct {
	Number int64  `json:"number"`
	What   string `json:"what"`
	// Time is of the real clock.
	Time time.Time `json:"time"`
	// File is what a sync failed of, Synced how much of it is on the disk.
	File   string `json:"file,omitempty"`
	Synced int64  `json:"synced,omitempty"`
}

// NotesSuffix ends the name of the file of notes.
const NotesSuffix = ".notes"

// What a Note says.
const (
	NoteTaken  = "taken"       // the order stands from now on
	NoteFailed = "sync failed" // the first sync of a file that failed
	NoteLied   = "sync lied"   // the first sync of a file that was not done
)
