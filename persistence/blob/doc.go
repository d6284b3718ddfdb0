// Package blob keeps files: media of messages, pictures of contacts, uploads. It
// is the only place where bytes of a file meet a disk or a bucket, and no plain
// byte leaves it.
//
// # What is stored
//
// A file is sealed while it is written, with a random key of its own that is
// returned to the caller and kept nowhere here: AES-256-GCM in pieces, bound to
// tenant and purpose. Whoever destroys the key has destroyed the file. The name
// is random behind a stem that says what the file is for; it does not depend on
// the content, or equal files of two tenants could be told from outside.
//
// # Where
//
// Under tenant / two characters / name, in a [Dir] or a [Bucket]. A file is
// there entirely or not at all: a directory gets it by rename after it is synced,
// a bucket by the end of the upload.
//
// # When it is kept and when it goes
//
// A file is stored before the commit that tells of it. A crash in between leaves
// a file that nobody refers to, as does a key that was erased; [Store.Each] finds
// them by name and age, and their owner decides. Deleting twice is no error.
package blob
