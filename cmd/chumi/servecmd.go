package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"
)

func (c *cli) serveCommand() *cobra.Command {
	var bootstrap string
	var seeds []string
	var found bool
	cmd := &cobra.Command{Use: "serve", Short: "Run the engine",
		Long: `serve takes webhooks, answers customers and serves the API. It prints one line,
"ready edge=HOST:PORT api=HOST:PORT ops=HOST:PORT", on stderr when it can accept,
tells systemd so where that started it, and exits 0 within 30 s of SIGTERM or SIGINT.

With a certificate (chumi cluster init makes them) it is one node of a cluster: the
first one is started with --found, once, every other with --join and the peer address
of any member. Afterwards each comes back by itself, with or without --join.

Without assistant.base_url or assistant.api_key, messages are handed to people.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			o := ServerOptions{Config: &loaded.Config, Log: newLog(c.stderr, loaded.Config.Log), Seeds: seeds, Found: found}
			if bootstrap != "" {
				if o.Bootstrap, err = ReadBootstrap(bootstrap); err != nil {
					return usageError(fmt.Errorf("the bootstrap file is refused:\n%w", err))
				}
			}
			return c.serve(cmd.Context(), o, nil)
		}}
	c.configFlags(cmd, listenKeys...)
	cmd.Flags().StringVar(&bootstrap, "bootstrap", "", "YAML file of apps, tenants, channels, API keys, members and assistants; applied at every start")
	cmd.Flags().StringSliceVar(&seeds, "join", nil, "peer addresses of members of a cluster to join, HOST:PORT; harmless on a member, and its own is passed over")
	cmd.Flags().BoolVar(&found, "found", false, "make an empty data directory the first of a new cluster; refused on a member")
	return cmd
}

// serve runs a node until ctx ends. started, when not nil, is called when it
// can accept, before the ready line. A stop that comes while it starts is no
// error.
func (c *cli) serve(ctx context.Context, o ServerOptions, started func(*Server)) error {
	tuneRuntime()
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	o.Beyond = giveUp
	s, err := NewServer(ctx, o)
	if err != nil {
		if ctx.Err() != nil {
			return ended(ctx)
		}
		return err
	}
	if err = s.Start(ctx); err == nil {
		err = s.awaitLeaders(ctx)
	}
	if err == nil {
		err = s.declareAssistants(ctx)
	}
	if err == nil {
		if started != nil {
			started(s)
		}
		hooks, api, ops := s.Addresses()
		line := fmt.Sprintf("ready edge=%s api=%s ops=%s", hooks, api, ops)
		if peers := s.PeerAddress(); peers != "" {
			line += " peer=" + peers
		}
		fmt.Fprintln(c.stderr, line)
		c.notify(o.Log, notifyReady)
		select {
		case <-ctx.Done():
			o.Log.Info("stopping")
			c.notify(o.Log, notifyStopping)
			err = ended(ctx)
		case err = <-s.Failed():
			err = fmt.Errorf("a listener failed: %w", err)
		}
	} else if ctx.Err() != nil {
		err = ended(ctx)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Config.Engine.DrainTimeout)
	defer cancel()
	if stopErr := s.Stop(drain); err == nil {
		err = stopErr
	}
	return err
}

// ended is why ctx ended, nil for a stop that was asked for.
func ended(ctx context.Context) error {
	if why := context.Cause(ctx); !errors.Is(why, context.Canceled) {
		return why
	}
	return nil
}

// notify tells the service manager; a serving engine does not end because of it.
func (c *cli) notify(log *slog.Logger, state string) {
	if err := notify(c.env, state); err != nil {
		log.Warn("the service manager was not told", "state", state, "err", err)
	}
}
