package main

import (
	"time"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/transport/api"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/meta"
	"github.com/chumiai/chumi/transport/openai"
	"github.com/chumiai/chumi/transport/webhook"
)

// Config is everything an operator can set. Each leaf is one key: its path is
// the koanf tags joined by dots, and the same tags drive the file, the
// environment, the JSON Schema and `config print`.
//
// Tags: doc explains the key in one sentence; enum lists the allowed words; rule
// names a further check (addr, loopback, url, url_opt, money, optional); secret hides
// the value wherever it is printed. A duration or number must be greater than
// zero unless its rule is "optional". A map of structs has keys of the operator's own.
type Config struct {
	DataDir   string          `koanf:"data_dir" doc:"Directory of everything the engine stores."`
	Edge      EdgeConfig      `koanf:"edge" doc:"The listener Meta posts webhooks to."`
	API       APIConfig       `koanf:"api" doc:"The listener of the REST API and the console."`
	Ops       OpsConfig       `koanf:"ops" doc:"The listener of metrics, health and profiles."`
	Peer      PeerConfig      `koanf:"peer" doc:"The address nodes of a cluster meet at; a node without a certificate does not listen on it."`
	Cluster   ClusterConfig   `koanf:"cluster" doc:"What makes this node one of a cluster: all three files, which chumi cluster init makes, or none; and what it keeps for the others."`
	Meta      MetaConfig      `koanf:"meta" doc:"Where Graph is."`
	Media     MediaConfig     `koanf:"media" doc:"Where files of messages are kept."`
	Assistant AssistantConfig `koanf:"assistant" doc:"The model that answers, and its limits."`
	Egress    EgressConfig    `koanf:"egress" doc:"Requests to where tenants say: websites, HTTP tools, tool servers."`
	Tools     ToolsConfig     `koanf:"tools" doc:"What assistants may call besides the engine's own tools."`
	Sends     SendsConfig     `koanf:"sends" doc:"What happens to a send whose outcome is not known."`
	Engine    EngineConfig    `koanf:"engine" doc:"Limits of the actor system and of the disk."`
	Keys      KeysConfig      `koanf:"keys" doc:"The key-encryption key."`
	Backup    BackupConfig    `koanf:"backup" doc:"Where backups go."`
	Log       LogConfig       `koanf:"log" doc:"What is logged, and how."`
	Trace     TraceConfig     `koanf:"trace" doc:"What became of a message, as traces of OpenTelemetry."`
}

// EdgeConfig is the webhook listener with its limits.
type EdgeConfig struct {
	Addr           string        `koanf:"addr" rule:"addr" doc:"Address to listen on; port 0 picks a free one."`
	BodyBytesMax   int           `koanf:"body_bytes_max" doc:"Largest webhook body in bytes; Meta sends at most 3 MB."`
	ConnectionsMax int           `koanf:"connections_max" doc:"Open connections over all clients."`
	PerIPMax       int           `koanf:"per_ip_max" doc:"Open connections of one client address."`
	InFlightMax    int           `koanf:"in_flight_max" doc:"POSTs being made durable at once; more are answered 503 and repeated by Meta."`
	ReadTimeout    time.Duration `koanf:"read_timeout" doc:"Time a client has to send one request."`
	WriteTimeout   time.Duration `koanf:"write_timeout" doc:"Time a client has to take one answer."`
	IdleTimeout    time.Duration `koanf:"idle_timeout" doc:"Time a connection may stay idle."`
	DeliverTimeout time.Duration `koanf:"deliver_timeout" doc:"Time a POST may take to become durable before it is answered 503."`
}

// APIConfig is the REST and console listener.
type APIConfig struct {
	Addr         string `koanf:"addr" rule:"loopback" doc:"Address to listen on; port 0 picks a free one."`
	AllowRemote  bool   `koanf:"allow_remote" doc:"Allow addr to be reachable from other machines; put TLS in front of it."`
	BodyBytesMax int    `koanf:"body_bytes_max" doc:"Largest request body in bytes."`
}

// OpsConfig is the listener for operators.
type OpsConfig struct {
	Addr        string `koanf:"addr" rule:"loopback" doc:"Address to listen on; port 0 picks a free one."`
	AllowRemote bool   `koanf:"allow_remote" doc:"Allow addr to be reachable from other machines; it serves profiles and metrics without a password."`
}

// PeerConfig is the address of node to node traffic.
type PeerConfig struct {
	Addr      string `koanf:"addr" rule:"addr" doc:"Address to listen on for other nodes; every byte on it is under mutual TLS."`
	Advertise string `koanf:"advertise" rule:"addr_opt" doc:"Address other nodes reach this one at; empty means the one it listens on."`
}

