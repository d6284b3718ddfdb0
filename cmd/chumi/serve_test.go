package main

import (
	"log/slog"
	"net/http"
	"testing"
)

// TestServer_IsNotReadyWhileItStops looks at /readyz between the two.
func TestServer_IsNotReadyWhileItStops(t *testing.T) {
	cfg := DefaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.Edge.Addr, cfg.API.Addr, cfg.Ops.Addr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s, err := NewServer(t.Context(), ServerOptions{Config: &cfg, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, _, ops := s.Addresses()
	if status, body := get(t, "http://"+ops+"/readyz", ""); status != http.StatusOK {
		t.Errorf("ready: %d %s", status, body)
	}
	s.draining.Store(true)
	if status, body := get(t, "http://"+ops+"/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("stopping: %d %s", status, body)
	}
	if status, _ := get(t, "http://"+ops+"/livez", ""); status != http.StatusOK {
		t.Errorf("stopping is not dying: %d", status)
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}
