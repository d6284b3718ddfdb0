// Package egress is the one client for every URL that a tenant gave: websites of
// its knowledge, its HTTP tools, its MCP servers. Such a URL may point anywhere, so
// the client believes none.
//
// What a URL may say is checked before anything is dialled (Check): https, no user,
// a port of the web. What its name resolves to is checked when it is dialled, on the
// address that the connection goes to: a name server that answers differently the
// second time changes nothing. Loopback, private, link-local (with the metadata
// services of clouds), carrier, multicast and translated ranges are refused. Each
// redirect is a new URL and is checked like the first; across origins it carries no
// header that the caller set, and a request with a body is never redirected. No
// proxy of the environment is used: it would dial for us, unchecked.
//
// The operator may name hosts that lie inside (Options.Inside): those, and only
// those, are dialled wherever they lead.
//
// Everything is bounded: the time, the header, the body as it is after
// decompression, the redirects, and for a crawl its pages and their bytes.
package egress
