package blob

import (
	"context"
	"io"
	"strings"
	"time"
)

// Below is the part of a place whose names begin with a directory. An empty directory
// is the place itself.
func Below(p Place, dir string) Place {
	if dir == "" {
		return p
	}
	return below{p, dir + "/"}
}

type below struct {
	place  Place
	prefix string
}

// Put implements Place.
func (b below) Put(ctx context.Context, name string, fill func(io.Writer) error) error {
	return b.place.Put(ctx, b.prefix+name, fill)
}

// Get implements Place.
func (b below) Get(ctx context.Context, name string) (io.ReadSeekCloser, error) {
	return b.place.Get(ctx, b.prefix+name)
}

// Delete implements Place.
func (b below) Delete(ctx context.Context, name string) error {
	return b.place.Delete(ctx, b.prefix+name)
}

// List implements Place.
func (b below) List(ctx context.Context, prefix string, visit func(string, time.Time) error) error {
	return b.place.List(ctx, b.prefix+prefix, func(name string, modified time.Time) error {
		return visit(strings.TrimPrefix(name, b.prefix), modified)
	})
}