// ClusterConfig is how a node proves itself to others, and what it keeps for
// them. Its number and the cluster's id are in the certificate.
type ClusterConfig struct {
	CertFile string `koanf:"cert_file" rule:"optional" doc:"PEM file of this node's certificate; a new one is taken up without a restart."`
	KeyFile  string `koanf:"key_file" rule:"optional" doc:"PEM file of the certificate's key."`
	CAFile   string `koanf:"ca_file" rule:"optional" doc:"PEM file of the authority that all nodes of the cluster share."`
	// LogEntries is of every group, on every node.
	LogEntries int `koanf:"log_entries" doc:"Applied entries each group keeps, and at most twice as many, for nodes that are behind; one that is further behind gets a snapshot of the group."`
}

// On reports whether the node is one of a cluster.
func (c *ClusterConfig) On() bool { return c.CertFile != "" }

// MetaConfig says where Graph is.
type MetaConfig struct {
	GraphURL     string        `koanf:"graph_url" rule:"url" doc:"Base URL of WhatsApp and Facebook Graph calls."`
	InstagramURL string        `koanf:"instagram_url" rule:"url" doc:"Base URL of Instagram Graph calls."`
	GraphVersion string        `koanf:"graph_version" rule:"graph_version" doc:"Graph version in the path of every call, such as v25.0."`
	SendTimeout  time.Duration `koanf:"send_timeout" doc:"Time one send may take before its outcome counts as unknown."`
}

// AssistantConfig is the model and its limits.
type AssistantConfig struct {
	BaseURL    string      `koanf:"base_url" rule:"url_opt" doc:"Base URL of an OpenAI-compatible API; empty with a key means OpenAI itself, empty without a key means that people answer."`
	APIKey     chat.Secret `koanf:"api_key" rule:"optional" secret:"true" doc:"Key of that API; a local model may need none."`
	Model      string      `koanf:"model" doc:"Name of the model; of the deployment with api: azure."`
	API        string      `koanf:"api" enum:"chat,responses,azure" doc:"chat is Chat Completions, which every server speaks; responses is OpenAI's newer API, with nothing kept there; azure is Chat Completions of Azure."`
	APIVersion string      `koanf:"api_version" rule:"optional" doc:"Version of Azure's API; empty for one that is known to work."`
	HTTP2      bool        `koanf:"http2" doc:"Speaks HTTP/2 to an http:// base URL, which must know it: hundreds of calls then share a connection. With https:// it is agreed on anyway."`

	Providers map[string]ProviderConfig `koanf:"providers" doc:"Further servers of models, by a name that lists of models use."`

	EmbeddingModel        string `koanf:"embedding_model" rule:"optional" doc:"Model that makes vectors of knowledge and questions; empty for none: knowledge is then found by words and a built-in list of ideas."`
	EmbeddingProvider     string `koanf:"embedding_provider" rule:"optional" doc:"Name of its provider; empty for base_url."`
	TranscriptionModel    string `koanf:"transcription_model" doc:"Model that writes down voice notes."`
	TranscriptionProvider string `koanf:"transcription_provider" rule:"optional" doc:"Name of its provider; empty for base_url."`

	Instructions    string        `koanf:"instructions" doc:"System prompt: what the assistant is and how it answers."`
	Apology         string        `koanf:"apology" doc:"Sent when the assistant cannot answer in time."`
	Greeting        string        `koanf:"greeting" rule:"optional" doc:"Sent to a customer who opens the chat for the first time; empty for no greeting."`
	QuietPeriod     time.Duration `koanf:"quiet_period" doc:"How long a customer must pause before a turn starts; messages within it make one turn."`
	TurnTimeout     time.Duration `koanf:"turn_timeout" doc:"Time one model call may take."`
	SilenceDeadline time.Duration `koanf:"silence_deadline" doc:"Longest a customer waits for an answer, an apology or a handoff."`
	VolleyMax       int           `koanf:"volley_max" doc:"Characters a customer may write in answer to the assistant beyond what a person types, 4 a second, before people are asked: two assistants that answer each other end there."`
	TurnsPerDay     int           `koanf:"turns_per_day" rule:"optional" doc:"Turns a tenant may start per UTC day; 0 means no limit."`
	Typing          bool          `koanf:"typing" doc:"Shows customers that their messages were read and that an answer is being written, while it is."`
	CallsMax        int           `koanf:"calls_max" doc:"Model calls under way at once, over all tenants."`
	PricingFile     string        `koanf:"pricing_file" rule:"optional" doc:"YAML file of what models cost; empty means the list that comes with this version (chumi config pricing prints it)."`
	BudgetPerMonth  string        `koanf:"budget_per_month" rule:"money" doc:"What the model calls of one tenant may cost per calendar month (UTC), in the currency of the price list; empty means no bound."`
	BudgetSoft      string        `koanf:"budget_soft" rule:"money" doc:"Spent in the month when the team is told; empty means 80 % of budget_per_month."`
	BudgetFallback  string        `koanf:"budget_fallback" enum:"apology,handoff" doc:"What a customer gets when the budget is used up, before people take over: apology sends assistant.apology, handoff says nothing."`
	// Prices is the price list of PricingFile, once loaded.
	Prices         *chat.PriceList
	TenantCallsMax int `koanf:"tenant_calls_max" rule:"optional" doc:"Model calls of one tenant under way at once; 0 means three quarters of calls_max, so that others always find room."`
}

