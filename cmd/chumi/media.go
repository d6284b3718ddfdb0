package main

import (
	"context"
	"path/filepath"
	"time"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/persistence/blob"
)

// MediaConfig says where files are kept. Either the directory or the bucket.
type MediaConfig struct {
	Dir string `koanf:"dir" rule:"optional" doc:"Directory of media files, sealed; empty means media in the data directory. Not used when there is a bucket."`
	// FileBytesMax is of one file that a customer sent.
	FileBytesMax int `koanf:"file_bytes_max" doc:"Largest file that is fetched, in bytes; Meta passes on at most 100 MB."`
	// UploadBytesMax is of one file that a client uploads.
	UploadBytesMax int      `koanf:"upload_bytes_max" doc:"Largest file that POST /v1/media takes, in bytes; it is held in memory while it arrives."`
	S3             S3Config `koanf:"s3" doc:"A bucket for media files, which the nodes of a cluster share; unset means the directory."`
}

// S3Config is a bucket that speaks S3.
type S3Config struct {
	Endpoint  string      `koanf:"endpoint" rule:"optional" doc:"Host, or host:port, of the S3 server, without a scheme."`
	Bucket    string      `koanf:"bucket" rule:"optional" doc:"Name of the bucket, which must exist."`
	Region    string      `koanf:"region" rule:"optional" doc:"Region of the bucket; empty asks the server."`
	AccessKey string      `koanf:"access_key" rule:"optional" doc:"Access key id."`
	SecretKey chat.Secret `koanf:"secret_key" rule:"optional" secret:"true" doc:"Secret access key."`
	TLS       bool        `koanf:"tls" doc:"Speak TLS to the server; switch it off only on a trusted network."`
}

// On reports whether files go to a bucket.
func (c *S3Config) On() bool { return c.Endpoint != "" }

// mediaDir is where files lie without a bucket.
func mediaDir(c *Config) string {
	if c.Media.Dir != "" {
		return c.Media.Dir
	}
	return filepath.Join(c.DataDir, "media")
}

// bucketWait bounds the look at the bucket at start.
const bucketWait = 10 * time.Second

// openFiles opens the place of files. A bucket that does not answer does not hold
// the start: files are fetched once it does.
func openFiles(c *Config) (*blob.Store, *blob.Bucket, error) {
	place, err := filesPlace(c)
	if err != nil {
		return nil, nil, err
	}
	bucket, _ := place.(*blob.Bucket)
	return blob.New(place), bucket, nil
}

// filesPlace is where files lie, a directory or a bucket.
func filesPlace(c *Config) (blob.Place, error) {
	if s3 := c.Media.S3; s3.On() {
		return blob.OpenBucket(blob.BucketOptions{Endpoint: s3.Endpoint, Bucket: s3.Bucket, Region: s3.Region,
			AccessKey: s3.AccessKey, SecretKey: s3.SecretKey, TLS: s3.TLS})
	}
	reserve := uint64(max(c.Engine.DiskFreeMin, 0)) // #nosec G115 -- not negative
	return blob.OpenDir(nil, mediaDir(c), reserve)
}

// openMedia opens the place of files and says what an operator should know of it.
func (s *Server) openMedia(ctx context.Context) error {
	files, bucket, err := openFiles(s.opt.Config)
	if err != nil {
		return err
	}
	s.files = files
	switch {
	case bucket != nil:
		ctx, cancel := context.WithTimeout(ctx, bucketWait)
		defer cancel()
		if err := bucket.Check(ctx); err != nil {
			s.opt.Log.Warn("the bucket of media.s3 cannot be used now; files of messages wait until it can", "err", err)
		}
	case s.node != nil:
		s.opt.Log.Warn(filesApart, "dir", mediaDir(s.opt.Config))
	}
	return nil
}

// filesApart is what a cluster without a bucket comes to.
const filesApart = "files lie on the node that fetched them: when another node leads, it does not have them; set media.s3 to share a bucket"

// warnings are what a configuration allows and an operator should know.
func (c *Config) warnings() (list []string) {
	if c.Cluster.On() && !c.Media.S3.On() {
		list = append(list, filesApart)
	}
	return list
}
