package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/edge"
	"github.com/valyala/fasthttp"
)

// smuggled is the request that an attacker hides in another one: a proxy that takes
// the outer one for longer than the edge does would let it through unseen.
const smuggled = "POST /hooks/smuggled HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

// framed is a request whose end two parties could see in different places.
type framed struct {
	name string
	// head is what stands between the Host line and the empty line, body what follows.
	head, body string
	// one is true when the request may also be taken, whole: there is one reading.
	one bool
}

var chunkedSmuggle = "0\r\n\r\n" + smuggled

// length is a Content-Length line for n bytes.
func length(n int) string { return fmt.Sprintf("Content-Length: %d\r\n", n) }

var ambiguities = []framed{
	{name: "length, then chunked", head: length(len(chunkedSmuggle)) + "Transfer-Encoding: chunked\r\n", body: chunkedSmuggle},
	{name: "chunked, then length", head: "Transfer-Encoding: chunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "chunked and length 0", head: "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", body: "0\r\n\r\n" + smuggled},
	{name: "chunked and a length that looks odd", head: "Transfer-Encoding: chunked\r\ncontent-LENGTH : 5\r\n", body: chunkedSmuggle},
	{name: "two lengths, the first longer", head: length(len(smuggled)) + length(0), body: smuggled},
	{name: "two lengths, the second longer", head: length(0) + length(len(smuggled)), body: smuggled},
	{name: "two equal lengths", head: length(len(smuggled)) + length(len(smuggled)), body: smuggled},
	{name: "a list of lengths", head: fmt.Sprintf("Content-Length: 0, %d\r\n", len(smuggled)), body: smuggled},
	{name: "a list of equal lengths", head: "Content-Length: 0, 0\r\n", body: smuggled},
	{name: "a length with a plus", head: fmt.Sprintf("Content-Length: +%d\r\n", len(smuggled)), body: smuggled},
	{name: "a negative length", head: "Content-Length: -1\r\n", body: smuggled},
	{name: "an empty length", head: "Content-Length:\r\n", body: smuggled},
	{name: "a length in hexadecimal", head: fmt.Sprintf("Content-Length: 0x%x\r\n", len(smuggled)), body: smuggled},
	{name: "a length with an underscore", head: "Content-Length: 0_0\r\n", body: smuggled},
	{name: "a length with a point", head: "Content-Length: 0.0\r\n", body: smuggled},
	{name: "a length with trailing words", head: "Content-Length: 0 abc\r\n", body: smuggled},
	{name: "a length beyond 64 bits", head: "Content-Length: 18446744073709551616\r\n", body: smuggled},
	{name: "a space before the colon of a length", head: fmt.Sprintf("Content-Length : %d\r\n", len(smuggled)), body: smuggled},
	{name: "a space before the name of a length", head: "X: y\r\n" + fmt.Sprintf(" Content-Length: %d\r\n", len(smuggled)), body: smuggled},
	{name: "a tab before the colon of a length", head: fmt.Sprintf("Content-Length\t: %d\r\n", len(smuggled)), body: smuggled},
	{name: "a NUL in the name of a length", head: fmt.Sprintf("Content-Length\x00: %d\r\n", len(smuggled)), body: smuggled},
	{name: "a length behind a bare CR", head: fmt.Sprintf("X: y\rContent-Length: %d\r\n", len(smuggled)), body: smuggled},
	{name: "a length behind a bare LF", head: fmt.Sprintf("X: y\nContent-Length: %d\r\n", len(smuggled)), body: smuggled, one: true},
	{name: "a folded length", head: fmt.Sprintf("Content-Length:\r\n %d\r\n", len(smuggled)), body: smuggled},
	{name: "a name with a space", head: fmt.Sprintf("Content Length: %d\r\n", len(smuggled)), body: smuggled},
	{name: "a line without a colon", head: "garbage\r\n" + length(0), body: smuggled},
	{name: "chunked in capitals and a length", head: "Transfer-Encoding: CHUNKED\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "chunked twice", head: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body: chunkedSmuggle},
	{name: "chunked, then identity", head: "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "identity", head: "Transfer-Encoding: identity\r\n" + length(len(smuggled)), body: smuggled},
	{name: "an unknown encoding", head: "Transfer-Encoding: xchunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "a list of encodings", head: "Transfer-Encoding: gzip, chunked\r\n", body: chunkedSmuggle},
	{name: "a list that ends in identity", head: "Transfer-Encoding: chunked, identity\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "an empty encoding", head: "Transfer-Encoding:\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "a quoted encoding", head: "Transfer-Encoding: \"chunked\"\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "chunked behind a vertical tab", head: "Transfer-Encoding: \x0bchunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "chunked before a vertical tab", head: "Transfer-Encoding: chunked\x0b\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "chunked and NUL", head: "Transfer-Encoding: chunked\x00\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "an empty name", head: ": chunked\r\n" + length(0), body: ""},
	{name: "a name with a parenthesis", head: "Transfer(Encoding): chunked\r\n" + length(0), body: ""},
	{name: "a space before the colon of chunked", head: "Transfer-Encoding : chunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "a space before the name of chunked", head: "X: y\r\n Transfer-Encoding: chunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "a folded encoding", head: "Transfer-Encoding:\r\n chunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "an encoding behind a bare CR", head: "X: y\rTransfer-Encoding: chunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "an encoding behind a bare LF", head: "X: y\nTransfer-Encoding: chunked\r\n" + length(len(chunkedSmuggle)), body: chunkedSmuggle},
	{name: "a chunk size in 0x", head: "Transfer-Encoding: chunked\r\n", body: "0x0\r\n\r\n" + smuggled},
	{name: "a negative chunk", head: "Transfer-Encoding: chunked\r\n", body: "-0\r\n\r\n" + smuggled},
	{name: "a chunk size beyond 64 bits", head: "Transfer-Encoding: chunked\r\n", body: "10000000000000000\r\n" + smuggled},
	{name: "a chunk size with a space", head: "Transfer-Encoding: chunked\r\n", body: "2 \r\n{}\r\n0\r\n\r\n", one: true},
	{name: "a chunk size that ends in LF", head: "Transfer-Encoding: chunked\r\n", body: "0\n\n" + smuggled},
	{name: "an extension with a bare LF", head: "Transfer-Encoding: chunked\r\n", body: "2;a\nxx\r\n" + "0\r\n\r\n" + smuggled},
	{name: "an extension with a bare CR", head: "Transfer-Encoding: chunked\r\n", body: "2;a\rxx\r\n" + "0\r\n\r\n" + smuggled},
	{name: "a chunk that ends in something else", head: "Transfer-Encoding: chunked\r\n", body: "2\r\n{}XX0\r\n\r\n" + smuggled},
	{name: "a trailer with a length", head: "Transfer-Encoding: chunked\r\n", body: "0\r\nContent-Length: 90\r\n\r\n", one: true},
	{name: "a trailer with an encoding", head: "Transfer-Encoding: chunked\r\n", body: "0\r\nTransfer-Encoding: chunked\r\n\r\n", one: true},
}

// TestServer_RefusesRequestsOfTwoReadings: each of them is refused and its connection
// closed, so that what an attacker put behind it is never read as a request.
func TestServer_RefusesRequestsOfTwoReadings(t *testing.T) {
	for _, a := range ambiguities {
		t.Run(a.name, func(t *testing.T) {
			for _, version := range []string{"1.1", "1.0"} {
				var mu sync.Mutex
				var handled []string
				_, addr := start(t, edge.Options{Limits: small, Routes: []edge.Route{{Prefix: "/hooks/", Handler: func(ctx *fasthttp.RequestCtx) {
					mu.Lock()
					defer mu.Unlock()
					handled = append(handled, string(ctx.Path()))
				}}}})
				codes := everything(t, addr, "POST /hooks/main HTTP/"+version+"\r\nHost: x\r\n"+a.head+"\r\n"+a.body)
				mu.Lock()
				seen := slices.Clone(handled)
				mu.Unlock()
				if slices.Contains(seen, "/hooks/smuggled") || len(seen) > 1 {
					t.Errorf("HTTP/%s: handled %v, answered %v", version, seen, codes)
				}
				if refused := len(codes) == 1 && codes[0] >= 400 && len(seen) == 0; !refused && !(a.one && len(seen) == 1) {
					t.Errorf("HTTP/%s: not refused: handled %v, answered %v", version, seen, codes)
				}
			}
		})
	}
}

// everything writes raw bytes and reads all answers until the server closes, or says
// nothing more.
func everything(t *testing.T, addr, raw string) (codes []int) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, raw); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(c)
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return codes
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil && !strings.Contains(err.Error(), "EOF") {
			t.Fatal(err)
		}
		codes = append(codes, resp.StatusCode)
	}
}
