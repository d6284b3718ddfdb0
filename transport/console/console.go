// Package console carries the page that `chumi dev` shows: a simulated phone
// and, beside it, the events behind the conversation. It is written by hand,
// loads nothing from elsewhere, and runs where a Content-Security-Policy allows
// scripts and styles of its own origin only.
//
// The page reads its Config from ConfigPath, lets the customer write through
// the simulator's /simulator/api, and sees and does everything else through
// the public /v1 with the API key of the Config. Whoever serves ConfigPath
// hands out that key, so it must be served on loopback only and only to
// requests whose Host is a loopback name (LoopbackHost): another site's page
// could otherwise reach it by rebinding a name of its own.
package console

import (
	"embed"
	"net"
	"path"
	"strings"
)

//go:embed web
var web embed.FS

// ConfigPath is where the page asks for its Config.
const ConfigPath = "/simulator/api/config"

// Config is the JSON answered at ConfigPath.
type Config struct {
	// APIKey is the bearer token for /v1, of the demo tenant.
	APIKey   string    `json:"api_key"`
	Channels []Channel `json:"channels"`
	Contact  Contact   `json:"contact"`
}

// Channel is one of the demo tenant's channels. The page shows the first of
// each kind.
type Channel struct {
	// ID is the engine's channel id.
	ID string `json:"id"`
	// Kind is "whatsapp" or "instagram".
	Kind string `json:"kind"`
	// Name is the business as its customers see it.
	Name string `json:"name"`
	// Account is the phone_number_id or Instagram account id, by which the
	// simulator knows the channel.
	Account string `json:"account"`
}

// Contact is the simulated customer.
type Contact struct {
	Name string `json:"name"`
	// WhatsApp and Instagram are the ids the customer writes from: digits.
	WhatsApp  string `json:"whatsapp"`
	Instagram string `json:"instagram"`
}

// Asset returns a file of the page by its URL path; "/" is the page itself.
// The body is shared and must not be changed. Safe for concurrent use.
func Asset(urlPath string) (body []byte, contentType string, ok bool) {
	name := strings.TrimPrefix(urlPath, "/")
	if name == "" {
		name = "index.html"
	}
	contentType, ok = contentTypes[path.Ext(name)]
	if !ok {
		return nil, "", false
	}
	body, err := web.ReadFile("web/" + name)
	return body, contentType, err == nil
}

// contentTypes are fixed here because mime's depend on the machine.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// LoopbackHost reports whether the Host header of a request names this machine
// as itself: localhost or a loopback address, with or without a port.
func LoopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