// ProviderConfig is a server of models besides that of assistant.base_url.
type ProviderConfig struct {
	BaseURL    string      `koanf:"base_url" rule:"url" doc:"Base URL of the API; with api: azure that of the resource."`
	APIKey     chat.Secret `koanf:"api_key" rule:"optional" secret:"true" doc:"Key of that API."`
	API        string      `koanf:"api" enum:"chat,responses,azure" doc:"How it is spoken to, as assistant.api."`
	APIVersion string      `koanf:"api_version" rule:"optional" doc:"Version of Azure's API; empty for one that is known to work."`
	Models     []string    `koanf:"models" rule:"optional" doc:"The only models that are asked for; none for any."`
	HTTP2      bool        `koanf:"http2" doc:"As assistant.http2."`
}

// EgressConfig bounds where requests for tenants may go.
type EgressConfig struct {
	InsideHosts []string `koanf:"inside_hosts" rule:"optional" doc:"Hosts, with or without a port, that such requests may reach although they lie inside: everything else that is not public is refused."`
}

// ToolsConfig bounds what tools of tenants may reach.
type ToolsConfig struct {
	Hosts []string `koanf:"hosts" rule:"optional" doc:"Hosts that tools of any tenant may talk to, *.example.com for all below one; empty leaves it to each tenant's own list."`
}

// SendsConfig is the policy of ambiguous sends.
type SendsConfig struct {
	ReconcileAfter time.Duration `koanf:"reconcile_after" doc:"How long an ambiguous send waits for a status or an echo before its class decides."`
	WhatsAppClass  string        `koanf:"whatsapp_class" enum:"at_least_once,at_most_once" doc:"at_least_once sends an ambiguous WhatsApp reply again; at_most_once shows it as unknown."`
	InstagramClass string        `koanf:"instagram_class" enum:"at_least_once,at_most_once" doc:"The same for Instagram, where a repeated message cannot be recognised."`
}

// EngineConfig bounds memory and disk.
type EngineConfig struct {
	ResidentMax  int           `koanf:"resident_max" doc:"Conversations kept in memory; the least recently used are put to sleep."`
	Groups       string        `koanf:"groups" enum:"store,ignore" doc:"What is done with messages of WhatsApp groups: store keeps them, ignore drops them; they are never answered."`
	DiskFreeMin  int           `koanf:"disk_free_min" rule:"optional" doc:"Free bytes of the data directory's disk below which webhooks are answered 503; 0 switches the reserve off."`
	CacheBytes   int           `koanf:"cache_bytes" doc:"Block cache of the store in bytes."`
	DrainTimeout time.Duration `koanf:"drain_timeout" doc:"Time a stop may take before what is left is cut; everything acknowledged is durable already."`
	KeepFormat   bool          `koanf:"keep_format" doc:"A node in no cluster goes on writing the format its data directory has, so that the version before can have it back; without it, the node finalizes at its start. Nodes of a cluster wait for chumi cluster finalize in any case."`
}

// KeysConfig says where the key-encryption key is.
type KeysConfig struct {
	File string `koanf:"file" rule:"optional" doc:"File of the key-encryption key, readable by this user only; empty means secrets/kek in the data directory, created on the first start."`
}

// LogConfig is how the engine logs.
type LogConfig struct {
	Level  string `koanf:"level" enum:"debug,info,warn,error" doc:"Least severe line that is logged."`
	Format string `koanf:"format" enum:"auto,json,text" doc:"auto is text on a terminal and JSON elsewhere."`
}

// DefaultModel is asked for when assistant.model is not set.
const DefaultModel = "gpt-4.1-mini"

