// Package edge runs the HTTP listeners. It owns sockets, limits, time-outs,
// panics and the drain; what a path means belongs to the handlers it is given.
//
// Every limit of a listener is set explicitly and New refuses a zero: fasthttp
// reads a zero as "none" for time-outs and connections. What is refused before
// a handler runs is answered with a status that says why:
//
//	400 the request cannot be parsed or is framed ambiguously
//	408 it did not arrive within ReadTimeout
//	413 its body is larger than BodyMax
//	415 its body is compressed
//	431 its header is larger than HeaderMax
//	429 too many connections from one address
//	503 too many connections, all of which came just now or are at work
//
// A listener that has as many connections as it may closes the one that has waited
// longest for a new one: see crowd. The body of a request takes memory as it arrives, not
// as it is announced: see body.
package edge
