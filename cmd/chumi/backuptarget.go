package main

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/backup"
	"github.com/chumiai/chumi/persistence/blob"
	"github.com/chumiai/chumi/persistence/seal"
)

// BackupConfig says where backups go and what opens them.
type BackupConfig struct {
	To      string         `koanf:"to" rule:"optional" doc:"Where backups go: a directory, or s3://BUCKET or s3://BUCKET/PREFIX; whoever is erased is also told there, so that no restore brings them back."`
	KeyFile string         `koanf:"key_file" rule:"optional" doc:"Key file of backups, 64 hexadecimal characters, mode 0400; empty means that their key is derived from the key-encryption key."`
	Keep    int            `koanf:"keep" doc:"How many backups are kept; none is kept longer than 30 days, because it holds who was erased since."`
	S3      BackupS3Config `koanf:"s3" doc:"The server of a bucket for backups; unset means that of media.s3."`
}

// BackupS3Config is a server that speaks S3.
type BackupS3Config struct {
	Endpoint  string      `koanf:"endpoint" rule:"optional" doc:"Host, or host:port, of the S3 server, without a scheme."`
	Region    string      `koanf:"region" rule:"optional" doc:"Region of the bucket; empty asks the server."`
	AccessKey string      `koanf:"access_key" rule:"optional" doc:"Access key id."`
	SecretKey chat.Secret `koanf:"secret_key" rule:"optional" secret:"true" doc:"Secret access key."`
	TLS       bool        `koanf:"tls" doc:"Speak TLS to the server; switch it off only on a trusted network."`
}

// DefaultBackupKeep is a week of daily backups.
const DefaultBackupKeep = 7

// bucketScheme begins the name of a target in a bucket.
const bucketScheme = "s3://"

// openTarget opens where backups go: to, or the place of the configuration. kek is
// where the backup key comes from unless there is a file of its own.
func openTarget(c *Config, to string, kek *seal.KEK) (*backup.Target, error) {
	if to == "" {
		to = c.Backup.To
	}
	if to == "" {
		return nil, usageError(errors.New("say where backups are, with --to or --from or in backup.to (CHUMI_BACKUP__TO): a directory, or s3://BUCKET/PREFIX"))
	}
	if c.Backup.KeyFile != "" {
		var err error
		if kek, err = seal.LoadKEK(c.Backup.KeyFile); err != nil {
			return nil, fmt.Errorf("backup.key_file: %w", err)
		}
	}
	if kek == nil {
		return nil, usageError(errors.New("the key that opens the backup is missing: name the key-encryption key with keys.file, or that of backups with backup.key_file"))
	}
	place, name, err := openPlace(c, to)
	if err != nil {
		return nil, err
	}
	return backup.NewTarget(place, name, backup.NewKey(kek)), nil
}

func openPlace(c *Config, to string) (place blob.Place, name string, err error) {
	rest, bucket := strings.CutPrefix(to, bucketScheme)
	if !bucket {
		if to, err = filepath.Abs(to); err != nil {
			return nil, "", err
		}
		place, err = blob.OpenDir(nil, to, 0)
		return place, to, err
	}
	at, prefix, _ := strings.Cut(rest, "/")
	if u, err := url.Parse(to); err != nil || at == "" || u.User != nil || u.RawQuery != "" {
		return nil, "", usageError(fmt.Errorf("%q is not s3://BUCKET or s3://BUCKET/PREFIX", clip(to)))
	}
	s3 := c.Backup.S3
	if s3.Endpoint == "" {
		m := c.Media.S3
		s3 = BackupS3Config{Endpoint: m.Endpoint, Region: m.Region, AccessKey: m.AccessKey, SecretKey: m.SecretKey, TLS: m.TLS}
	}
	if s3.Endpoint == "" {
		return nil, "", usageError(errors.New("backups in a bucket need backup.s3.endpoint, or media.s3.endpoint"))
	}
	b, err := blob.OpenBucket(blob.BucketOptions{Endpoint: s3.Endpoint, Bucket: at, Region: s3.Region,
		AccessKey: s3.AccessKey, SecretKey: s3.SecretKey, TLS: s3.TLS})
	if err != nil {
		return nil, "", err
	}
	return blob.Below(b, strings.Trim(prefix, "/")), to, nil
}

// mediaPlace is where files of messages lie as files, and the name of the bucket that
// has them when they do not.
func mediaPlace(c *Config) (place blob.Place, bucket string, err error) {
	if c.Media.S3.On() {
		return nil, bucketScheme + c.Media.S3.Bucket, nil
	}
	d, err := blob.OpenDir(nil, mediaDir(c), 0)
	return d, "", err
}
