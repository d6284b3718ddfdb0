package edge

import (
	"bytes"
	"strings"

	"github.com/valyala/fasthttp"
)

var (
	lengthName   = []byte("Content-Length")
	encodingName = []byte("Transfer-Encoding")
	chunkedWord  = []byte("chunked")
)

// ambiguous reports a header that a proxy in front may have read in another way: the
// two would see the end of the request in different places, and one of them a
// request that the other never saw. fasthttp forgives some of these; none is sent by
// anything honest. RFC 9112 lets a server refuse each.
//
//   - a Transfer-Encoding that is not just "chunked", stands twice, beside a
//     Content-Length, or in HTTP/1.0
//   - two Content-Lengths
//   - a line that begins with a blank, which continues the one before or not
//   - a name that is none: empty, or with a character that no name has
func ambiguous(h *fasthttp.RequestHeader) bool {
	lengths, encodings := 0, 0
	for line := range bytes.SplitSeq(h.RawHeaders(), []byte{'\n'}) {
		line = bytes.TrimSuffix(line, []byte{'\r'})
		if len(line) == 0 {
			continue
		}
		name, value, found := bytes.Cut(line, []byte{':'})
		if !found || !token(name) {
			return true
		}
		switch {
		case bytes.EqualFold(name, lengthName):
			lengths++
		case bytes.EqualFold(name, encodingName):
			encodings++
			if !bytes.EqualFold(bytes.Trim(value, " \t"), chunkedWord) {
				return true
			}
		}
	}
	return lengths+encodings > 1 || encodings > 0 && !h.IsHTTP11()
}

// token reports whether a name is one of RFC 9110: letters, digits and some signs.
func token(name []byte) bool {
	for _, c := range name {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return len(name) > 0
}
