package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func (c *cli) serveCommand() *cobra.Command {
	var bootstrap string
	cmd := &cobra.Command{Use: "serve", Short: "Run the engine",
		Long: `serve takes webhooks, answers customers and serves the API. It prints one line,
"ready edge=HOST:PORT api=HOST:PORT ops=HOST:PORT", on stderr when it can accept,
and exits 0 within 30 s of SIGTERM or SIGINT.

Without assistant.base_url or assistant.api_key, messages are handed to people.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			o := ServerOptions{Config: &loaded.Config, Log: newLog(c.stderr, loaded.Config.Log)}
			if bootstrap != "" {
				if o.Bootstrap, err = ReadBootstrap(bootstrap); err != nil {
					return usageError(fmt.Errorf("the bootstrap file is refused:\n%w", err))
				}
			}
			return c.serve(cmd.Context(), o, nil)
		}}
	c.configFlags(cmd, listenKeys...)
	cmd.Flags().StringVar(&bootstrap, "bootstrap", "", "YAML file of apps, tenants, channels, API keys and members; applied at every start")
	return cmd
}

// serve runs a node until ctx ends. started, when not nil, is called when it
// can accept, before the ready line. A stop that comes while it starts is no
// error.
func (c *cli) serve(ctx context.Context, o ServerOptions, started func(*Server)) error {
	tuneRuntime()
	s, err := NewServer(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err = s.Start(ctx); err == nil {
		if started != nil {
			started(s)
		}
		hooks, api, ops := s.Addresses()
		fmt.Fprintf(c.stderr, "ready edge=%s api=%s ops=%s\n", hooks, api, ops)
		select {
		case <-ctx.Done():
			o.Log.Info("stopping")
		case err = <-s.Failed():
			err = fmt.Errorf("a listener failed: %w", err)
		}
	} else if ctx.Err() != nil {
		err = nil
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Config.Engine.DrainTimeout)
	defer cancel()
	if stopErr := s.Stop(drain); err == nil {
		err = stopErr
	}
	return err
}
