package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/valyala/fasthttp"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/transport/edge"
)

func (c *cli) backupCommand() *cobra.Command {
	var to string
	var addrs []string
	var keep int
	var offline bool
	cmd := &cobra.Command{Use: "backup", Short: "Copy everything that is stored to a directory or a bucket, while the engine serves",
		Long: `backup makes a consistent copy of a running engine, encrypted, to a directory that
the engine can write to or to a bucket:

  chumi backup --to /mnt/backups
  chumi backup --to s3://shop-backups/chumi

It talks to the ops listener of the engine. In a cluster, name nodes with --ops-addr
until every group is held by one of them; three nodes hold all of them each. A file
that is there from a backup of before is not stored again. With --offline it reads the
data directory of a stopped engine.

The key-encryption key is never in a backup: keep a copy of it elsewhere. A backup
holds who is erased after it was made, so none is kept longer than 30 days.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("keep") && keep < 1 {
				return usageError(errors.New("--keep must be at least 1"))
			}
			if offline {
				return c.backupOffline(cmd, to, keep)
			}
			return c.backupOnline(cmd.Context(), to, addrs, keep)
		}}
	c.configFlags(cmd, offlineKeys...)
	f := cmd.Flags()
	f.StringVar(&to, "to", "", "directory or s3://BUCKET/PREFIX (default backup.to)")
	f.StringSliceVar(&addrs, "ops-addr", []string{DefaultConfig().Ops.Addr}, "ops listener of a running node (repeatable)")
	f.IntVar(&keep, "keep", 0, "how many backups are kept (default backup.keep)")
	f.BoolVar(&offline, "offline", false, "read the data directory of a stopped engine")
	cmd.AddCommand(c.backupListCommand(), c.backupDrillCommand())
	return cmd
}

// backupOnline has running nodes make a backup.
func (c *cli) backupOnline(ctx context.Context, to string, addrs []string, keep int) error {
	id := backup.NewID(time.Now())
	args := url.Values{"id": {id}}
	if to != "" && !strings.HasPrefix(to, bucketScheme) {
		// The engine may have another working directory.
		abs, err := filepath.Abs(to)
		if err != nil {
			return err
		}
		to = abs
	}
	args.Set("to", to)
	var have []string
	var last *edge.BackupState
	for _, addr := range addrs {
		args.Set("skip", strings.Join(have, ","))
		s, err := c.backupStep(ctx, operator{cli: c, addr: addr}, args)
		if err != nil {
			return err
		}
		for _, g := range s.Groups {
			have = append(have, strconv.Itoa(int(g)))
		}
		c.told(s)
		last = s
	}
	args.Set("finish", "true")
	if keep > 0 {
		args.Set("keep", strconv.Itoa(keep))
	}
	s, err := c.backupStep(ctx, operator{cli: c, addr: addrs[len(addrs)-1]}, args)
	if err != nil {
		return err
	}
	for _, note := range slices.Concat(last.Notes, s.Notes) {
		fmt.Fprintln(c.stdout, "note:", note)
	}
	_, err = fmt.Fprintf(c.stdout, "backup %s in %s\nstate %s\n", id, s.To, s.State)
	return err
}

func (c *cli) told(s *edge.BackupState) {
	fmt.Fprintf(c.stdout, "%d groups; %d objects stored, %d were there; %d bytes read\n", len(s.Groups), s.Stored, s.Same, s.Bytes)
}

// backupStep begins one step on a node and follows it to its end.
func (c *cli) backupStep(ctx context.Context, o operator, args url.Values) (*edge.BackupState, error) {
	if _, err := o.request(fasthttp.MethodPost, "/backup?"+args.Encode()); err != nil {
		return nil, err
	}
	said := ""
	for {
		body, err := o.request(fasthttp.MethodGet, "/backup")
		if err != nil {
			return nil, err
		}
		s := new(edge.BackupState)
		if err := json.Unmarshal(body, s); err != nil {
			return nil, fmt.Errorf("the node's answer is unreadable: %w", err)
		}
		switch {
		case s.ID != args.Get("id"):
			return nil, fmt.Errorf("the node at %s was started again, or makes another backup: this one was not made; those of before are as they were", o.addr)
		case s.Error != "":
			return nil, fmt.Errorf("the backup was not made; those of before are as they were: %s", s.Error)
		case s.Ended:
			return s, nil
		}
		said = c.progress(said, backup.Progress{Doing: s.Doing, Done: s.Done, Total: s.Total, Bytes: s.Bytes})
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return nil, errors.New("the node goes on with its step; without the last one the backup is none, and the next one uses what it stored")
		}
	}
}

// progress says how far something is when that changed, and returns what it said.
func (c *cli) progress(said string, p backup.Progress) string {
	line := p.Doing
	if p.Total > 0 {
		line += fmt.Sprintf(", %d of %d files", p.Done, p.Total)
	}
	if line != said {
		fmt.Fprintln(c.stderr, line)
	}
	return line
}

// backupOffline makes a backup of a stopped engine's data directory.
func (c *cli) backupOffline(cmd *cobra.Command, to string, keep int) error {
	loaded, err := c.load(cmd)
	if err != nil {
		return err
	}
	config := &loaded.Config
	kek, err := loadKey(config)
	if err != nil {
		return err
	}
	target, err := openTarget(config, to, kek)
	if err != nil {
		return err
	}
	return c.offline(cmd, func(ctx context.Context, s *persistence.Store) error {
		known, err := persistence.ReadMembership(s)
		if err != nil {
			return err
		}
		if known.Cluster.ID != "" {
			return usageError(errors.New("the data directory is of a node of cluster " + known.Cluster.ID +
				", which may lack what the others have: back up the running cluster, without --offline"))
		}
		return c.backupStopped(ctx, config, target, s, kek.Fingerprint(), keep)
	})
}

func (c *cli) backupStopped(ctx context.Context, config *Config, target *backup.Target, s *persistence.Store, kek string, keep int) error {
	media, bucket, err := mediaPlace(config)
	if err != nil {
		return err
	}
	known, err := target.Manifest(ctx, "")
	if err != nil && chat.KindOf(err) != chat.KindNotFound && chat.KindOf(err) != chat.KindInvalid {
		return err
	}
	m := &backup.Manifest{ID: backup.NewID(time.Now()), KEK: kek, Bucket: bucket}
	m.Made = madeAt(m.ID)
	said, last := "", backup.Progress{}
	p, err := target.WritePart(ctx, backup.Source{FS: s.FS(), Dir: s.Dir(), Store: s, Identity: s.Identity(), Groups: s.GroupIDs(), Media: media},
		known, func(p backup.Progress) { said, last = c.progress(said, p), p })
	if err != nil {
		return err
	}
	m.Parts = []backup.Part{*p}
	if keep == 0 {
		keep = config.Backup.Keep
	}
	if err := errors.Join(remember(ctx, target, s), target.Finish(ctx, m, s.GroupIDs())); err != nil {
		return err
	}
	pruned, err := target.Prune(ctx, keep, time.Now())
	for _, note := range mediaNotes(config, bucket) {
		fmt.Fprintln(c.stdout, "note:", note)
	}
	if pruned.Backups > 0 {
		fmt.Fprintf(c.stdout, "note: %d older backups were removed\n", pruned.Backups)
	}
	c.told(&edge.BackupState{Groups: s.GroupIDs(), Stored: last.Stored, Same: last.Same, Bytes: last.Bytes})
	fmt.Fprintf(c.stdout, "backup %s in %s\nstate %s\n", m.ID, target, m.State)
	return err
}

func (c *cli) backupListCommand() *cobra.Command {
	var from string
	cmd := &cobra.Command{Use: "list", Short: "List the backups in a place",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, target, err := c.loadTarget(cmd, from)
			if err != nil {
				return err
			}
			list, err := target.List(cmd.Context())
			if err != nil {
				return err
			}
			for _, e := range list {
				state := "whole"
				if !e.Whole {
					state = "not finished"
				}
				fmt.Fprintf(c.stdout, "%s\t%s\tkey %s\n", e.ID, state, e.Key)
			}
			return nil
		}}
	c.configFlags(cmd, offlineKeys...)
	cmd.Flags().StringVar(&from, "from", "", "directory or s3://BUCKET/PREFIX (default backup.to)")
	return cmd
}

// loadTarget opens the place that a command is about.
func (c *cli) loadTarget(cmd *cobra.Command, from string) (*Config, *backup.Target, error) {
	loaded, err := c.load(cmd)
	if err != nil {
		return nil, nil, err
	}
	kek, err := loadKey(&loaded.Config)
	if err != nil && loaded.Config.Backup.KeyFile == "" {
		return nil, nil, fmt.Errorf("the key that opens the backup is not there: put the key-encryption key into %s, mode 0400, or name it with --keys-file", keyFile(&loaded.Config))
	}
	target, err := openTarget(&loaded.Config, from, kek)
	return &loaded.Config, target, err
}

func (c *cli) backupDrillCommand() *cobra.Command {
	var o restoreFlags
	cmd := &cobra.Command{Use: "drill", Short: "Restore a backup to a temporary directory, prove it, and delete that",
		Long: `drill does all that restore does: it fetches and opens every file, builds the store,
compares its state with that of the backup and holds every row against every
invariant. Then it deletes what it built and says how long that took. It needs as much
free space as a restore, in the directory for temporary files (TMPDIR).`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, target, err := c.loadTarget(cmd, o.from)
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "chumi-drill-")
			if err != nil {
				return err
			}
			began := time.Now()
			drill := *config
			drill.Keys.File, drill.DataDir, drill.Media.Dir = keyFile(config), dir, ""
			err = c.restore(cmd.Context(), &drill, target, o)
			took := time.Since(began)
			if err = errors.Join(err, os.RemoveAll(dir)); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.stdout, "the backup can be restored; it took %s\n", took.Round(time.Millisecond))
			return err
		}}
	o.flags(cmd)
	c.configFlags(cmd, offlineKeys...)
	return cmd
}
