package chat

import "time"

// BackupLife is the longest that a backup is kept. It may hold whoever was erased since
// it was made.
const BackupLife = 30 * 24 * time.Hour

// Erasure is how far the erasure of a person is.
type Erasure struct {
	Contact ContactID
	// At is when they were erased: from then on nothing of theirs can be read.
	At time.Time
	// Left says what may still hold ciphertext, and until when; empty when only backups
	// do.
	Left []string
}

// BackupsUntil is until when a backup of before may exist.
func (e *Erasure) BackupsUntil() time.Time { return e.At.Add(BackupLife) }

// Complete reports whether nothing is left anywhere.
func (e *Erasure) Complete(now time.Time) bool {
	return len(e.Left) == 0 && now.After(e.BackupsUntil())
}