// DefaultConfig is what an empty file means.
func DefaultConfig() Config {
	hooks := edge.DefaultHooksLimits
	return Config{
		DataDir: "data",
		Edge: EdgeConfig{
			Addr: "127.0.0.1:8080", BodyBytesMax: hooks.BodyMax, ConnectionsMax: hooks.ConnMax, PerIPMax: hooks.ConnsPerIPMax,
			InFlightMax: webhook.DefaultInFlightMax, ReadTimeout: hooks.ReadTimeout, WriteTimeout: hooks.WriteTimeout,
			IdleTimeout: hooks.IdleTimeout, DeliverTimeout: webhook.DefaultDeliverTimeout,
		},
		API:     APIConfig{Addr: "127.0.0.1:8081", BodyBytesMax: edge.DefaultAPILimits.BodyMax},
		Ops:     OpsConfig{Addr: "127.0.0.1:8082"},
		Peer:    PeerConfig{Addr: "127.0.0.1:8083"},
		Cluster: ClusterConfig{LogEntries: replica.DefaultLogLen},
		Meta: MetaConfig{
			GraphURL: meta.DefaultGraphURL, InstagramURL: meta.DefaultInstagramURL,
			GraphVersion: meta.DefaultVersion, SendTimeout: actors.DefaultAttemptTimeout,
		},
		Media: MediaConfig{FileBytesMax: meta.DefaultMediaMax, UploadBytesMax: api.DefaultUploadMax, S3: S3Config{TLS: true}},
		Assistant: AssistantConfig{
			Model: DefaultModel, Instructions: chat.DefaultInstructions, Apology: chat.DefaultApology,
			Typing: true,
			API:    string(openai.APIChat), EmbeddingModel: openai.DefaultEmbeddingModel, TranscriptionModel: openai.DefaultTranscriptionModel,
			QuietPeriod: chat.DefaultQuietPeriod, TurnTimeout: chat.DefaultTurnTimeout,
			SilenceDeadline: chat.DefaultSilenceDeadline, VolleyMax: chat.DefaultVolleyMax, CallsMax: actors.DefaultTurnsInFlightMax,
			BudgetFallback: string(chat.BrokeApology),
		},
		Sends: SendsConfig{
			ReconcileAfter: chat.DefaultReconcileAfter,
			WhatsAppClass:  "at_least_once", InstagramClass: "at_most_once",
		},
		Engine: EngineConfig{ResidentMax: actors.DefaultResidentMax, Groups: "store", DiskFreeMin: persistence.DefaultDiskReserve,
			CacheBytes: persistence.DefaultCacheSize, DrainTimeout: 25 * time.Second},
		Backup: BackupConfig{Keep: DefaultBackupKeep, S3: BackupS3Config{TLS: true}},
		Log:    LogConfig{Level: "info", Format: "auto"},
		Trace:  TraceConfig{OneIn: 1},
	}
}

// AssistantReady reports whether a model is configured. Without one, customer
// messages are handed to people.
func (c *Config) AssistantReady() bool {
	return c.Assistant.BaseURL != "" || c.Assistant.APIKey != ""
}

// Settings resolves what decisions of a tenant depend on.
func (c *Config) Settings() chat.Settings {
	s := chat.Settings{
		Assistant:       c.AssistantReady(),
		Typing:          c.Assistant.Typing,
		QuietPeriod:     c.Assistant.QuietPeriod,
		TurnTimeout:     c.Assistant.TurnTimeout,
		SilenceDeadline: c.Assistant.SilenceDeadline,
		ReconcileAfter:  c.Sends.ReconcileAfter,
		VolleyMax:       uint16(min(max(c.Assistant.VolleyMax, 0), 1<<16-1)), // #nosec G115 -- bounded
		TurnsPerDayMax:  int64(c.Assistant.TurnsPerDay),
		Apology:         c.Assistant.Apology,
		Instructions:    c.Assistant.Instructions,
		Greeting:        c.Assistant.Greeting,
		IgnoreGroups:    c.Engine.Groups == "ignore",
		WhatsAppClass:   classOf(c.Sends.WhatsAppClass),
		InstagramClass:  classOf(c.Sends.InstagramClass),
	}
	c.Assistant.money(&s)
	s.EnsureDefaults()
	return s
}

// money resolves what the model calls of a tenant may cost. The texts are valid.
func (a *AssistantConfig) money(s *chat.Settings) {
	s.Budget, _ = chat.ParseMoney(a.BudgetPerMonth)
	s.BudgetSoft, _ = chat.ParseMoney(a.BudgetSoft)
	if a.BudgetSoft == "" {
		s.BudgetSoft = s.Budget / 5 * 4
	}
	s.Broke = chat.BudgetFallback(a.BudgetFallback)
	if a.Prices != nil {
		s.CallCost = a.Prices.CallCost(nil, chat.TurnLimits{})
	}
}

func classOf(word string) chat.Class {
	if word == "at_most_once" {
		return chat.AtMostOnce
	}
	return chat.AtLeastOnce
}
