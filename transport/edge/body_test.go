package edge_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/edge"
	"github.com/valyala/fasthttp"
)

// Bodies of all sizes, of known length and in chunks, come through a connection as they
// are, though each uses room that others had.
func TestServer_HandsOverEveryBodyAsItWasSent(t *testing.T) {
	limits := small
	limits.BodyMax, limits.ReadTimeout = 2<<20, 5*time.Second
	_, addr := start(t, edge.Options{Limits: limits, Routes: []edge.Route{{Prefix: "/", Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetBody(ctx.PostBody())
	}}}})
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{0, 1, 8<<10 - 1, 8 << 10, 8<<10 + 1, 16 << 10, 16<<10 + 1, 100_000, 300_000, 2 << 20, 5} {
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rng.Uint32())
		}
		for _, chunked := range []bool{false, true} {
			var reader io.Reader = bytes.NewReader(body)
			if chunked {
				reader = io.MultiReader(reader) // of a length nobody knows
			}
			resp, err := http.Post("http://"+addr+"/", "application/octet-stream", reader)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, chunked %v: status %d, %d bytes came back, %v", size, chunked, resp.StatusCode, len(got), err)
			}
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A header that announces a large body takes no more memory than what arrives of it.
func TestServer_MakesNoRoomForWhatIsOnlyAnnounced(t *testing.T) {
	limits := small
	limits.BodyMax = 8 << 20
	_, addr := start(t, edge.Options{Limits: limits, Routes: []edge.Route{{Prefix: "/", Handler: func(*fasthttp.RequestCtx) {
		t.Error("a body that never came was handled")
	}}}})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const conns = 16
	var open []net.Conn
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
		// Some send more than fasthttp takes by itself.
		fmt.Fprintf(c, "POST /hooks/main HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", limits.BodyMax, make([]byte, i%2*20_000))
	}
	for _, c := range open {
		if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(c)
		if err != nil || !bytes.HasPrefix(text, []byte("HTTP/1.1 408 ")) {
			t.Fatalf("answered %.60q, %v", text, err)
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > conns*uint64(limits.BodyMax)/8 {
		t.Errorf("%d connections that announced %d bytes each took %d", conns, limits.BodyMax, took)
	}
}

// More silent connections than a listener may have do not keep a request out: the oldest
// of them go for it, long before ReadTimeout.
func TestServer_FullOfTheSilentStillServes(t *testing.T) {
	limits := small
	limits.ReadTimeout, limits.ConnMax, limits.ConnsPerIPMax = time.Hour, 32, 1000
	_, addr := start(t, edge.Options{Limits: limits, Routes: []edge.Route{{Prefix: "/", Handler: func(ctx *fasthttp.RequestCtx) {
		ctx.SetBodyString("served")
	}}}})
	for range 2 * limits.ConnMax {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		status := once(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still answered %d", status)
		}
	}
}

// once sends a request over a connection of its own and returns the status, 0 for none.
func once(t *testing.T, addr, request string) int {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
