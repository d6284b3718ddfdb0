package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"
)

func (c *cli) readyCommand() *cobra.Command {
	var wait time.Duration
	return c.operatorCommand("ready", "Ask the engine whether it can keep its promise now",
		`ready asks /readyz of the engine on this machine: exit 0 when it is ready, 1 with what
is not. It is the health check of containers, which have no other program. With --wait
it asks until the engine is ready, also one that does not listen yet.`,
		func(cmd *cobra.Command) {
			cmd.Flags().DurationVar(&wait, "wait", 0, "ask again for so long until it is ready: --wait 30s")
		},
		func(cmd *cobra.Command, o operator) error {
			return retried(cmd.Context(), wait, func() error {
				body, err := o.request(fasthttp.MethodGet, "/readyz")
				if err != nil {
					return unready(err)
				}
				_, err = fmt.Fprintln(c.stdout, "ready"+notes(body))
				return err
			})
		})
}

// retried tries until it succeeds, the time is over or ctx ends, and returns what
// happened last.
func retried(ctx context.Context, wait time.Duration, try func() error) error {
	over := time.After(wait)
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(watchEvery):
		case <-over:
			return err
		case <-ctx.Done():
			return err
		}
	}
}

// readiness is the body of /readyz.
type readiness struct {
	Checks []struct {
		Name, Reason, Note string
		Ready              bool
	}
}

// unready makes a sentence of the body that /readyz refused with.
func unready(err error) error {
	var r readiness
	if json.Unmarshal([]byte(err.Error()), &r) != nil {
		return err
	}
	var not []string
	for _, check := range r.Checks {
		if !check.Ready {
			not = append(not, check.Name+": "+check.Reason)
		}
	}
	return errors.New("not ready: " + strings.Join(not, "; "))
}

// notes is what else a ready engine says of itself, a line each.
func notes(body []byte) string {
	var r readiness
	if json.Unmarshal(body, &r) != nil {
		return ""
	}
	var b strings.Builder
	for _, check := range r.Checks {
		if check.Note != "" {
			b.WriteString("\nnote: this node " + check.Note)
		}
	}
	return b.String()
}
