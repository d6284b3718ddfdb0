package torture

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// desk is the people of the business: they write through the API, take
// conversations over, and hand back what was handed to them.
type desk struct {
	stage   *stage
	secrets map[string]string
	client  *http.Client

	mu        sync.Mutex
	busy      map[string]bool // conversations somebody of the desk deals with
	requests  []Request
	takeovers []Takeover
	written   int
}

func newDesk(s *stage, timeout time.Duration) *desk {
	d := &desk{stage: s, secrets: map[string]string{}, busy: map[string]bool{},
		client: &http.Client{Timeout: timeout}}
	for _, k := range s.world.Keys {
		d.secrets[k.Tenant] = k.Secret
	}
	return d
}

// claim reserves a conversation, so that two people do not undo each other.
func (d *desk) claim(conversation string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy[conversation] {
		return false
	}
	d.busy[conversation] = true
	return true
}

func (d *desk) release(conversation string) {
	d.mu.Lock()
	delete(d.busy, conversation)
	d.mu.Unlock()
}

// call posts to the API until it answers something other than 5xx, with the
// same idempotency key, over every restart. It returns the status, 0 when ctx
// ended.
func (d *desk) call(ctx context.Context, tenant, path, key string, body any) int {
	payload, err := json.Marshal(body)
	if err != nil {
		return 0
	}
	for ctx.Err() == nil {
		if api := d.stage.api(); api != "" {
			if status, err := d.once(ctx, api, tenant, path, key, payload); err == nil && status < 500 && status != http.StatusTooManyRequests {
				return status
			}
		}
		pause(ctx, 10*time.Millisecond)
	}
	return 0
}

func (d *desk) once(ctx context.Context, api, tenant, path, key string, payload []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api+path, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+d.secrets[tenant])
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	d.stage.step(stepAPIAnswered)
	return resp.StatusCode, nil
}

// write sends messages of people, now and then one twice.
func (d *desk) write(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(20+r.IntN(120))*time.Millisecond)
		tenant := d.stage.world.Tenants[r.IntN(len(d.stage.world.Tenants))].ID
		conversation := d.stage.feeds[tenant].conversation(r.IntN(1 << 20))
		if conversation == "" {
			continue
		}
		d.mu.Lock()
		d.written++
		key := fmt.Sprintf("note-%d", d.written)
		at := len(d.requests)
		text := "A colleague writes " + key
		d.requests = append(d.requests, Request{Tenant: tenant, Text: text})
		d.mu.Unlock()
		for range 1 + r.IntN(5)/4 {
			status := d.call(ctx, tenant, "/v1/conversations/"+conversation+"/messages", key,
				map[string]string{"type": "text", "text": text})
			if status >= 200 && status < 300 {
				d.mu.Lock()
				d.requests[at].Acknowledged = true
				d.mu.Unlock()
			}
		}
	}
}

// takeOver takes conversations over for a moment.
func (d *desk) takeOver(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		pause(ctx, time.Duration(100+r.IntN(300))*time.Millisecond)
		tenant := d.stage.world.Tenants[r.IntN(len(d.stage.world.Tenants))].ID
		conversation := d.stage.feeds[tenant].conversation(r.IntN(1 << 20))
		if conversation == "" || !d.claim(conversation) {
			continue
		}
		if status := d.call(ctx, tenant, "/v1/conversations/"+conversation+"/takeover", "", map[string]string{}); status >= 200 && status < 300 {
			span := Takeover{Tenant: tenant, Conversation: conversation, From: d.stage.graph.Receipt()}
			pause(ctx, time.Duration(r.IntN(400))*time.Millisecond)
			span.Until = d.stage.graph.Receipt()
			d.mu.Lock()
			d.takeovers = append(d.takeovers, span)
			d.mu.Unlock()
			d.handBack(tenant, conversation)
		}
		d.release(conversation)
	}
}

// handBackIn bounds the wait for an engine that will not come back.
const handBackIn = 30 * time.Second

// handBack outlives the traffic, so that the drain ends with the assistant.
func (d *desk) handBack(tenant, conversation string) {
	ctx, cancel := context.WithTimeout(context.Background(), handBackIn)
	defer cancel()
	d.call(ctx, tenant, "/v1/conversations/"+conversation+"/handback", "", map[string]string{})
}

// notice hands back what the engine handed off, a moment later.
func (d *desk) notice(ctx context.Context, e *child.Event) {
	if e.Kind != child.KindHandoff && e.Kind != child.KindTaken || !d.claim(e.Conversation) {
		return
	}
	tenant, conversation := e.Tenant, e.Conversation
	d.stage.done.Go(func() {
		defer d.release(conversation)
		pause(ctx, 100*time.Millisecond)
		if ctx.Err() == nil {
			d.handBack(tenant, conversation)
		}
	})
}

// ledger returns what the desk did.
func (d *desk) ledger() ([]Request, []Takeover) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.requests, d.takeovers
}
