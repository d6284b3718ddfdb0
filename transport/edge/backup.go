package edge

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
)

// BackupRequest asks a node for one step of a backup.
type BackupRequest struct {
	// ID names the backup, To where it goes; empty for the place of the configuration.
	ID, To string
	// Skip are groups that other nodes have given to it.
	Skip []chat.Group
	// Finish makes a backup of what the nodes gave, and removes all but the newest
	// Keep ones; 0 for as many as the configuration says.
	Finish bool
	Keep   int
}

// BackupState is how far the latest step is.
type BackupState struct {
	ID string `json:"id"`
	// To is where it goes, without secrets.
	To    string `json:"to"`
	Doing string `json:"doing"`
	Done  int64  `json:"done"`
	Total int64  `json:"total"`
	Bytes int64  `json:"bytes"`
	// Stored counts objects that were new, Same those that were there already.
	Stored int64 `json:"stored"`
	Same   int64 `json:"same"`
	// Groups are those that this node gave.
	Groups []chat.Group `json:"groups"`
	// State is the sum over all groups, once the backup is whole.
	State string `json:"state,omitempty"`
	// Notes are what an operator should know.
	Notes []string `json:"notes,omitempty"`
	// Ended is true when the step is over, Error why it failed.
	Ended bool      `json:"ended"`
	Error string    `json:"error,omitempty"`
	At    time.Time `json:"at"`
}

// Backups makes backups of this node. Safe for concurrent use.
type Backups interface {
	// Begin begins a step and returns; KindConflict while another is under way.
	Begin(r BackupRequest) error
	// State is that of the latest step; its ID is empty when there was none.
	State() BackupState
	// Erasures is who was erased, as far as this node knows, as chumi restore takes it:
	// keyed hashes in JSON.
	Erasures(ctx context.Context) ([]byte, error)
}

// Restored is a store that was restored and may be held until an operator lets it act.
type Restored interface {
	// Release lets it act, for good.
	Release(ctx context.Context) error
}

// tell answers with the state of a step.
func tell(ctx *fasthttp.RequestCtx, s BackupState) {
	body, err := json.Marshal(s)
	if err != nil {
		plain(ctx, fasthttp.StatusInternalServerError, "")
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}

// backups serves /backup: GET for the state of the latest step, POST to begin one.
func (o Ops) backups(ctx *fasthttp.RequestCtx) {
	if ctx.IsGet() {
		tell(ctx, o.Backups.State())
		return
	}
	if !Operates(ctx, "") {
		return
	}
	args := ctx.QueryArgs()
	r := BackupRequest{ID: string(args.Peek("id")), To: string(args.Peek("to")), Finish: args.GetBool("finish")}
	var err error
	if keep := string(args.Peek("keep")); keep != "" {
		r.Keep, err = strconv.Atoi(keep)
	}
	for _, word := range strings.FieldsFunc(string(args.Peek("skip")), func(c rune) bool { return c == ',' }) {
		g, parseErr := strconv.ParseUint(word, 10, 16)
		if parseErr != nil {
			err = parseErr
		}
		r.Skip = append(r.Skip, chat.Group(g))
	}
	if err != nil {
		plain(ctx, fasthttp.StatusBadRequest, "keep is a number, skip is numbers of groups, with commas\n")
		return
	}
	if err := o.Backups.Begin(r); err != nil {
		plain(ctx, OperatorStatus(err), err.Error()+"\n")
	}
}

// erasures serves GET /erasures.
func (o Ops) erasures(ctx *fasthttp.RequestCtx) {
	wait, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	body, err := o.Backups.Erasures(wait)
	if err != nil {
		plain(ctx, OperatorStatus(err), err.Error()+"\n")
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(append(body, '\n'))
}

// confirm serves POST /restore/confirm.
func (o Ops) confirm(ctx *fasthttp.RequestCtx) {
	if !Operates(ctx, "") {
		return
	}
	wait, cancel := context.WithTimeout(context.Background(), operatorTimeout)
	defer cancel()
	if err := o.Restored.Release(wait); err != nil {
		plain(ctx, OperatorStatus(err), err.Error()+"\n")
	}
}
