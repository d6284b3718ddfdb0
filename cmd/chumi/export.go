package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/transport/api"
)

// offlineKeys are the keys with a flag of their own on offline commands.
var offlineKeys = []string{"data_dir", "keys.file"}

func (c *cli) exportCommand() *cobra.Command {
	var (
		tenant string
		all    bool
	)
	cmd := &cobra.Command{Use: "export", Short: "Print a tenant's events as JSON lines, offline, in feed order",
		Long: `export reads a data directory whose engine is stopped and prints every event of
a tenant, one JSON object per line, in the shape of GET /v1/events; with --all
those of every tenant, one tenant after the other. It holds personal data: treat
it like the data directory.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if all && tenant != "" {
				return usageError(errors.New("--tenant and --all: give one of them"))
			}
			return c.offline(cmd, func(ctx context.Context, s *persistence.Store) error {
				if all {
					return c.exportAll(ctx, s)
				}
				if err := knownTenant(ctx, s, tenant); err != nil {
					return err
				}
				return c.export(s, chat.TenantID(tenant))
			})
		}}
	c.configFlags(cmd, offlineKeys...)
	cmd.Flags().StringVar(&tenant, "tenant", "", "id of the tenant")
	cmd.Flags().BoolVar(&all, "all", false, "every tenant")
	return cmd
}

func (c *cli) exportAll(ctx context.Context, s *persistence.Store) error {
	d, err := persistence.OpenDirectory(ctx, s, chat.Settings{})
	if err != nil {
		return err
	}
	for _, t := range d.Tenants() {
		if err := c.export(s, t.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) export(s *persistence.Store, t chat.TenantID) error {
	out := bufio.NewWriterSize(c.stdout, 1<<16)
	var line []byte
	err := s.Export(t, func(e chat.Event) error {
		line = append(api.AppendEvent(line[:0], &e), '\n')
		_, err := out.Write(line)
		return err
	})
	return errors.Join(err, out.Flush())
}

// offline runs f on the configured store, opened for reading only.
func (c *cli) offline(cmd *cobra.Command, f func(context.Context, *persistence.Store) error) error {
	loaded, err := c.load(cmd)
	if err != nil {
		return err
	}
	log := loaded.Config.Log
	log.Level = "error"
	s, err := openOffline(&loaded.Config, newLog(c.stderr, log))
	if err != nil {
		return err
	}
	return errors.Join(f(cmd.Context(), s), s.Close())
}

// knownTenant refuses a tenant that the store does not have, and names those it
// has: an export of nothing must not look like an empty one.
func knownTenant(ctx context.Context, s *persistence.Store, tenant string) error {
	d, err := persistence.OpenDirectory(ctx, s, chat.Settings{})
	if err != nil {
		return err
	}
	var ids []string
	for _, t := range d.Tenants() {
		if string(t.ID) == tenant {
			return nil
		}
		ids = append(ids, string(t.ID))
	}
	if len(ids) > namedMax {
		ids = append(ids[:namedMax], "...")
	}
	return usageError(fmt.Errorf("--tenant %q: there is no such tenant; known: %v", clip(tenant), ids))
}

// namedMax bounds lists in error messages.
const namedMax = 20
