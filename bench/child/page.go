package child

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Reader reads a tenant's events through the API of a running engine.
type Reader struct {
	// Client bounds each request; http.DefaultClient when nil.
	Client *http.Client
	// Key is the tenant's API key.
	Key string
}

// pageLen is the API's own default.
const pageLen = 500

// Feed calls f for every event of the tenant after position from, in feed
// order.
func (r *Reader) Feed(ctx context.Context, api string, from uint64, f func(*Event)) error {
	return r.pages(ctx, api, "/v1/events", url.Values{"from": {strconv.FormatUint(from, 10)}}, f)
}

// Conversation calls f for every event of a conversation, in its order.
func (r *Reader) Conversation(ctx context.Context, api, conversation string, f func(*Event)) error {
	return r.pages(ctx, api, "/v1/conversations/"+url.PathEscape(conversation)+"/events", url.Values{}, f)
}

func (r *Reader) pages(ctx context.Context, api, path string, q url.Values, f func(*Event)) error {
	q.Set("limit", strconv.Itoa(pageLen))
	for {
		var page struct {
			Data []Event `json:"data"`
			Next string  `json:"next_cursor"`
		}
		if err := r.get(ctx, "http://"+api+path+"?"+q.Encode(), &page); err != nil {
			return err
		}
		for i := range page.Data {
			f(&page.Data[i])
		}
		if page.Next == "" {
			return nil
		}
		q.Set("cursor", page.Next)
	}
}

func (r *Reader) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return fmt.Errorf("child: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+r.Key)
	req.Header.Set("Accept", "application/json")
	client := r.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("child: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10)) // only quoted
		return fmt.Errorf("child: events: status %d: %s", resp.StatusCode, clip(body))
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("child: events: %w", err)
	}
	return nil
}
