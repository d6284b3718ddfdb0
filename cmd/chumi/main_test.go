package main

import (
	"encoding/pem"
	"log"
	"net/http/httptest"
	"os"
	"testing"
)

// TestMain lets this binary be the engine of a test that runs it as a process, and has
// engines trust the servers of httptest, as tools must be https.
func TestMain(m *testing.M) {
	if os.Getenv("CHUMI_TEST_ENGINE") != "" {
		main()
	}
	os.Exit(trusting(m))
}

func trusting(m *testing.M) int {
	server := httptest.NewTLSServer(nil)
	server.Close()
	f, err := os.CreateTemp("", "chumi-test-*.pem")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	if err := pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}); err != nil {
		log.Fatal(err)
	}
	_ = f.Close()
	_ = os.Setenv("SSL_CERT_FILE", f.Name())
	return m.Run()
}
