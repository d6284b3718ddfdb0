// Package openaisim simulates a model behind the OpenAI chat completions API,
// streaming and not.
//
// Its replies are rules, not a model: they greet, tell opening hours, prices
// and the state of an order, in a few languages, and otherwise acknowledge what
// was said. They are made from the prompt alone, so that the same prompt always
// gets the same reply; the model's name, chumi-simulated, says what it is.
//
// A reply can be traced to what it answers: every token of the form #digits in
// the last run of consecutive user messages is in the reply, in the order of
// first occurrence, and no other token of that form is.
//
// The package imports nothing of this module, so that a mistake in the engine's
// own adapter cannot cancel out against the same mistake here. Every request is
// in the ledger, with what will become of it, before the first byte of its
// answer is written and before any hook runs. Faults and delays depend on the
// seed, the turn and the prompt, never on the order requests arrive in.
package openaisim
