package api

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// Tooling is what the API does with tools, products and orders. All are set. Errors
// are *chat.Error: KindNotFound for what is not there, KindConflict with the reason
// too_many or catalog_full where there are too many. by is the public id of the key.
type Tooling struct {
	Tools    Tools
	Servers  ToolServers
	Secrets  ToolSecrets
	Hosts    ToolHosts
	Drops    ToolDrops
	Checks   ToolChecks
	Trials   ToolTrials
	Products Products
	Imports  Imports
	Orders   Orders
}

// Tools reads and writes the tools of a tenant. Safe for concurrent use.
type Tools interface {
	// List returns them by name, without the engine's own.
	List(ctx context.Context, t chat.TenantID) ([]chat.Tool, error)
	Tool(ctx context.Context, t chat.TenantID, name string) (chat.Tool, error)
	PutTool(ctx context.Context, t chat.TenantID, tool chat.Tool, by string) error
}

// ToolServers reads and writes the tool servers of a tenant. Safe for concurrent use.
type ToolServers interface {
	Servers(ctx context.Context, t chat.TenantID) ([]chat.ToolServer, error)
	Server(ctx context.Context, t chat.TenantID, name string) (chat.ToolServer, error)
	PutServer(ctx context.Context, t chat.TenantID, server chat.ToolServer, by string) error
}

// ToolSecrets takes the secrets of tools; nothing returns one. Safe for concurrent use.
type ToolSecrets interface {
	SecretNames(ctx context.Context, t chat.TenantID) ([]string, error)
	PutSecret(ctx context.Context, t chat.TenantID, name string, secret chat.Secret, by string) error
}

// ToolHosts keeps the hosts that a tenant's tools may talk to. Safe for concurrent use.
type ToolHosts interface {
	Hosts(ctx context.Context, t chat.TenantID) (chat.ToolHosts, error)
	PutHosts(ctx context.Context, t chat.TenantID, h chat.ToolHosts, by string) error
}

// ToolDrops deletes tools, servers and secrets. Safe for concurrent use.
type ToolDrops interface {
	Drop(ctx context.Context, t chat.TenantID, noun chat.DocNoun, id, by string) error
}

// ToolChecks says whether definitions may stand; nil for those that may. Safe for
// concurrent use.
type ToolChecks interface {
	CheckTool(t chat.TenantID, tool *chat.Tool) *chat.LimitError
	CheckServer(t chat.TenantID, s *chat.ToolServer) *chat.LimitError
	// Discover asks a server for its tools; left names those that cannot be used. The
	// reason of a KindConflict is a word for why it was not reached.
	Discover(ctx context.Context, t chat.TenantID, s *chat.ToolServer) (tools []chat.PinnedTool, left []string, err error)
}

// ToolTrials runs a tool as an assistant would.
type ToolTrials interface {
	Run(ctx context.Context, r chat.ToolRun) chat.ToolResult
}

// Products reads the catalog of a tenant. Safe for concurrent use.
type Products interface {
	// Items returns a page by id; cursor is "" or the next of an earlier page.
	Items(ctx context.Context, t chat.TenantID, cursor string, limit int) (page []chat.CatalogItem, next string, err error)
	Item(ctx context.Context, t chat.TenantID, id string) (chat.CatalogItem, error)
	// Drop deletes a product.
	Drop(ctx context.Context, t chat.TenantID, id, by string) error
}

// Imports writes products. An error leaves those that are written, as many as it says;
// writing all again is harmless. Safe for concurrent use.
type Imports interface {
	Put(ctx context.Context, t chat.TenantID, items []chat.CatalogItem, by string) (written int, err error)
	// Replace is Put, and deletes all others.
	Replace(ctx context.Context, t chat.TenantID, items []chat.CatalogItem, by string) (written, deleted int, err error)
}

// Orders keeps how orders stand. Safe for concurrent use.
type Orders interface {
	Orders(ctx context.Context, t chat.TenantID, cursor string, limit int) (page []chat.OrderRecord, next string, err error)
	PutOrder(ctx context.Context, t chat.TenantID, o chat.OrderRecord, by string) error
	DropOrder(ctx context.Context, t chat.TenantID, id, by string) error
}
