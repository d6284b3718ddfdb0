package child

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// World is what a run bootstraps: apps, tenants, their channels and API keys.
// Its JSON form is a bootstrap file. Immutable once built.
type World struct {
	Apps     []App     `json:"apps"`
	Tenants  []Tenant  `json:"tenants"`
	Channels []Channel `json:"channels"`
	Keys     []Key     `json:"api_keys"`
}

// App is a Meta app: its secret signs the webhooks posted to /hooks/{ID}.
type App struct {
	ID          string `json:"id"`
	Secret      string `json:"app_secret"`
	VerifyToken string `json:"verify_token"`
}

// Tenant is one business.
type Tenant struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// The channel kinds, as the bootstrap file spells them.
const (
	WhatsApp  = "whatsapp"
	Instagram = "instagram"
)

// Channel is one number or account of a tenant.
type Channel struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant"`
	App    string `json:"app"`
	Kind   string `json:"kind"`
	// PhoneNumberID and WABA are set on WhatsApp, InstagramID on Instagram.
	PhoneNumberID string `json:"phone_number_id,omitempty"`
	WABA          string `json:"waba_id,omitempty"`
	InstagramID   string `json:"ig_id,omitempty"`
	Token         string `json:"access_token"`
}

// Account is the id Meta routes the channel's webhooks by.
func (c *Channel) Account() string {
	if c.Kind == Instagram {
		return c.InstagramID
	}
	return c.PhoneNumberID
}

// Key is an API key; Secret is the bearer token.
type Key struct {
	Tenant string   `json:"tenant"`
	Secret string   `json:"secret"`
	Scopes []string `json:"scopes"`
}

// NewWorld builds n tenants that share one app. Each has a WhatsApp number and
// an Instagram account, at 2*i and 2*i+1 of Channels.
func NewWorld(n int) *World {
	w := &World{Apps: []App{{
		ID: "bench", Secret: "0f1e2d3c4b5a69788796a5b4c3d2e1f0", VerifyToken: "verify-0f1e2d3c4b5a69788796a5b4c3d2e1f0",
	}}}
	for i := range n {
		id := fmt.Sprintf("t%03d", i)
		w.Tenants = append(w.Tenants, Tenant{ID: id, Name: "Tenant " + id})
		w.Channels = append(w.Channels,
			Channel{
				ID: id + "-wa", Tenant: id, App: "bench", Kind: WhatsApp,
				PhoneNumberID: fmt.Sprintf("10600000%07d", i), WABA: fmt.Sprintf("10200000%07d", i), Token: "token-" + id + "-wa",
			},
			Channel{
				ID: id + "-ig", Tenant: id, App: "bench", Kind: Instagram,
				InstagramID: fmt.Sprintf("17841400%07d", i), Token: "token-" + id + "-ig",
			})
		w.Keys = append(w.Keys, Key{Tenant: id, Secret: "chumi-bench-key-of-" + id + "-9d8c7b6a5f4e3d2c", Scopes: []string{"*"}})
	}
	return w
}

// App returns the app with the given id, or nil.
func (w *World) App(id string) *App {
	for i := range w.Apps {
		if w.Apps[i].ID == id {
			return &w.Apps[i]
		}
	}
	return nil
}

// Config is the part of the engine's configuration that a run sets. Empty
// fields keep the engine's default.
type Config struct {
	// GraphURL and InstagramURL are base URLs of the Graph simulator.
	GraphURL, InstagramURL string
	// ModelURL is the base URL of the model simulator.
	ModelURL string
	// QuietPeriod and ReconcileAfter are durations as "50ms".
	QuietPeriod, ReconcileAfter string
	// InsideHosts are hosts on this machine that tools may talk to, PricingFile says what
	// the model costs.
	InsideHosts []string
	PricingFile string
	// HTTP2 has the model called over HTTP/2; CallsMax bounds its calls, 0 keeps the
	// default.
	HTTP2    bool
	CallsMax int
	// ResidentMax is how many conversations stay in memory; 0 keeps the default.
	ResidentMax int
	// DiskFreeMin is the disk reserve in bytes; 0 keeps the default.
	DiskFreeMin int
	// PerIPMax is how many connections one client may have; 0 keeps the default.
	PerIPMax int
	// Node makes the engine a node of a cluster; nil leaves it alone.
	Node *NodeConfig
}

