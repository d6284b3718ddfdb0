package drop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/chumiai/chumi/bench/child"
)

// client calls the API of an engine for any tenant. Safe for concurrent use.
type client struct {
	base string
	keys map[string]string
	http *http.Client
	// written numbers idempotency keys.
	written atomic.Int64
}

func newClient(addr string, w *child.World) *client {
	c := &client{base: "http://" + addr, keys: map[string]string{},
		http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 2 * writers}}}
	for _, k := range w.Keys {
		c.keys[k.Tenant] = k.Secret
	}
	return c
}

// call makes a request until it is answered with something other than 429 or 5xx.
func (c *client) call(ctx context.Context, method, tenant, path, key string, body, into any) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return fmt.Errorf("drop: %w", err)
		}
	}
	for {
		status, err := c.once(ctx, method, tenant, path, key, payload, into)
		if err == nil && status/100 == 2 {
			return nil
		}
		if err == nil && status != http.StatusTooManyRequests && status < 500 {
			return fmt.Errorf("drop: %s %s: status %d", method, path, status)
		}
		if !pause(ctx, 50*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func (c *client) once(ctx context.Context, method, tenant, path, key string, payload []byte, into any) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+c.keys[tenant])
	if payload != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode/100 != 2 {
		return resp.StatusCode, err
	}
	return resp.StatusCode, json.Unmarshal(b, into)
}

// send queues a text and returns its id.
func (c *client) send(ctx context.Context, tenant, conversation, text string) (id string, err error) {
	var m struct {
		ID string `json:"id"`
	}
	key := "drop-" + strconv.FormatInt(c.written.Add(1), 10)
	err = c.call(ctx, http.MethodPost, tenant, "/v1/conversations/"+conversation+"/messages", key,
		map[string]string{"type": "text", "text": text}, &m)
	return m.ID, err
}

// conversations adds a tenant's conversations to ids, by channel and address.
func (c *client) conversations(ctx context.Context, tenant string, ids map[string]string) error {
	return pages(ctx, c, tenant, "/v1/conversations?limit=200", func(v struct {
		ID      string `json:"id"`
		Channel string `json:"channel_id"`
		Contact struct {
			Addresses []struct {
				Value string `json:"value"`
			} `json:"addresses"`
		} `json:"contact"`
	}) {
		for _, a := range v.Contact.Addresses {
			ids[v.Channel+"/"+a.Value] = v.ID
		}
	})
}

// sends adds the sends of a tenant that were given up to left, and counts those
// that are owed.
func (c *client) sends(ctx context.Context, tenant string, left map[string]bool) (owed int, err error) {
	err = pages(ctx, c, tenant, "/v1/sends?limit=1000", func(v struct {
		ID    string  `json:"message_id"`
		State string  `json:"state"`
		Next  *string `json:"next_at"`
	}) {
		if v.Next == nil && v.State == "unknown" {
			left[v.ID] = true
		} else {
			owed++
		}
	})
	return owed, err
}

// pages calls f for every item of a list.
func pages[T any](ctx context.Context, c *client, tenant, path string, f func(T)) error {
	cursor := ""
	for {
		var page struct {
			Data []T    `json:"data"`
			Next string `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, tenant, path+cursor, "", nil, &page); err != nil {
			return err
		}
		for _, v := range page.Data {
			f(v)
		}
		if page.Next == "" {
			return nil
		}
		cursor = "&cursor=" + url.QueryEscape(page.Next)
	}
}
