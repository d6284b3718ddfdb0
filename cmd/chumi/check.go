package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/persistence"
)

func (c *cli) checkCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Hold every stored row against every invariant, offline",
		Long: `check reads a data directory whose engine is stopped, changes nothing, and prints
each violation with the name of the invariant. It exits 3 when there is one.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.offline(cmd, c.check)
		}}
	c.configFlags(cmd, offlineKeys...)
	return cmd
}

func (c *cli) check(ctx context.Context, s *persistence.Store) error {
	report, err := s.Check(ctx, func(r persistence.CheckReport) {
		fmt.Fprintf(c.stderr, "%d rows, %d events, %d violations so far\n", r.Rows, r.Events, r.Broken)
	})
	if err != nil {
		return err
	}
	for _, v := range report.Violations {
		if _, err := fmt.Fprintln(c.stdout, v); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(c.stdout, "%d tenants, %d conversations, %d events, %d rows: %d violations\n",
		report.Tenants, report.Conversations, report.Events, report.Rows, report.Broken); err != nil {
		return err
	}
	if report.Broken > 0 {
		return &exitError{code: exitViolation, err: fmt.Errorf("%d violations; the first is of %s", report.Broken, report.Violations[0].Invariant)}
	}
	return nil
}
