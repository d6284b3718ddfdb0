package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/chumiai/chumi/chat"
)

// BucketOptions says where a bucket is. Endpoint and Bucket are required.
type BucketOptions struct {
	// Endpoint is host or host:port, without a scheme.
	Endpoint string
	Bucket   string
	// Region may be empty: the server is then asked for it.
	Region    string
	AccessKey string
	SecretKey chat.Secret
	// TLS says whether the endpoint is spoken to under TLS.
	TLS bool
	// Transport can be nil.
	Transport http.RoundTripper
}

// Bucket is a Place in a bucket that speaks S3, shared by the nodes of a cluster.
type Bucket struct {
	client *minio.Client
	bucket string
}

// How files reach a bucket.
const (
	// partLen is the least length of a part that S3 takes: a file up to it goes in
	// one request, a larger one in parts, of which one is in memory at a time.
	partLen = 5 << 20
	// bucketTries bounds how often one request is repeated.
	bucketTries = 3
	// answerWait is how long an answer may take to begin.
	answerWait = time.Minute
)

// OpenBucket returns the place in a bucket. It asks nothing of the server.
func OpenBucket(o BucketOptions) (*Bucket, error) {
	if o.Transport == nil {
		t, err := minio.DefaultTransport(o.TLS)
		if err != nil {
			return nil, chat.E("blob.OpenBucket", chat.KindInvalid, "the transport cannot be made", err)
		}
		t.ResponseHeaderTimeout = answerWait
		o.Transport = t
	}
	client, err := minio.New(o.Endpoint, &minio.Options{
		Creds:  credentials.NewStaticV4(o.AccessKey, o.SecretKey.Reveal(), ""),
		Secure: o.TLS, Region: o.Region, Transport: o.Transport, MaxRetries: bucketTries,
	})
	if err != nil {
		return nil, chat.E("blob.OpenBucket", chat.KindInvalid, "media.s3.endpoint must be host or host:port, without a scheme", err)
	}
	return &Bucket{client: client, bucket: o.Bucket}, nil
}

// Check reports whether the bucket is there and these credentials may see it.
func (b *Bucket) Check(ctx context.Context) error {
	found, err := b.client.BucketExists(ctx, b.bucket)
	if err != nil {
		return unavailable("blob.Check", err)
	}
	if !found {
		return chat.E("blob.Check", chat.KindNotFound, "there is no bucket "+b.bucket, nil)
	}
	return nil
}

// Put implements Place.
func (b *Bucket) Put(ctx context.Context, name string, fill func(io.Writer) error) error {
	src, dst := io.Pipe()
	filled := make(chan error, 1)
	go func() {
		err := fill(dst)
		_ = dst.CloseWithError(err)
		filled <- err
	}()
	err := b.upload(ctx, name, src)
	_ = src.CloseWithError(errUploadEnded)
	// What ended the filling comes first: an upload that failed ends it too.
	if cause := <-filled; cause != nil && !errors.Is(cause, errUploadEnded) {
		return cause
	}
	return err
}

var errUploadEnded = errors.New("the upload has ended")

func (b *Bucket) upload(ctx context.Context, name string, src io.Reader) error {
	first := make([]byte, partLen)
	n, err := io.ReadFull(src, first)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	// NB: a part that is kept may be sent again; what is read from the pipe may not.
	o := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partLen, NumThreads: 1}
	if err != nil {
		_, err = b.client.PutObject(ctx, b.bucket, name, bytes.NewReader(first[:n]), int64(n), o)
	} else {
		_, err = b.client.PutObject(ctx, b.bucket, name, io.MultiReader(bytes.NewReader(first), src), -1, o)
	}
	if err != nil {
		return unavailable("blob.Put", err)
	}
	return nil
}

// Get implements Place.
func (b *Bucket) Get(ctx context.Context, name string) (io.ReadSeekCloser, error) {
	o, err := b.client.GetObject(ctx, b.bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return nil, unavailable("blob.Get", err)
	}
	// The request is made by the first use.
	if _, err := o.Stat(); err != nil {
		_ = o.Close()
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			return nil, chat.E("blob.Get", chat.KindNotFound, "the file is not in the bucket", nil)
		}
		return nil, unavailable("blob.Get", err)
	}
	return o, nil
}

// Delete implements Place.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	err := b.client.RemoveObject(ctx, b.bucket, name, minio.RemoveObjectOptions{})
	if err != nil && minio.ToErrorResponse(err).Code != minio.NoSuchKey {
		return unavailable("blob.Delete", err)
	}
	return nil
}

// List implements Place.
func (b *Bucket) List(ctx context.Context, prefix string, visit func(string, time.Time) error) error {
	for o := range b.client.ListObjectsIter(ctx, b.bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		if o.Err != nil {
			return unavailable("blob.List", o.Err)
		}
		if err := visit(o.Key, o.LastModified); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return chat.E("blob.List", chat.KindUnavailable, "the caller gave up", context.Cause(ctx))
	}
	return nil
}

// unavailable is an error of the bucket by its code: the text may name the URL.
func unavailable(op string, err error) error {
	code := minio.ToErrorResponse(err).Code
	if code == "" {
		code = "no answer"
	}
	return chat.E(op, chat.KindUnavailable, "the bucket says "+code, nil)
}
