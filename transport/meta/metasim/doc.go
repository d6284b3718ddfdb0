// Package metasim simulates Meta: the Graph endpoints a business sends messages
// through, the webhooks that tell it what customers wrote and what became of
// its messages, and the phones on the other side.
//
// It is written from Meta's documents and imports nothing of this module, so
// that a mistake in the engine's own Meta adapter cannot cancel out against the
// same mistake here.
//
// What it promises to whoever compares it with the engine:
//
//   - Every send request is in the send ledger, with what will become of it,
//     before the first byte of its answer is written and before any hook runs.
//   - Every update it makes is in the inbound ledger before it is first posted,
//     and carries the receipt number of its first 200.
//   - Receipt numbers come from one counter, so they order sends and
//     acknowledgements against each other: a smaller number happened earlier.
//   - Faults, delays and ids depend on the seeds and on the message they are
//     about, never on the order in which requests happen to arrive.
//
// Every type of message that Meta documents is accepted for sending and checked
// against its documented limits, but for those of single markets, of groups and of
// calls. Media and templates are taken at their word: that an id or a name exists
// is not checked. The files of customers' messages can be fetched as Meta gives
// them: by an id and a link of five minutes on WhatsApp, by a link on Instagram.
//
// It also keeps what Meta knows of accounts beside their messages: tokens and how
// they end, logins and their codes, subscriptions, standing, templates, profiles.
//
// Simplifications, on purpose: the window after a customer's message is enforced
// only with Options.Windows, because customers may have written to the engine on
// other ways; a message outside it is refused at once, where WhatsApp mostly tells
// by a status; and a reset request is read before the connection is reset, so that
// its fault can depend on its content.
package metasim
