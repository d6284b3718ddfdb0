package edge

import (
	"context"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
)

// ArchiveRequest asks a node to write a tenant to an archive, or to put the tenant of
// one in place.
type ArchiveRequest struct {
	// ID tells the request from every other.
	ID string
	// Import is true to read File, false to write Tenant to it. File is a path that the
	// node can reach, or a name in a bucket.
	Import bool
	Tenant chat.TenantID
	File   string
	// KeyFile is the key file of the archive; empty for the key of backups.
	KeyFile string
	// Erasures is a file of who must not come back, as /erasures tells it; can be empty.
	Erasures string
}

// Archives makes archives of tenants and takes them in. Safe for concurrent use.
type Archives interface {
	// BeginArchive begins a request and returns; KindConflict while another, or a step
	// of a backup, is under way.
	BeginArchive(r ArchiveRequest) error
	// State is that of the latest request; its ID is empty when there was none.
	State() BackupState
	// Release lets a tenant that was imported act, for good.
	Release(ctx context.Context, t chat.TenantID) error
}

// tenants serves /tenants and what is below it: GET for the state of the latest request,
// POST to export, to import and to confirm what was imported.
func (o Ops) tenants(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	if path == "/tenants" && ctx.IsGet() {
		tell(ctx, o.Archives.State())
		return
	}
	if !Operates(ctx, "") {
		return
	}
	args := ctx.QueryArgs()
	r := ArchiveRequest{ID: string(args.Peek("id")), Tenant: chat.TenantID(args.Peek("tenant")), File: string(args.Peek("file")),
		KeyFile: string(args.Peek("key_file")), Erasures: string(args.Peek("erasures"))}
	var err error
	switch path {
	case "/tenants/export":
		err = o.Archives.BeginArchive(r)
	case "/tenants/import":
		r.Import = true
		err = o.Archives.BeginArchive(r)
	case "/tenants/confirm":
		wait, cancel := context.WithTimeout(context.Background(), operatorTimeout)
		defer cancel()
		err = o.Archives.Release(wait, r.Tenant)
	default:
		plain(ctx, fasthttp.StatusNotFound, "")
		return
	}
	if err != nil {
		plain(ctx, OperatorStatus(err), err.Error()+"\n")
	}
}
