package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// tailOptions says what to follow and how to print it.
type tailOptions struct {
	base, key, tenant string
	from              uint64
	asJSON, text      bool
	// past ends with what there is.
	past bool
}

func (c *cli) tailCommand() *cobra.Command {
	var o tailOptions
	cmd := &cobra.Command{Use: "tail", Short: "Follow every event of a tenant of a running engine, past and live",
		Long: `tail follows GET /v1/events of a running engine with an API key of the tenant,
given by --key or CHUMI_KEY. It hides what people wrote unless --text is given,
and goes on where it was when the engine restarts; with --past it ends with what
there is. For a stopped engine use chumi export.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			if o.base == "" {
				o.base = "http://" + loaded.Config.API.Addr
			}
			if o.key == "" {
				o.key = c.lookup("CHUMI_KEY")
			}
			if o.key == "" {
				return usageError(errors.New("tail needs an API key of the tenant: --key or CHUMI_KEY"))
			}
			if o.past {
				return c.past(cmd.Context(), &o)
			}
			return c.tail(cmd.Context(), o)
		}}
	c.configFlags(cmd, "api.addr")
	f := cmd.Flags()
	f.StringVar(&o.base, "url", "", "base URL of the API (default http:// and api.addr)")
	f.StringVar(&o.key, "key", "", "API key of the tenant (default CHUMI_KEY)")
	f.StringVar(&o.tenant, "tenant", "", "print only if the key is of this tenant")
	f.Uint64Var(&o.from, "from", 0, "position to start after")
	f.BoolVar(&o.asJSON, "json", false, "print events as they are, whole")
	f.BoolVar(&o.text, "text", false, "show what people wrote")
	f.BoolVar(&o.past, "past", false, "end with what there is")
	return cmd
}

// lookup reads a variable of the environment.
func (c *cli) lookup(name string) string {
	for _, kv := range c.env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// tailRetry is the pause before a broken stream is opened again.
const tailRetry = time.Second

// tail prints events until ctx ends. A stream that breaks is opened again after
// the last event printed; one that cannot be opened at first is an error.
func (c *cli) tail(ctx context.Context, o tailOptions) error {
	for opened := false; ; {
		ok, err := c.follow(ctx, &o)
		opened = opened || ok
		var final *exitError
		if ctx.Err() != nil {
			return nil
		}
		if errors.As(err, &final) || !opened {
			return err
		}
		pause := time.NewTimer(tailRetry)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return nil
		}
	}
}

// past prints what there is, page after page.
func (c *cli) past(ctx context.Context, o *tailOptions) error {
	for {
		resp, err := o.events(ctx, "application/json")
		if err != nil {
			return err
		}
		var page struct{ Data []json.RawMessage }
		err = json.NewDecoder(resp.Body).Decode(&page)
		_ = resp.Body.Close()
		if err != nil {
			return fmt.Errorf("the API sent a list that is not JSON: %w", err)
		}
		if len(page.Data) == 0 {
			return nil
		}
		for _, data := range page.Data {
			if err := c.printEvent(data, o); err != nil {
				return err
			}
		}
	}
}

// events asks for what is after o.from.
func (o *tailOptions) events(ctx context.Context, accept string) (*http.Response, error) {
	url := strings.TrimSuffix(o.base, "/") + "/v1/events?from=" + strconv.FormatUint(o.from, 10)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, usageError(fmt.Errorf("--url: %w", err))
	}
	req.Header.Set("Authorization", "Bearer "+o.key)
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the API at %s does not answer: %w", o.base, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	err = fmt.Errorf("the API answered %s: %s", resp.Status, bytes.TrimSpace(body))
	if resp.StatusCode < http.StatusInternalServerError {
		return nil, &exitError{code: exitFailed, err: err}
	}
	return nil, err
}

// follow reads one stream to its end and moves o.from. opened tells whether the
// engine let it in.
func (c *cli) follow(ctx context.Context, o *tailOptions) (opened bool, err error) {
	resp, err := o.events(ctx, "text/event-stream")
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	lines := bufio.NewReaderSize(resp.Body, 1<<16)
	for {
		line, err := lines.ReadString('\n')
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			if err := c.printEvent([]byte(strings.TrimSpace(data)), o); err != nil {
				return true, &exitError{code: exitFailed, err: err}
			}
		}
		if err != nil {
			return true, err
		}
	}
}

// tailEvent is the part of an event that one line shows.
type tailEvent struct {
	Pos            uint64  `json:"pos"`
	Seq            uint64  `json:"seq"`
	Kind           string  `json:"kind"`
	Time           string  `json:"time"`
	TenantID       string  `json:"tenant_id"`
	ConversationID *string `json:"conversation_id"`
	Message        *struct {
		Direction string `json:"direction"`
		Type      string `json:"type"`
		Text      string `json:"text"`
	} `json:"message"`
	Status *struct {
		Status string `json:"status"`
	} `json:"status"`
	Handoff *struct {
		Reason string `json:"reason"`
	} `json:"handoff"`
	Turn *struct {
		Reason string `json:"reason"`
	} `json:"turn"`
	Attempt *struct {
		Reason string `json:"reason"`
	} `json:"attempt"`
}

func (c *cli) printEvent(data []byte, o *tailOptions) error {
	var e tailEvent
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("the API sent an event that is not JSON: %w", err)
	}
	if o.tenant != "" && e.TenantID != o.tenant {
		return fmt.Errorf("the API key is of tenant %q, not %q", e.TenantID, o.tenant)
	}
	o.from = e.Pos
	if o.asJSON {
		_, err := fmt.Fprintf(c.stdout, "%s\n", data)
		return err
	}
	conversation := "-"
	if e.ConversationID != nil {
		conversation = *e.ConversationID
	}
	_, err := fmt.Fprintf(c.stdout, "%8d  %s  %s %4d  %-22s %s\n", e.Pos, e.Time, conversation, e.Seq, e.Kind, e.detail(o.text))
	return err
}

// detail is the end of a line: what happened, without what people wrote unless
// text is true.
func (e *tailEvent) detail(text bool) string {
	var parts []string
	if e.Message != nil && e.Message.Type != "" {
		parts = append(parts, e.Message.Direction, e.Message.Type)
		if text {
			parts = append(parts, strconv.Quote(e.Message.Text))
		}
	}
	switch {
	case e.Status != nil:
		parts = append(parts, e.Status.Status)
	case e.Handoff != nil:
		parts = append(parts, e.Handoff.Reason)
	case e.Turn != nil && e.Turn.Reason != "":
		parts = append(parts, e.Turn.Reason)
	case e.Attempt != nil && e.Attempt.Reason != "":
		parts = append(parts, e.Attempt.Reason)
	}
	return strings.Join(parts, " ")
}
