// Package transport holds everything that touches a socket, one package per
// conversation partner:
//
//	edge     the fasthttp servers: listeners, limits, drain. Knows no route's meaning.
//	webhook  Meta's webhooks: handshake, signature, decode, deliver, answer
//	meta     all that is known about Meta: payloads, signature, Graph client
//	openai   the model provider
//	api      REST and the event stream for integrators and the console
//	egress   wherever a tenant's URL leads: websites, its tools; nothing inside
//	tools    calls of models that lead out: HTTP requests, MCP servers
//	extract  text of the files and pages that a business knows itself by
//	peer     the other nodes of a cluster: mutual TLS, Raft frames, snapshots, mail
//
// Bytes: a request's buffers belong to fasthttp and are used again as soon as
// the handler returned. webhook and api copy what they keep; no other package
// sees a request.
package transport
