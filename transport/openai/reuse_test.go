package openai_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/openai"
)

// TestStream_KeepsItsConnection: providers end a stream some time after its last event, and
// often in a packet of its own. The next call goes over the same connection.
func TestStream_KeepsItsConnection(t *testing.T) {
	var opened atomic.Int64
	answered := make(chan struct{}, 1) // whoever asked has its answer: the stream may end
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-answered:
		case <-r.Context().Done():
		}
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := open(t, openai.Options{BaseURL: s.URL})
	kept := make(chan error, 1)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{PutIdleConn: func(err error) { kept <- err }})
	for range 5 {
		if _, err := c.Complete(ctx, asks(says("hello"))); err != nil {
			t.Fatal(err)
		}
		answered <- struct{}{}
		select {
		case err := <-kept:
			if err != nil {
				t.Fatal("the connection is not kept:", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the connection of a call that has ended is neither kept nor used again")
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("five calls, one after the other, opened %d connections, want 1", n)
	}
}