// NodeConfig is what a node of a cluster is told beside. Its listeners may be
// on any address.
type NodeConfig struct {
	// Secrets is the directory InitCluster made for the node.
	Secrets string
	// PerIPMax is how many connections one client may have: a load balancer has
	// all of them.
	PerIPMax int
	// LogEntries is how many applied entries each group keeps for nodes that are
	// behind; 0 keeps the default.
	LogEntries int
}

// WriteFiles writes the config and the bootstrap file of w into dir and returns
// their paths.
func WriteFiles(dir string, w *World, c Config) (config, bootstrap string, err error) {
	set := func(m map[string]any, key, value string) {
		if value != "" {
			m[key] = value
		}
	}
	meta, assistant, sends := map[string]any{}, map[string]any{}, map[string]any{}
	set(meta, "graph_url", c.GraphURL)
	set(meta, "instagram_url", c.InstagramURL)
	if c.ModelURL != "" {
		set(assistant, "base_url", c.ModelURL)
		set(assistant, "api_key", "bench")
		set(assistant, "model", "bench")
	}
	set(assistant, "quiet_period", c.QuietPeriod)
	set(assistant, "pricing_file", c.PricingFile)
	if c.HTTP2 {
		assistant["http2"] = true
	}
	if c.CallsMax > 0 {
		assistant["calls_max"] = c.CallsMax
	}
	set(sends, "reconcile_after", c.ReconcileAfter)
	sections := map[string]map[string]any{}
	for name, m := range map[string]map[string]any{"meta": meta, "assistant": assistant, "sends": sends} {
		if len(m) > 0 {
			sections[name] = m
		}
	}
	engine := map[string]any{}
	if c.ResidentMax > 0 {
		engine["resident_max"] = c.ResidentMax
	}
	if c.DiskFreeMin > 0 {
		engine["disk_free_min"] = c.DiskFreeMin
	}
	if c.PerIPMax > 0 {
		sections["edge"] = map[string]any{"per_ip_max": c.PerIPMax}
	}
	if len(engine) > 0 {
		sections["engine"] = engine
	}
	if len(c.InsideHosts) > 0 {
		sections["egress"] = map[string]any{"inside_hosts": c.InsideHosts}
	}
	if c.Node != nil {
		c.Node.sections(sections)
	}
	config, bootstrap = filepath.Join(dir, "chumi.yaml"), filepath.Join(dir, "bootstrap.yaml")
	if err := writeJSON(config, sections); err != nil {
		return "", "", err
	}
	return config, bootstrap, writeJSON(bootstrap, w)
}

func (n *NodeConfig) sections(to map[string]map[string]any) {
	to["cluster"] = map[string]any{"cert_file": filepath.Join(n.Secrets, "node.crt"),
		"key_file": filepath.Join(n.Secrets, "node.key"), "ca_file": filepath.Join(n.Secrets, "ca.crt")}
	if n.LogEntries > 0 {
		to["cluster"]["log_entries"] = n.LogEntries
	}
	to["keys"] = map[string]any{"file": filepath.Join(n.Secrets, "kek")}
	to["edge"] = map[string]any{"per_ip_max": n.PerIPMax}
	to["api"], to["ops"] = map[string]any{"allow_remote": true}, map[string]any{"allow_remote": true}
}

// writeJSON writes v; JSON is YAML.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("child: encode %s: %w", filepath.Base(path), err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("child: %w", err)
	}
	return nil
}
