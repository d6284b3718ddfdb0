package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
)

func (c *cli) erasuresCommand() *cobra.Command {
	var addrs []string
	var offline bool
	cmd := &cobra.Command{Use: "erasures", Short: "Print who was erased, as keyed hashes, for chumi restore --erasures",
		Long: `erasures prints what stays of each erasure: hashes with a key that only the store
has, and when it was. A restore of an older backup takes the file and erases them
again. It asks the ops listener of a running engine, in a cluster of more than three
nodes of several; with --offline it reads the data directory of a stopped one.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var all backup.Record
			if offline {
				err := c.offline(cmd, func(ctx context.Context, s *persistence.Store) (err error) {
					all, err = erasuresOf(ctx, s)
					return err
				})
				if err != nil {
					return err
				}
				return json.NewEncoder(c.stdout).Encode(all)
			}
			for _, addr := range addrs {
				body, err := operator{cli: c, addr: addr}.request(fasthttp.MethodGet, "/erasures")
				if err != nil {
					return err
				}
				var r backup.Record
				if err := json.Unmarshal(body, &r); err != nil {
					return fmt.Errorf("the node's answer is unreadable: %w", err)
				}
				// What all of them know of is known until the first of them was asked.
				if all.Until.IsZero() || r.Until.Before(all.Until) {
					all.Until = r.Until
				}
				all.List = append(all.List, r.List...)
			}
			return json.NewEncoder(c.stdout).Encode(all)
		}}
	c.configFlags(cmd, offlineKeys...)
	cmd.Flags().StringSliceVar(&addrs, "ops-addr", []string{DefaultConfig().Ops.Addr}, "ops listener of a running node (repeatable)")
	cmd.Flags().BoolVar(&offline, "offline", false, "read the data directory of a stopped engine")
	return cmd
}
