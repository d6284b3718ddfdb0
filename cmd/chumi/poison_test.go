//go:build torture

package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
)

// strike posts a body to an engine that may die of it; 0 is no answer.
func strike(t *testing.T, e *child.Engine, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+e.Edge+"/hooks/acme-app", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, []byte("secret-of-acme"))
	mac.Write([]byte(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// An update that kills the process each time its decision is made, as a failpoint
// between the marks of persistence.Strikes does with any status, is recorded
// unprocessed by the process after the third. Every process has the failpoint.
func TestPoison_ByOneUpdateEndsAfterThreeTimes(t *testing.T) {
	_, args := outside(t)
	o := child.Options{DataDir: filepath.Join(t.TempDir(), "data"), Config: args[1], Bootstrap: write(t, "b.yaml", twoTenants),
		Env: []string{"CHUMI_TEST_ENGINE=1", fmt.Sprintf("CHUMI_FAILPOINT=%s:1", failpoint.StatusDecided)}, ReadyIn: patience}
	poison := `{"object":"whatsapp_business_account","entry":[{"id":"102000000000001","changes":[{"field":"messages","value":{
"messaging_product":"whatsapp","metadata":{"phone_number_id":"106000000000001"},
"statuses":[{"id":"wamid.POISON","status":"delivered","timestamp":"1795000000","recipient_id":"4915550100001"}]}}]}]}`
	for n := range 3 {
		e, err := child.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(e.Kill)
		if status := strike(t, e, poison); status != 0 {
			t.Fatalf("process %d answered %d and lives", n+1, status)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		select {
		case <-e.Done():
		case <-ctx.Done():
			t.Fatalf("process %d did not die", n+1)
		}
		if !e.Killed() {
			t.Fatalf("process %d ended in another way", n+1)
		}
	}
	e, err := child.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Kill)
	for range 2 { // Meta repeats itself
		if status := strike(t, e, poison); status != http.StatusOK {
			t.Fatalf("the process after three answered %d", status)
		}
	}
	other := string(waText("106000000000001", "102000000000001", "4915550100002", "wamid.OTHER", "hello"))
	if status := strike(t, e, other); status != http.StatusOK {
		t.Errorf("another conversation: status %d", status)
	}
	if err := e.Terminate(); err != nil {
		t.Error(err)
	}
	quarantined, received := 0, 0
	for _, ev := range exported(t, o.DataDir, "acme") {
		switch {
		case ev.Kind == "received_quarantined" && ev.Update.RemoteID != nil && *ev.Update.RemoteID == "wamid.POISON":
			quarantined++
			if ev.Update.Reason != "process_killed" {
				t.Errorf("the reason is %q", ev.Update.Reason)
			}
		case ev.Kind == "status_changed" && ev.Status.RemoteID != nil && *ev.Status.RemoteID == "wamid.POISON":
			t.Error("the poison was processed")
		case ev.Kind == "message_received" && *ev.Message.RemoteID == "wamid.OTHER":
			received++
		}
	}
	if quarantined != 1 || received != 1 {
		t.Errorf("quarantined %d times, the other message %d times; want once each", quarantined, received)
	}
	checked(t, o.DataDir)
}
