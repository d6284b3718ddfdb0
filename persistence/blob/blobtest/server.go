// Package blobtest is a bucket for tests: a server that speaks as much of S3 as is
// needed. Imported by tests only.
package blobtest

import (
	"bufio"
	"bytes"
	"crypto/md5" // #nosec G501 -- what S3 calls an ETag
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server speaks S3 about one bucket: whole and multipart uploads, reading, removing,
// listing in pages of two.
type Server struct {
	// Addr is where it listens, host:port.
	Addr string

	mu      sync.Mutex
	objects map[string]object
	parts   map[string]map[int][]byte
	fail    func(*http.Request) bool
}

type object struct {
	body []byte
	at   time.Time
}

// Bucket is the name of the bucket.
const Bucket = "media"

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{objects: map[string]object{}, parts: map[string]map[int][]byte{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	s.Addr = strings.TrimPrefix(srv.URL, "http://")
	return s
}

// Fail answers requests that match with 503 from now on.
func (s *Server) Fail(match func(*http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = match
}

// Stored is what lies in the bucket, by name: the very bytes, which a test may damage.
// What was uploaded in parts and not finished is there as "unfinished".
func (s *Server) Stored() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string][]byte{}
	for k, o := range s.objects {
		all[k] = o.body
	}
	for id, parts := range s.parts {
		all["unfinished "+id] = bytes.Join([][]byte{parts[1], parts[2]}, nil)
	}
	return all
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 ") {
		refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	body, err := payload(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil && s.fail(r) {
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	switch {
	case bucket != Bucket:
		refuse(w, http.StatusNotFound, "NoSuchBucket")
	case key == "" && r.Method == http.MethodHead:
	case key == "":
		s.list(w, q.Get("prefix"), q.Get("continuation-token"))
	case r.Method == http.MethodPost && q.Has("uploads"):
		id := strconv.Itoa(len(s.parts) + 1)
		s.parts[id] = map[int][]byte{}
		_, _ = fmt.Fprintf(w, `<InitiateMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><UploadId>%s</UploadId></InitiateMultipartUploadResult>`, bucket, key, id)
	case r.Method == http.MethodPut && q.Has("uploadId"):
		n, _ := strconv.Atoi(q.Get("partNumber"))
		s.parts[q.Get("uploadId")][n] = body
		w.Header().Set("ETag", etag(body))
	case r.Method == http.MethodPost && q.Has("uploadId"):
		s.complete(w, q.Get("uploadId"), key, body)
	case r.Method == http.MethodDelete && q.Has("uploadId"):
		delete(s.parts, q.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut:
		s.objects[key] = object{body, time.Now()}
		w.Header().Set("ETag", etag(body))
	case r.Method == http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		o, ok := s.objects[key]
		if !ok {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", etag(o.body))
		http.ServeContent(w, r, key, o.at, bytes.NewReader(bytes.Clone(o.body)))
	}
}

func (s *Server) complete(w http.ResponseWriter, id, key string, body []byte) {
	var list struct {
		Part []struct {
			PartNumber int
		}
	}
	if xml.Unmarshal(body, &list) != nil {
		refuse(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	var whole []byte
	for _, p := range list.Part {
		whole = append(whole, s.parts[id][p.PartNumber]...)
	}
	delete(s.parts, id)
	s.objects[key] = object{whole, time.Now()}
	_, _ = fmt.Fprintf(w, `<CompleteMultipartUploadResult><Bucket>%s</Bucket><Key>%s</Key><ETag>%s</ETag></CompleteMultipartUploadResult>`, Bucket, key, etag(whole))
}

func (s *Server) list(w http.ResponseWriter, prefix, after string) {
	var keys []string
	for k := range s.objects {
		if strings.HasPrefix(k, prefix) && k > after {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	more := len(keys) > 2
	if more {
		keys = keys[:2]
	}
	_, _ = fmt.Fprintf(w, `<ListBucketResult><IsTruncated>%v</IsTruncated>`, more)
	if more {
		_, _ = fmt.Fprintf(w, `<NextContinuationToken>%s</NextContinuationToken>`, keys[1])
	}
	for _, k := range keys {
		o := s.objects[k]
		_, _ = fmt.Fprintf(w, `<Contents><Key>%s</Key><LastModified>%s</LastModified><Size>%d</Size></Contents>`,
			k, o.at.UTC().Format(time.RFC3339Nano), len(o.body))
	}
	_, _ = io.WriteString(w, `</ListBucketResult>`)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<Error><Code>%s</Code><Message>no</Message></Error>`, code)
}

func etag(b []byte) string {
	sum := md5.Sum(b) // #nosec G401
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// payload is the body without the frames of a signed stream.
func payload(r *http.Request) ([]byte, error) {
	if !strings.HasPrefix(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING-") {
		return io.ReadAll(r.Body)
	}
	var out []byte
	in := bufio.NewReader(r.Body)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, err
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil || n == 0 {
			return out, err
		}
		chunk := make([]byte, n+2)
		if _, err := io.ReadFull(in, chunk); err != nil {
			return nil, err
		}
		out = append(out, chunk[:n]...)
	}
}
