package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
)

func (c *cli) eraseCommand() *cobra.Command {
	var tenant, contact string
	cmd := &cobra.Command{Use: "erase", Short: "Destroy what is stored of a person, offline",
		Long: `erase opens a data directory whose engine is stopped and destroys what a tenant
stores of one contact: each record becomes a skeleton of seq, kind and time, and
the key all of it was sealed with goes. It prints what is left, if anything, and
until when. Backups made before hold it until they expire, within 30 days; with
backup.to in the configuration their place is told, so that a restore erases again.
Exports made before are not reached.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			if tenant == "" || contact == "" {
				return usageError(errors.New("erase needs --tenant and --contact; conversations in /v1 and the export name the contact"))
			}
			if _, err := loadKey(&loaded.Config); err != nil {
				return err
			}
			s, err := openStore(&loaded.Config, newLog(c.stderr, loaded.Config.Log), metrics.New(nil))
			if err != nil {
				return err
			}
			if err := serveAlone(&loaded.Config, s, newLog(c.stderr, loaded.Config.Log), metrics.New(nil)); err != nil {
				return errors.Join(err, s.Close())
			}
			done, err := s.Erase(cmd.Context(), chat.TenantID(tenant), chat.ContactID(contact))
			if err == nil {
				if err := c.tellErasure(cmd.Context(), &loaded.Config, s, chat.TenantID(tenant)); err != nil {
					done.Left = append(done.Left, "the place of backups was not told ("+err.Error()+"): give a restore the list that chumi erasures prints")
				}
				fmt.Fprintf(c.stdout, "erased: %d conversations, %d events, %d index rows\n", done.Conversations, done.Events, done.Rows)
				for _, left := range done.Left {
					fmt.Fprintln(c.stdout, "left:", left)
				}
			}
			return errors.Join(err, s.Close())
		}}
	c.configFlags(cmd, offlineKeys...)
	cmd.Flags().StringVar(&tenant, "tenant", "", "id of the tenant")
	cmd.Flags().StringVar(&contact, "contact", "", "id of the contact, as ct_...")
	return cmd
}

// tellErasure has the place of backups know who of a tenant was erased, if there is one.
func (c *cli) tellErasure(ctx context.Context, config *Config, s *persistence.Store, t chat.TenantID) error {
	if config.Backup.To == "" {
		return nil
	}
	kek, err := loadKey(config)
	if err != nil {
		return err
	}
	return tellTarget(ctx, config, kek, s, t)
}
