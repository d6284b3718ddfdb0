package webhook

import (
	"context"

	"github.com/chumiai/chumi/chat"
)

// Ingress makes updates durable. Deliver returns nil iff every update is
// applied, a duplicate, or quarantined, durably; then the POST may be answered
// 200. Any error means 503: Meta repeats the POST and duplicates are absorbed.
// Safe for concurrent use. It keeps the updates, never the request.
type Ingress interface {
	Deliver(ctx context.Context, app chat.AppID, updates []chat.Inbound) error
}

// Apps finds a Meta app by the last segment of its hook path.
type Apps interface {
	App(id chat.AppID) (app chat.App, found bool)
}
