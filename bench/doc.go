// Package bench measures the engine as a black box: signed webhooks go in over
// HTTP, simulators stand around it, and what came out is read from its export.
// `chumi bench` runs it.
//
// A run holds the engine against two bare handlers in the same minutes, on the
// same machine, with the same bodies: fasthttp + HMAC, and fasthttp + HMAC +
// Pebble-Sync; and, when it is given their program, against what others would build.
// Only ratios of one run mean anything elsewhere. Four rules keep
// the figures honest:
//
//   - Every acknowledged message must be in the export, once. A run that lost
//     one prints no throughput.
//   - At a given rate, latency counts from the time a request was due, not from
//     when it could be sent, so a stalled server cannot hide its stall.
//   - The generator's own lateness is recorded apart; a late generator or a
//     busy neighbour makes a round invalid, and invalid rounds give no ratio.
//   - Engine and bound take turns A-B, B-A, and the median round counts.
package bench
