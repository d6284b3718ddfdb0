// Package seal is the encryption of stored data: AES-256-GCM boxes, the
// key-encryption key and its file, and the keyed hash that lets rows be found
// by a phone number or message id that is not readable in the store.
//
// The hierarchy: the key-encryption key, kept outside the store, wraps one key
// and one pepper per tenant; the tenant's key wraps one key per contact; the
// contact's key seals everything that person wrote or was written. Destroying a
// contact's key destroys the readable form of all of it.
//
// Every box binds associated data: what a ciphertext belongs to. A ciphertext
// moved to another place does not open.
package seal
