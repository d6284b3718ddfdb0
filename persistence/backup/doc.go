// Package backup copies a store, and the files beside it, to a place that is not the
// node's: a directory or a bucket. It reads a [persistence.Image], which stands still
// while the store goes on, and it never holds the key-encryption key.
//
// # What lies there
//
//	objects / xx / name              content of one file, sealed
//	backups / id / manifest-key      what belongs to a backup, sealed; written last
//	backups / id / part-node-key     what one node of several gives to it, sealed
//	erasures / yyyymm / id-key       who was erased, as keyed hashes, sealed
//
// An object is named by a keyed hash of its content and sealed with a key of its own,
// bound to the name: a file that was stored before is not stored again, nobody
// without the key can tell what it is of, and one in the place of another does not
// open. A backup is there once its manifest is; the manifest is sealed, and so
// authentic, and names size and SHA-256 of every file. What an interrupted backup
// leaves are objects that the next one uses, or prunes when they are a day old.
//
// key is the fingerprint of the backup key: it is derived from the key-encryption
// key, or from another key that the operator names.
//
// # How long
//
// A backup holds what is erased after it, ciphertext and wrapped keys. So none is kept
// longer than MaxAge, and a restore erases again whoever the place, or the operator,
// says was erased since.
package backup
