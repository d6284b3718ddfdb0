package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/persistence/seal"
)

// The parts of a data directory.
func storeDir(c *Config) string    { return filepath.Join(c.DataDir, "store") }
func strikesFile(c *Config) string { return filepath.Join(c.DataDir, "strikes") }

// keyFile is the key-encryption key: the one configured, or secrets/kek in the
// data directory.
func keyFile(c *Config) string {
	if c.Keys.File != "" {
		return c.Keys.File
	}
	return filepath.Join(c.DataDir, "secrets", "kek")
}

// openStore opens the store to serve from it, making a new one, and its key,
// where there is none. It takes no commits yet. A store without its key is refused: a new key could not
// read it.
func openStore(c *Config, log *slog.Logger, m *metrics.Set) (*persistence.Store, error) {
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("the data directory cannot be made: %w", err)
	}
	var (
		kek     *seal.KEK
		created bool
		err     error
	)
	if _, statErr := os.Stat(storeDir(c)); statErr == nil || c.Keys.File != "" {
		kek, err = loadKey(c)
	} else {
		kek, created, err = seal.LoadOrCreateKEK(keyFile(c))
	}
	if err != nil {
		return nil, err
	}
	if created {
		log.Info("a key-encryption key was created; keep a copy apart from backups: without it the store cannot be read",
			"file", keyFile(c), "fingerprint", kek.Fingerprint())
	}
	reserve := int64(c.Engine.DiskFreeMin)
	if reserve == 0 {
		reserve = -1
	}
	files, _, err := openFiles(c)
	if err != nil {
		return nil, err
	}
	return persistence.Open(persistence.Options{
		Dir: storeDir(c), KEK: kek, Logger: log, Metrics: &m.Journal, Files: files,
		DiskReserve: reserve, CacheSize: int64(c.Engine.CacheBytes), SyncInterval: persistence.DefaultSyncInterval,
	})
}

// serveAlone makes a store take commits on a node that is in no cluster. The data
// of a cluster is refused: alone, this node must not decide anything. But for
// engine.keep_format it is finalized: no other node must know the format.
func serveAlone(c *Config, s *persistence.Store, log *slog.Logger, m *metrics.Set) error {
	known, err := persistence.ReadMembership(s)
	if err != nil {
		return err
	}
	if known.Cluster.ID != "" {
		return usageError(errors.New("the data directory belongs to a node of cluster " + known.Cluster.ID +
			": set cluster.cert_file, cluster.key_file and cluster.ca_file"))
	}
	if !c.Engine.KeepFormat {
		err = s.Finalize()
	}
	if err := errors.Join(err, s.Writable()); err != nil {
		return err
	}
	_, err = replica.Start(s, replica.Options{Logger: log, Metrics: &m.Journal})
	return err
}

// openOffline opens an existing store for reading only.
func openOffline(c *Config, log *slog.Logger) (*persistence.Store, error) {
	if _, err := os.Stat(storeDir(c)); err != nil {
		return nil, fmt.Errorf("there is no store in %s; name the data directory with --data-dir", c.DataDir)
	}
	kek, err := loadKey(c)
	if err != nil {
		return nil, err
	}
	s, err := persistence.Open(persistence.Options{Dir: storeDir(c), KEK: kek, Logger: log, ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("%w (a running engine holds its store: stop it first, or use the API)", err)
	}
	return s, nil
}

func loadKey(c *Config) (*seal.KEK, error) {
	kek, err := seal.LoadKEK(keyFile(c))
	if chat.KindOf(err) == chat.KindNotFound {
		return nil, errors.New("the store exists but its key-encryption key " + keyFile(c) +
			" does not; restore the file, or name it with keys.file (CHUMI_KEYS__FILE)")
	}
	return kek, err
}
