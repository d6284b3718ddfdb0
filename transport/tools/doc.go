// Package tools carries out the calls of models that lead out of the engine: HTTP
// requests and tools of Model Context Protocol servers.
//
// A definition is a tenant's, arguments are a model's, an answer is a stranger's:
// none of them is believed. A definition that could reach more than it says is refused
// when it is written, and looked at again when it is used. Its host is fixed, and on
// the tenant's list of hosts and the operator's. Arguments match the schema and end up
// escaped in a path, in a query or in a JSON body, never in a host or a header.
// Secrets are put into headers on the way out; wherever an answer repeats one it is
// cut out. Redirects are not followed, and what the client that is given dials is its
// matter: transport/egress dials nothing inside. An answer is text or JSON, bounded,
// and picked from before a model sees it.
//
// A tool of an MCP server is called as a person approved it: with the description and
// schema that were pinned. One that has another by now has to be approved again.
package tools
