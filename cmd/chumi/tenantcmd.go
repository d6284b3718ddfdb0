package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/transport/edge"
)

func (c *cli) tenantCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "tenant", Short: "Take one tenant out as a file, and put it in place elsewhere", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.tenantExportCommand(), c.tenantImportCommand(), c.tenantConfirmCommand())
	return cmd
}

// keyFileHelp says what opens an archive.
const keyFileHelp = "key file of the archive, 64 hexadecimal characters, mode 0400 (default the key of backups)"

func (c *cli) tenantExportCommand() *cobra.Command {
	r := edge.ArchiveRequest{}
	o := operator{cli: c}
	var tenant string
	var offline bool
	cmd := &cobra.Command{Use: "export", Short: "Write everything that belongs to a tenant to one file, while the engine serves",
		Long: `export has a running engine write one tenant to a file that the engine can reach:

  chumi tenant export --tenant acme --out /mnt/move/acme.archive --key-file move.key

The file holds the tenant's conversations, contacts, knowledge, catalog, settings,
channels with their tokens, API keys as digests, members and files of messages. It is
always encrypted: with --key-file, or with the key of backups, which opens it in this
installation only. What is durable when the command begins is in it. With --offline it
reads the data directory of a stopped engine.

The tenant goes on where it is. It holds who is erased after it was made: delete it
within 30 days.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if r.Tenant = chat.TenantID(tenant); tenant == "" || r.File == "" {
				return usageError(errors.New("tenant export needs --tenant and --out"))
			}
			if err := absolute(&r.File, &r.KeyFile); err != nil {
				return err
			}
			if !offline {
				return c.archive(cmd.Context(), o, r)
			}
			loaded, err := c.load(cmd)
			if err != nil {
				return err
			}
			f, err := openArchiveFile(&loaded.Config, r.File, r.KeyFile)
			if err != nil {
				return err
			}
			return c.offline(cmd, func(ctx context.Context, s *persistence.Store) error {
				if err := knownTenant(ctx, s, tenant); err != nil {
					return err
				}
				said := ""
				end, notes, err := f.make(ctx, &loaded.Config, s, r.Tenant, func(p backup.Progress) { said = c.progress(said, p) })
				if err != nil {
					return err
				}
				return c.archived(r, &edge.BackupState{State: end.State, Done: end.Rows, Stored: end.Files, Notes: notes})
			})
		}}
	c.configFlags(cmd, offlineKeys...)
	f := cmd.Flags()
	f.StringVar(&tenant, "tenant", "", "id of the tenant")
	f.StringVar(&r.File, "out", "", "file, or s3://BUCKET/NAME; one that is there is replaced")
	f.StringVar(&r.KeyFile, "key-file", "", keyFileHelp)
	f.StringVar(&o.addr, "ops-addr", DefaultConfig().Ops.Addr, "ops listener of a running node")
	f.BoolVar(&offline, "offline", false, "read the data directory of a stopped engine")
	return cmd
}

func (c *cli) tenantImportCommand() *cobra.Command {
	r := edge.ArchiveRequest{Import: true}
	return c.operatorCommand("import", "Put the tenant of an archive in place in a running engine, held",
		`import has a running engine read an archive that chumi tenant export wrote:

  chumi tenant import --in /mnt/move/acme.archive --key-file move.key

All of the archive is proven before anything is written. The tenant keeps its id, which
must not be taken, and needs the apps of its channels. Nobody sees it before it is whole
and adds up to the same as where it comes from; an import that was interrupted is
repeated with the same command. In a cluster, name the node that leads the tenant's
group: another one says so, and chumi cluster status shows which it is.

Whoever was erased where it comes from is not in it; whoever was erased since, as far as
the place of the backups was told and --erasures says, is erased before anybody sees the
tenant.

The tenant then takes webhooks and API requests and sends nothing: see chumi tenant
confirm.`,
		func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&r.File, "in", "", "file, or s3://BUCKET/NAME")
			f.StringVar(&r.KeyFile, "key-file", "", keyFileHelp)
			f.StringVar(&r.Erasures, "erasures", "", "file of who was erased since, which chumi erasures prints")
		},
		func(cmd *cobra.Command, o operator) error {
			if r.File == "" {
				return usageError(errors.New("tenant import needs --in"))
			}
			if err := absolute(&r.File, &r.KeyFile, &r.Erasures); err != nil {
				return err
			}
			return c.archive(cmd.Context(), o, r)
		})
}

func (c *cli) tenantConfirmCommand() *cobra.Command {
	var tenant string
	return c.operatorCommand("confirm", "Let a tenant that was imported send and answer",
		`confirm lets a tenant that came from an archive act, for good. Do it when the engine
that it comes from does not act for it any more: from then on what it owes is sent from
here, and what the other has sent since the archive was made may go twice.`,
		func(cmd *cobra.Command) { cmd.Flags().StringVar(&tenant, "tenant", "", "id of the tenant") },
		func(_ *cobra.Command, o operator) error {
			if tenant == "" {
				return usageError(errors.New("tenant confirm needs --tenant"))
			}
			if _, err := o.request(fasthttp.MethodPost, "/tenants/confirm?"+url.Values{"tenant": {tenant}}.Encode()); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.stdout, "tenant %s acts from now on\n", tenant)
			return err
		})
}

// absolute makes paths mean the same in the engine, which may have another working
// directory.
func absolute(names ...*string) error {
	for _, name := range names {
		if *name == "" || strings.HasPrefix(*name, bucketScheme) {
			continue
		}
		abs, err := filepath.Abs(*name)
		if err != nil {
			return err
		}
		*name = abs
	}
	return nil
}

// archive has a node make or take in an archive, and follows it to its end.
func (c *cli) archive(ctx context.Context, o operator, r edge.ArchiveRequest) error {
	r.ID = rand.Text()
	args := url.Values{"id": {r.ID}, "tenant": {string(r.Tenant)}, "file": {r.File}, "key_file": {r.KeyFile}, "erasures": {r.Erasures}}
	verb := "export"
	if r.Import {
		verb = "import"
	}
	if _, err := o.request(fasthttp.MethodPost, "/tenants/"+verb+"?"+args.Encode()); err != nil {
		return err
	}
	for said := ""; ; {
		body, err := o.request(fasthttp.MethodGet, "/tenants")
		if err != nil {
			return err
		}
		s := new(edge.BackupState)
		if err := json.Unmarshal(body, s); err != nil {
			return fmt.Errorf("the node's answer is unreadable: %w", err)
		}
		switch {
		case s.ID != r.ID:
			return fmt.Errorf("the node at %s was started again: repeat the %s", o.addr, verb)
		case s.Error != "":
			return fmt.Errorf("the %s failed: %s", verb, s.Error)
		case s.Ended:
			return c.archived(r, s)
		}
		said = c.progress(said, backup.Progress{Doing: s.Doing})
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return errors.New("the node goes on with it")
		}
	}
}

// archived says what an archive came to.
func (c *cli) archived(r edge.ArchiveRequest, s *edge.BackupState) error {
	for _, note := range s.Notes {
		fmt.Fprintln(c.stdout, "note:", note)
	}
	done := "wrote " + r.File
	if r.Import {
		done = "imported " + r.File + ", held: it sends nothing until chumi tenant confirm"
	}
	_, err := fmt.Fprintf(c.stdout, "%s\n%d rows, %d files\nstate %s\n", done, s.Done, s.Stored, s.State)
	return err
}
