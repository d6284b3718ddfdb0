// Package persistence is what the engine remembers: Pebble lives here and
// nowhere else.
//
// # The keyspace
//
// Permanent from the first release; the comparer's name and its Split are part
// of it. Integers are big endian. A word (tenant, app) is its bytes followed by
// 0x00. conv and contact are the 16 raw bytes of their ids. h16 is the first 16
// bytes of HMAC-SHA256 with the tenant's pepper: phone numbers, BSUIDs and
// wamids (which embed phone numbers) never stand in a key.
//
//	0x00                                       node-local
//	  'f'                                      format version
//	  'k'                                      fingerprint of the key-encryption key
//	  'n'                                      number of groups, fixed at creation
//	  'i'                                      identity: 16 random bytes, what tells this disk from another
//	  'g' group16                              epoch before the group was replicated
//	  'e' group16 tenant word                  up to when this node gave up the bytes of the tenant's erasures
//	0x01 group16                               the replica's own, never leaves the node:
//	  'h'                                      hard state: term, vote, commit
//	  'l' index64                              entry of the log
//	  't'                                      the entry before the log's first: index, term
//	0x02 group16 'T' tenant word               all that a tenant owns, one range:
//	    'a' h16(channel, kind, address)        -> conv, contact; how often it was given up, see lead
//	    'c' conv                               state: header, then recordpb.State
//	    'd' noun h16(noun, id)                 document: of a channel, its settings, a template, a message's files, an upload,
//	                                           a source of knowledge, a chunk, vectors
//	    'e' conv seq64                         event: pos64, then recordpb.Event
//	    'f' pos64                              feed: conv seq64; empty for 'x' events
//	    'i' h16(claim kind, key)               claims: idempotency, digests
//	    'k' contact                            the contact's key, wrapped by the tenant's
//	    'm'                                    tenant meta: last pos without an event, wrapped tenant key, wrapped pepper
//	    'p' contact                            contact, sealed
//	    'r' h16(channel, revision, remote id)  remote-id row
//	    's' conv                               the conversation has sends whose end is not known
//	    'u' counter word                       usage and budget counters
//	    'v' ^active64 conv                     inbox view, latest activity first, by the second
//	    'w'                                    the tenant is being put here from an archive: which attempt may go on
//	    'x' pos64                              events without a conversation
//	    'z' 'c' contact                        tombstone of a person: when they were erased
//	    'z' 'a' h16(channel, kind, address)    tombstone of an address: when, how often it was given up
//	0x02 group16 'A'                           what the group has applied:
//	    'i'                                    index, term of the last entry
//	    'm'                                    members as of it
//	0x02 group16 'I'                           indexes ordered over the group's tenants:
//	    'd' due64 tenant word conv             agenda: flags, pos64
//	    'x' day32 tenant word h16              expiry of claims
//	0x02 group16 'Q' app word fingerprint16    quarantine: what no tenant can be given, sealed
//	0x02 0xffff 'M'                            metadata, each row sealed:
//	    'r'                                    the metadata's own key and pepper, wrapped
//	    'a' app word                           app: secrets, verify token
//	    't' tenant word                        tenant: name, group
//	    'c' channel word                       channel: account, token
//	    'k' h16(digest)                        API key, by the SHA-256 of its secret
//	    'u' h16(tenant, e-mail)                member
//	    'v'                                    version: how often the directory changed
//	    'h'                                    the store was restored and must not act yet
//	    'j' tenant word                        the tenant came from an archive: which, and whether it may act
//	    'i'                                    the cluster: id, key's fingerprint, groups
//	    'n' node word                          node: address, whether it leaves
//	    'p' group word                         placement: which nodes shall hold a group
//	0x02 0xffff 'P'                            whom portfolios write to outside the window:
//	    'a' h16(portfolio)                     how many persons count, by quarter of an hour, sealed
//	    'p' h16(portfolio) h16(person)         the quarter the person is counted in
//	    'q' h16(portfolio) quarter32 h16(person)  the same by quarter, empty
//
// Every boundary of a group and of a tenant is a whole prefix under Split.
//
// # The durability contract
//
// A commit is proposed, and comes back from package replica in the order that the
// replicas of its group agreed on, to be staged: commits of all groups into one
// Round, which reads its own writes and becomes one batch. Only when the round has
// landed are callers answered and each group's durable position advanced. While a
// round is on its way to the disk the next one is staged on what it left behind:
// the log is one and ordered, so a crash keeps a prefix. stage is the only writer of
// state and is deterministic: it draws no time, randomness or encryption. Pebble
// shows a batch to readers before its fsync returns, so nothing outside may act on
// what it reads past the durable position.
//
// Bodies, names, numbers, remote ids and model I/O are sealed with a key per
// contact before the commit is formed; what stage and every file see is
// ciphertext. The metadata and the quarantine belong to no contact: they are
// sealed with the metadata's own key, their h16 is made with its own pepper. So is
// that of the persons whom portfolios write to; their rows say when, for a day.
//
// # Taking back
//
// A commit may take the content out of earlier events of its conversation: it puts
// their records, without what a redaction takes away, at their own keys. Seq, position
// and kind stay; the feed tells of it by a message_revoked event.
//
// # Erasing
//
// An erase is a commit like any other, one per conversation of the person: it
// replaces every event by a skeleton of seq, kind and time, clears what is owed,
// deletes the rows that lead to the person and the contact's key, and ends the
// journal with a marker. Bytes go with the next compaction and turn of the
// logs, which the erase forces. What stays are tombstones: of the person, so that a
// store that is restored from an older backup erases again, and of each address, so
// that what Meta sends once more, or late, is not taken in. The address counts as given
// up; whoever writes from it next is somebody else.
//
// # Images
//
// A backup is made of an image, a directory "image" below the store: hard links to its
// tables, and copies of the rest. It is there only while it is read; opening the store
// removes what a crash left. A restored store is not a copy of the files: the groups'
// rows are written anew, without what says where they live (0x00, 0x01, section A, the
// metadata rows h, i, n and p). Its groups begin as those of an older store, with terms
// above the highest that the backup has seen, which the rows 0x00 g keep.
//
// # Archives
//
// An archive holds one tenant: its rows, its rows of the indexes, and what the metadata
// says of it. Rows come as they are: what they are sealed to names the tenant, never the
// group nor the store. Only the tenant's key and pepper are unwrapped for it and wrapped
// again by the key-encryption key of where it goes. An import is plain writes through
// the log, each on condition of row w, so that a late one of an attempt that was given
// up changes nothing. Until the tenant's meta row is there, which is written last,
// nobody finds the tenant; until the metadata has it, nobody is it. Row j, which is
// written first, keeps its agenda from firing meanwhile, and until an operator lets the
// tenant act.
package persistence
