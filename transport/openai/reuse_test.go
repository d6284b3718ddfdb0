package openai_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/openai"
)

// TestStream_KeepsItsConnection: providers end a stream some time after its last event, and
// often in a packet of its own. The next call goes over the same connection.
func TestStream_KeepsItsConnection(t *testing.T) {
	var opened atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(20 * time.Millisecond)
	}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := open(t, openai.Options{BaseURL: s.URL})
	for range 5 {
		if _, err := c.Complete(t.Context(), asks(says("hello"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("five calls, one after the other, opened %d connections, want 1", n)
	}
}
