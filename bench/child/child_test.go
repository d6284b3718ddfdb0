package child

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this binary play the engine: CHILD_TEST says how it behaves.
func TestMain(m *testing.M) {
	switch os.Getenv("CHILD_TEST") {
	case "":
		os.Exit(m.Run())
	case "good":
		stop := make(chan os.Signal, 1)
		signal.Notify(stop, syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "a line of log")
		fmt.Fprintln(os.Stderr, "ready edge=127.0.0.1:1 api=127.0.0.1:2 ops=127.0.0.1:3 peer=127.0.0.1:4")
		<-stop
		os.Exit(0)
	case "dies":
		fmt.Fprintln(os.Stderr, "the disk is full")
		os.Exit(1)
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "partial":
		fmt.Fprintln(os.Stderr, "ready edge=127.0.0.1:1")
		select {}
	}
}

func options(t *testing.T, behaviour string) Options {
	t.Helper()
	return Options{DataDir: filepath.Join(t.TempDir(), "data"), Env: []string{"CHILD_TEST=" + behaviour}, ReadyIn: 10 * time.Second}
}

func TestStart_ReadsTheReadyLineAndStops(t *testing.T) {
	o := options(t, "good")
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if e.Addrs != (Addrs{"127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4"}) {
		t.Errorf("addresses %v", e.Addrs)
	}
	if err := e.Terminate(); err != nil {
		t.Error(err)
	}
	if e.Killed() {
		t.Error("a clean exit is called a kill")
	}
	if log, _ := os.ReadFile(o.DataDir + ".log"); !strings.Contains(string(log), "a line of log") {
		t.Errorf("log %q", log)
	}
}

func TestStart_KillIsSIGKILL(t *testing.T) {
	e, err := Start(t.Context(), options(t, "good"))
	if err != nil {
		t.Fatal(err)
	}
	e.Kill()
	if !e.Killed() {
		t.Error("not known to be killed")
	}
}

func TestStart_TellsHowAnEngineDiedEarly(t *testing.T) {
	for behaviour, killed := range map[string]bool{"dies": false, "killed": true} {
		_, err := Start(t.Context(), options(t, behaviour))
		var died *DiedError
		if !errors.As(err, &died) {
			t.Fatalf("%s: error %v", behaviour, err)
		}
		if died.Killed != killed {
			t.Errorf("%s: killed %v", behaviour, died.Killed)
		}
		if !killed && !strings.Contains(err.Error(), "the disk is full") {
			t.Errorf("the log is not quoted: %v", err)
		}
	}
}

func TestStart_RefusesAReadyLineWithoutAddresses(t *testing.T) {
	if _, err := Start(t.Context(), options(t, "partial")); err == nil {
		t.Error("no error")
	}
	o := options(t, "partial")
	o.Args = []string{"bound"}
	e, err := Start(t.Context(), o)
	if err != nil {
		t.Fatalf("a bound needs an edge address only: %v", err)
	}
	e.Kill()
}

func TestStart_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, options(t, "good")); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestWriteFiles_HoldOnlyWhatIsSet(t *testing.T) {
	dir := t.TempDir()
	config, bootstrap, err := WriteFiles(dir, NewWorld(2), Config{GraphURL: "http://g", QuietPeriod: "50ms"})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(config)
	var got map[string]map[string]string
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got["meta"]["graph_url"] != "http://g" || got["assistant"]["quiet_period"] != "50ms" || len(got["meta"]) != 1 {
		t.Errorf("config %v", got)
	}
	b, _ = os.ReadFile(bootstrap)
	var w World
	if err := json.Unmarshal(b, &w); err != nil {
		t.Fatal(err)
	}
	if len(w.Tenants) != 2 || len(w.Channels) != 4 || w.Channels[1].Kind != Instagram || w.Channels[1].Account() == "" {
		t.Errorf("bootstrap %+v", w)
	}
}

func TestReadEvents_TakesTheOneShape(t *testing.T) {
	const lines = `{"pos":1,"seq":1,"kind":"message_received","time":"2026-11-23T12:00:00Z","tenant_id":"t000","conversation_id":"conv_a","message":{"id":"msg_a_1","remote_id":"wamid.1","direction":"inbound","type":"text","text":"hi"}}
{"pos":2,"seq":2,"kind":"message_accepted","time":"2026-11-23T12:00:00Z","tenant_id":"t000","conversation_id":"conv_a","message":{"id":"msg_a_2","remote_id":"wamid.2","direction":"outbound"},"attempt":{"n":1,"message_id":"msg_a_2","remote_id":"wamid.2"}}
{"pos":3,"seq":0,"kind":"update_received","time":"2026-11-23T12:00:00Z","tenant_id":"t000","conversation_id":null}
{"pos":4,"seq":3,"kind":"status_changed","time":"2026-11-23T12:00:00Z","tenant_id":"t000","conversation_id":"conv_a","status":{"status":"unknown","message_id":"msg_a_2","remote_id":null}}
`
	var got []Event
	err := ReadEvents(strings.NewReader(lines), func(e *Event) error {
		got = append(got, *e)
		return nil
	})
	if err != nil || len(got) != 4 {
		t.Fatalf("%d events, %v", len(got), err)
	}
	if got[0].RemoteID() != "wamid.1" || got[1].MessageID() != "msg_a_2" || got[1].RemoteID() != "wamid.2" ||
		got[2].Conversation != "" || got[2].MessageID() != "" || got[3].MessageID() != "msg_a_2" || got[3].RemoteID() != "" {
		t.Errorf("events %+v", got)
	}
	if err := ReadEvents(strings.NewReader("{\"pos\":1}\nnot json\n"), func(*Event) error { return nil }); err == nil {
		t.Error("a broken line was taken")
	}
}
