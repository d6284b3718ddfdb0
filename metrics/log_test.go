package metrics_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
)

// The canary is planted in every place a careless line could put a credential
// or personal data; no output may hold it.
func TestLogHandler_NeverWritesCanary(t *testing.T) {
	const canary = "EAACanaryCanaryCanary00"
	const phone = "491701234567"
	app := chat.App{ID: "main", Secrets: []chat.Secret{canary}, VerifyTokens: []chat.Secret{canary}}
	lines := []func(*slog.Logger){
		func(l *slog.Logger) { l.Info("secret", "app_secret", canary) },
		func(l *slog.Logger) { l.Info("typed", "value", chat.Secret(canary)) },
		func(l *slog.Logger) { l.Info("struct", "app", app) },
		func(l *slog.Logger) { l.Info("pointer", "app", &app) },
		func(l *slog.Logger) { l.Info("header " + "Authorization: Bearer " + canary) },
		func(l *slog.Logger) { l.Error("failed", "err", errors.New("GET /x?access_token="+canary+": 500")) },
		func(l *slog.Logger) { l.Error("failed", "err", fmt.Errorf("wrapped: %w", errors.New("token "+canary))) },
		func(l *slog.Logger) { l.Info("group", slog.Group("auth", "access_token", canary, "n", 1)) },
		func(l *slog.Logger) { l.WithGroup("credentials").Info("grouped", "value", canary) },
		func(l *slog.Logger) { l.With("password", canary).Info("with") },
		func(l *slog.Logger) { l.Info("bytes", "payload", []byte(canary)) },
		func(l *slog.Logger) { l.Info("message to "+phone, "to", phone, "phone", phone) },
		func(l *slog.Logger) { l.Info("body", "text", "call me at "+phone) },
		func(l *slog.Logger) { l.Info("key", "API_KEY", canary) },
		func(l *slog.Logger) { l.Info("map", "headers", map[string]string{"x": "Bearer " + canary}) },
	}
	for _, tty := range []bool{true, false} {
		for i, line := range lines {
			var out bytes.Buffer
			line(slog.New(metrics.NewLogHandler(&out, tty, slog.LevelDebug)))
			if out.Len() == 0 {
				t.Errorf("line %d wrote nothing", i)
			}
			if s := out.String(); strings.Contains(s, canary) || strings.Contains(s, phone) {
				t.Errorf("tty=%v line %d leaks: %s", tty, i, s)
			}
		}
	}
}

func TestLogHandler_KeepsWhatOperatorsNeed(t *testing.T) {
	var out bytes.Buffer
	l := slog.New(metrics.NewLogHandler(&out, false, slog.LevelInfo))
	l.Info("ready", "edge", "127.0.0.1:8080", "tenant", "acme", "prompt_tokens", 12, "pos", 1234567890123)
	l.Debug("quiet")
	for _, want := range []string{`"ready"`, "127.0.0.1:8080", "acme", `"prompt_tokens":12`, "1234567890123", `"time"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in %s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "quiet") {
		t.Error("debug line written at level info")
	}
}
