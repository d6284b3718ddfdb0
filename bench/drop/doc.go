// Package drop runs an engine against a Graph that accepts messages and, for a
// share of them, drops the connection instead of answering, and counts what became
// of every message. `chumi torture --drop-answers` runs it.
//
// The engine is a child process and a black box. A run is a row of segments, each
// with an empty store:
//
//  1. Customers write, so that the windows are open.
//  2. Members write Messages to Instagram, where a send whose answer was dropped is
//     not repeated (at_most_once), and as many to WhatsApp, where it is
//     (at_least_once). Of the messages whose answer is dropped, every other one is
//     reported at once, by a status or an echo; nothing is said of the rest.
//  3. When nothing is attempted any more, GET /v1/sends must list exactly the
//     Instagram messages whose answer was dropped and of which nothing was said.
//  4. Then their echoes, and the late statuses, are posted. Each send must leave the
//     list within SettleMax of the 200.
//  5. The engine stops; its store is checked, and its export must say of every
//     message that it was accepted.
//
// Doubles are messages that Graph accepted more than once; of at_most_once there
// may be none. Missing are messages it never accepted; there may be none at all.
// The simulator holds every request against Meta's pace, too.
package drop
