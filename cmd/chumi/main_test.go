package main

import (
	"os"
	"testing"
)

// TestMain lets this binary be the engine of a test that runs it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("CHUMI_TEST_ENGINE") != "" {
		main()
	}
	os.Exit(m.Run())
}
