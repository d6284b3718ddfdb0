package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"
)

func (c *cli) readyCommand() *cobra.Command {
	return c.operatorCommand("ready", "Ask the engine whether it can keep its promise now",
		`ready asks /readyz of the engine on this machine: exit 0 when it is ready, 1 with what
is not. It is the health check of containers, which have no other program.`, nil,
		func(_ *cobra.Command, o operator) error {
			_, err := o.request(fasthttp.MethodGet, "/readyz")
			if err != nil {
				return unready(err)
			}
			_, err = fmt.Fprintln(c.stdout, "ready")
			return err
		})
}

// unready makes a sentence of the body that /readyz refused with.
func unready(err error) error {
	var r struct {
		Checks []struct {
			Name, Reason string
			Ready        bool
		}
	}
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
