package api

import (
	"io"
	"strconv"
	"strings"

	"github.com/chumiai/chumi/chat"
	"github.com/valyala/fasthttp"
)

// part is the piece of a file that a request wants; size 0 stands for all of it.
type part struct{ from, size int64 }

// limited is a piece of an open file.
type limited struct {
	io.Reader
	io.Closer
}

// tagOf tells files apart: the bytes behind an id never change.
func tagOf(info chat.FileInfo) string { return `"` + string(info.Blob) + `"` }

// part reads Range. What RFC 9110 lets a server ignore is ignored: more than one
// range, a condition that does not hold, a file of which the size is not known.
func (r *call) part(index int) (part, *failure) {
	header := string(r.ctx.Request.Header.Peek("Range"))
	if header == "" {
		return part{}, nil
	}
	info, err := r.opt.Library.Info(r.principal.Tenant, r.object, index)
	if err != nil {
		return part{}, r.mediaFailed(err)
	}
	if same := string(r.ctx.Request.Header.Peek("If-Range")); info.Size <= 0 || same != "" && same != tagOf(info) {
		return part{}, nil
	}
	p, ok, reachable := rangeOf(header, info.Size)
	switch {
	case !ok:
		return part{}, nil
	case !reachable:
		return part{}, &failure{status: fasthttp.StatusRequestedRangeNotSatisfiable, kind: kindInvalid, code: "range_not_satisfiable", param: "Range",
			message: "The file has " + strconv.FormatInt(info.Size, 10) + " bytes; the range is not within it.",
			header:  [2]string{"Content-Range", "bytes */" + strconv.FormatInt(info.Size, 10)}}
	}
	return p, nil
}

// rangeOf is the one range of a header. ok is false for what is no such range,
// reachable for one that begins within size bytes.
func rangeOf(header string, size int64) (p part, ok, reachable bool) {
	unit, spec, found := strings.Cut(header, "=")
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !found || !dash || !strings.EqualFold(strings.TrimSpace(unit), "bytes") {
		return p, false, false
	}
	from, to := int64(0), size-1
	var fromOK, toOK bool
	if first != "" {
		from, fromOK = digits(first)
	}
	if last != "" {
		to, toOK = digits(last)
	}
	switch {
	case first != "" && !fromOK, last != "" && !toOK, first == "" && last == "", first != "" && last != "" && to < from:
		return p, false, false
	case first == "":
		from, to = max(size-to, 0), size-1
		if from >= size {
			return p, true, false
		}
	case from >= size:
		return p, true, false
	}
	to = min(to, size-1)
	return part{from, to - from + 1}, true, true
}

// digits reads a number as RFC 9110 writes it: digits alone. One beyond all sizes is
// as large as there is.
func digits(s string) (int64, bool) {
	if strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil || n > 0
}
