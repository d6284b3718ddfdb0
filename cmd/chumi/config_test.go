package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// loadText loads a config file with the given text and nothing else.
func loadText(t *testing.T, text string, env ...string) (*Loaded, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "chumi.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(Sources{File: file, Env: env})
}

// refused are config files that must not start, with the words the message
// must hold: the line, the key, and what would be right.
var refused = []struct {
	name, text string
	want       []string
}{
	{"unknown section", "asistant:\n  model: x\n", []string{":1:", "asistant", `did you mean "assistant"?`}},
	{"unknown key", "assistant:\n  modle: x\n", []string{":2:", "assistant.modle", `"assistant.model"`}},
	{"unknown key far from any", "assistant:\n  zzzzzzzzzzzz: 1\n", []string{":2:", "assistant.zzzzzzzzzzzz", "known here", "quiet_period"}},
	{"key a level too high", "quiet_period: 2s\n", []string{":1:", "quiet_period", `"assistant.quiet_period"`}},
	{"dotted key", "assistant.model: x\n", []string{":1:", `"assistant.model"`}},
	{"wrong case", "Assistant:\n  model: x\n", []string{":1:", "Assistant", `"assistant"`}},
	{"key twice", "log:\n  level: info\n  level: debug\n", []string{"3", "level"}},
	{"section is text", "edge: 8080\n", []string{":1:", "edge", "keys below"}},
	{"section is a list", "edge:\n  - addr\n", []string{":2:", "edge", "a list"}},
	{"text is a list", "data_dir: [a, b]\n", []string{":1:", "data_dir", "text"}},
	{"text is keys", "data_dir: {a: b}\n", []string{":1:", "data_dir"}},
	{"text is a boolean", "assistant:\n  model: true\n", []string{":2:", "assistant.model", "quotes"}},
	{"no value", "edge:\n  addr:\n", []string{":2:", "edge.addr", "no value"}},
	{"duration without unit", "assistant:\n  quiet_period: 2\n", []string{":2:", "assistant.quiet_period", `"2s"`}},
	{"duration is a word", "assistant:\n  quiet_period: soon\n", []string{":2:", "assistant.quiet_period", "soon"}},
	{"duration zero", "assistant:\n  quiet_period: 0s\n", []string{":2", "assistant.quiet_period", "greater than zero"}},
	{"duration negative", "sends:\n  reconcile_after: -1s\n", []string{"sends.reconcile_after", "greater than zero"}},
	{"turn timeout zero", "assistant:\n  turn_timeout: 0s\n", []string{"assistant.turn_timeout"}},
	{"deadline before quiet period", "assistant:\n  quiet_period: 10s\n  silence_deadline: 5s\n", []string{":3", "assistant.silence_deadline", "quiet_period"}},
	{"number is text", "edge:\n  in_flight_max: many\n", []string{":2:", "edge.in_flight_max", "whole number"}},
	{"number is a fraction", "edge:\n  in_flight_max: 1.5\n", []string{":2:", "edge.in_flight_max", "whole number"}},
	{"number zero", "edge:\n  in_flight_max: 0\n", []string{":2", "edge.in_flight_max", "greater than zero"}},
	{"number negative", "engine:\n  resident_max: -1\n", []string{"engine.resident_max"}},
	{"optional number negative", "assistant:\n  turns_per_day: -1\n", []string{"assistant.turns_per_day"}},
	{"number too large", "engine:\n  resident_max: 99999999999999999999\n", []string{":2:", "engine.resident_max"}},
	{"a log that keeps nearly nothing", "cluster:\n  log_entries: 5\n", []string{"cluster.log_entries", "at least 100"}},
	{"body limit below Meta's", "edge:\n  body_bytes_max: 1000\n", []string{"edge.body_bytes_max", "Meta"}},
	{"boolean is a word", "api:\n  allow_remote: maybe\n", []string{":2:", "api.allow_remote", "true or false"}},
	{"boolean is a number", "api:\n  allow_remote: 1\n", []string{":2:", "api.allow_remote", "true or false"}},
	{"address without port", "edge:\n  addr: 127.0.0.1\n", []string{":2", "edge.addr", "HOST:PORT"}},
	{"address with a bad port", "edge:\n  addr: 127.0.0.1:99999\n", []string{"edge.addr", "65535"}},
	{"address with a named port", "edge:\n  addr: 127.0.0.1:http\n", []string{"edge.addr"}},
	{"address empty", "peer:\n  addr: \"\"\n", []string{"peer.addr"}},
	{"api open to all", "api:\n  addr: 0.0.0.0:8081\n", []string{":2", "api.addr", "allow_remote"}},
	{"api open on every interface", "api:\n  addr: :8081\n", []string{"api.addr", "allow_remote"}},
	{"api open by name", "api:\n  addr: chumi.example:8081\n", []string{"api.addr", "allow_remote"}},
	{"ops open to all", "ops:\n  addr: \"[::]:8082\"\n", []string{":2", "ops.addr", "allow_remote"}},
	{"two listeners on one port", "api:\n  addr: 127.0.0.1:8080\n", []string{"api.addr", "edge.addr"}},
	{"url without scheme", "meta:\n  graph_url: graph.facebook.com\n", []string{":2", "meta.graph_url", "http"}},
	{"url of another scheme", "meta:\n  graph_url: ftp://graph.example\n", []string{"meta.graph_url"}},
	{"url empty", "meta:\n  instagram_url: \"\"\n", []string{"meta.instagram_url"}},
	{"url with password", "assistant:\n  base_url: https://me:secret@model.example/v1\n", []string{"assistant.base_url", "password"}},
	{"url with query", "assistant:\n  base_url: https://model.example/v1?key=1\n", []string{"assistant.base_url", "query"}},
	{"graph version", "meta:\n  graph_version: latest\n", []string{"meta.graph_version", "v25.0"}},
	{"class unknown", "sends:\n  whatsapp_class: exactly_once\n", []string{":2", "sends.whatsapp_class", "at_least_once, at_most_once"}},
	{"class empty", "sends:\n  instagram_class: \"\"\n", []string{"sends.instagram_class"}},
	{"level unknown", "log:\n  level: verbose\n", []string{"log.level", "debug, info"}},
	{"format unknown", "log:\n  format: xml\n", []string{"log.format"}},
	{"model empty", "assistant:\n  model: \" \"\n", []string{"assistant.model", "empty"}},
	{"apology empty", "assistant:\n  apology: \"\"\n", []string{"assistant.apology", "empty"}},
	{"data dir empty", "data_dir: \"\"\n", []string{"data_dir", "empty"}},
	{"api unknown", "assistant:\n  api: soap\n", []string{"assistant.api", "chat, responses, azure"}},
	{"provider without address", "assistant:\n  providers:\n    other: {api_key: k}\n", []string{"assistant.providers.other.base_url", "http"}},
	{"provider without keys", "assistant:\n  providers:\n    other: {}\n", []string{":3:", "assistant.providers.other", "no keys"}},
	{"provider with a wrong key", "assistant:\n  providers:\n    other: {base_ulr: http://a}\n", []string{":3:", "assistant.providers.other.base_ulr", `"assistant.providers.other.base_url"`}},
	{"provider with a wrong api", "assistant:\n  providers:\n    other: {base_url: \"http://a\", api: rest}\n", []string{"assistant.providers.other.api", "chat, responses"}},
	{"provider with a wrong name", "assistant:\n  providers:\n    Open.Router: {base_url: \"http://a\"}\n", []string{":3:", "small letters"}},
	{"provider with models that are no list", "assistant:\n  providers:\n    other: {base_url: \"http://a\", models: m}\n", []string{":3:", "assistant.providers.other.models", "a list"}},
	{"provider twice", "assistant:\n  providers:\n    a: {base_url: \"http://a\"}\n    a: {base_url: \"http://b\"}\n", []string{"4", "a"}},
	{"providers is a list", "assistant:\n  providers: [a]\n", []string{":2:", "assistant.providers", "names"}},
	{"embeddings of nobody", "assistant:\n  embedding_provider: other\n", []string{":2", "assistant.embedding_provider", "assistant.providers.other"}},
	{"key file missing", "keys:\n  file: /nonexistent/kek\n", []string{"keys.file", "does not exist"}},
	{"key file is a directory", "keys:\n  file: /\n", []string{"keys.file", "directory"}},
	{"send too long", "meta:\n  send_timeout: 90s\n", []string{"meta.send_timeout", "1m0s", "1m30s"}},
	{"drain too long", "engine:\n  drain_timeout: 1m\n", []string{"engine.drain_timeout"}},
	{"anchor", "data_dir: &d data\n", []string{":1:", "anchor"}},
	{"two documents", "data_dir: a\n---\ndata_dir: b\n", []string{"more than one"}},
	{"not YAML", "edge: [\n", []string{"chumi.yaml", "line"}},
	{"tab", "edge:\n\taddr: x\n", []string{"chumi.yaml", "line"}},
	{"top level list", "- a\n", []string{":1:"}},
	{"top level text", "hello\n", []string{":1:"}},
}

func TestLoad_RefusesWithTheKeyNamed(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			_, err := loadText(t, c.text)
			if err == nil {
				t.Fatalf("accepted:\n%s", c.text)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("message lacks %q:\n%v", w, err)
				}
			}
		})
	}
}

func TestLoad_ReportsEveryProblemAtOnce(t *testing.T) {
	_, err := loadText(t, "assistant:\n  modle: x\n  quiet_period: 2\nlogs: 1\n")
	for _, w := range []string{"assistant.modle", "assistant.quiet_period", "logs"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("message lacks %q: %v", w, err)
		}
	}
}

func TestLoad_LaterSourcesWin(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f.yaml")
	if err := os.WriteFile(file, []byte("assistant:\n  model: from-file\n  quiet_period: 3s\n  turn_timeout: 9s\ndata_dir: from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := Load(Sources{
		File:  file,
		Env:   []string{"CHUMI_ASSISTANT__MODEL=from-env", "CHUMI_ASSISTANT__QUIET_PERIOD=4s", "HOME=/"},
		Flags: map[string]string{"assistant.model": "from-flag"},
	})
	if err != nil {
		t.Fatal(err)
	}
	c := l.Config
	if c.Assistant.Model != "from-flag" || c.Assistant.QuietPeriod != 4*time.Second ||
		c.Assistant.TurnTimeout != 9*time.Second || c.DataDir != "from-file" || c.Log.Level != "info" {
		t.Errorf("precedence is wrong: %+v", c)
	}
	for key, want := range map[string]string{"assistant.model": "command line", "assistant.quiet_period": "CHUMI_ASSISTANT__QUIET_PERIOD",
		"assistant.turn_timeout": file + ":4", "log.level": "default"} {
		if l.Origin[key] != want {
			t.Errorf("origin of %s is %q, want %q", key, l.Origin[key], want)
		}
	}
}

func TestLoad_Environment(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "key")
	if err := os.WriteFile(secret, []byte("sk-hidden\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kek := filepath.Join(dir, "kek")
	if err := os.WriteFile(kek, []byte("k"), 0o400); err != nil {
		t.Fatal(err)
	}
	l, err := loadText(t, "", "CHUMI_ASSISTANT__API_KEY_FILE="+secret, "CHUMI_KEYS__FILE="+kek,
		"CHUMI_DATA_DIR=/srv/chumi", "CHUMI_SERVICE_HOST=10.0.0.1", "CHUMI_PORT=tcp://10.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	if l.Config.Assistant.APIKey.Reveal() != "sk-hidden" || l.Config.Keys.File != kek || l.Config.DataDir != "/srv/chumi" {
		t.Errorf("environment was not taken: %+v", l.Config)
	}
	for _, bad := range []struct{ env, want string }{
		{"CHUMI_ASSISTANT__MODLE=x", `"assistant.model"`},
		{"CHUMI_ASSISTANT__API_KEY_FILE=/nonexistent", "cannot be read"},
		{"CHUMI_ASSISTANT__QUIET_PERIOD=2", "assistant.quiet_period"},
		{"CHUMI_EDGE__IN_FLIGHT_MAX=", "edge.in_flight_max"},
	} {
		if _, err := loadText(t, "", bad.env); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: want a refusal with %q, got %v", bad.env, bad.want, err)
		}
	}
}

// Providers have names of the operator's: they come from the file and the environment
// like any other key, and are printed so that they load again.
func TestLoad_Providers(t *testing.T) {
	const canary = "sk-canary-90aa"
	const text = "assistant:\n  embedding_provider: local\n  providers:\n    local: {base_url: \"http://127.0.0.1:11434/v1\", models: [qwen3, llama]}\n" +
		"    eu: {base_url: \"https://eu.example\", api: azure, api_version: \"2025-01-01\"}\n"
	l, err := loadText(t, text, "CHUMI_ASSISTANT__PROVIDERS__EU__API_KEY="+canary, "CHUMI_ASSISTANT__PROVIDERS__THIRD__BASE_URL=https://third.example/v1",
		"CHUMI_ASSISTANT__PROVIDERS__THIRD__MODELS=a,b")
	if err != nil {
		t.Fatal(err)
	}
	p := l.Config.Assistant.Providers
	if len(p) != 3 || p["local"].API != "chat" || !slices.Equal(p["local"].Models, []string{"qwen3", "llama"}) || p["eu"].APIKey.Reveal() != canary ||
		p["eu"].API != "azure" || p["eu"].APIVersion != "2025-01-01" || !slices.Equal(p["third"].Models, []string{"a", "b"}) {
		t.Errorf("%+v", p)
	}
	var out bytes.Buffer
	if err := l.print(&out); err != nil || strings.Contains(out.String(), canary) {
		t.Fatalf("%v\n%s", err, out.String())
	}
	again, err := loadText(t, out.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	for _, s := range settingsOf(&l.Config) {
		if !s.Secret && !reflect.DeepEqual(s.value(&again.Config), s.value(&l.Config)) {
			t.Errorf("%s changed from %v to %v", s.Key, s.value(&l.Config), s.value(&again.Config))
		}
	}
	if l.Origin["assistant.providers.eu.api_key"] != "CHUMI_ASSISTANT__PROVIDERS__EU__API_KEY" || l.Origin["assistant.providers.eu.http2"] != "default" {
		t.Errorf("origins %v", l.Origin)
	}
	if _, err := loadText(t, text, "CHUMI_ASSISTANT__PROVIDERS__EU__KEY="+canary); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("an unknown key of a provider: %v", err)
	}
}

func TestLoad_RefusesAKeyFileOthersCanRead(t *testing.T) {
	kek := filepath.Join(t.TempDir(), "kek")
	if err := os.WriteFile(kek, []byte("k"), 0o400); err != nil {
		t.Fatal(err)
	}
	for mode, ok := range map[os.FileMode]bool{0o400: true, 0o600: true, 0o440: false, 0o404: false, 0o644: false} {
		if err := os.Chmod(kek, mode); err != nil {
			t.Fatal(err)
		}
		_, err := loadText(t, "keys:\n  file: "+kek+"\n")
		if (err == nil) != ok {
			t.Errorf("mode %o: %v", mode, err)
		}
		if !ok && !strings.Contains(err.Error(), "chmod 0400") {
			t.Errorf("mode %o: the message lacks the remedy: %v", mode, err)
		}
	}
}

func TestConfigPrint_HidesSecretsAndLoadsAgain(t *testing.T) {
	const canary = "sk-canary-1f4c"
	var out, errs bytes.Buffer
	env := []string{"CHUMI_ASSISTANT__API_KEY=" + canary, "CHUMI_ASSISTANT__INSTRUCTIONS=Say \"hi\": # and\nstop"}
	if code := run(t.Context(), []string{"config", "print"}, env, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	if strings.Contains(out.String(), canary) || !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("the secret is not hidden:\n%s", out.String())
	}
	l, err := loadText(t, out.String())
	if err != nil {
		t.Fatalf("printed configuration does not load: %v", err)
	}
	if l.Config.Assistant.Instructions != "Say \"hi\": # and\nstop" {
		t.Errorf("instructions changed: %q", l.Config.Assistant.Instructions)
	}
}

func TestLoad_NeverRepeatsASecretInAnError(t *testing.T) {
	const canary = "sk-canary-77aa"
	_, err := loadText(t, "assistant:\n  api_key: "+canary+"\n  model: [1]\n  apikey: "+canary+"\n", "CHUMI_ASSISTANT__TURN_TIMEOUT=x")
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("secret in the message: %v", err)
	}
}

func TestSchema_NamesEveryKey(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"config", "schema"}, nil, &out, &errs); code != exitOK {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	var root struct{ Properties map[string]json.RawMessage }
	if err := json.Unmarshal(out.Bytes(), &root); err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		path := strings.Split(s.Key, ".")
		raw, ok := root.Properties[path[0]]
		for _, name := range path[1:] {
			var section struct{ Properties map[string]json.RawMessage }
			if !ok {
				break
			}
			if err := json.Unmarshal(raw, &section); err != nil {
				t.Fatal(err)
			}
			raw, ok = section.Properties[name]
		}
		if !ok {
			t.Errorf("schema lacks %s", s.Key)
		}
		if s.Doc == "" {
			t.Errorf("%s has no doc tag", s.Key)
		}
	}
}

func TestRun_ExitCodes(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
		text string
	}{
		{[]string{"version"}, exitOK, ""},
		{[]string{"version", "--json"}, exitOK, ""},
		{[]string{"config", "validate"}, exitOK, ""},
		{[]string{"config", "validate", "--set", "cluster.cert_file=a", "--set", "cluster.key_file=b", "--set", "cluster.ca_file=c",
			"--set", "peer.advertise=h:1"}, exitOK, "warning: files lie on the node that fetched them"},
		{[]string{"config", "validate", "--set", "x"}, exitUsage, "KEY=VALUE"},
		{[]string{"config", "validate", "--edge-addr", "nowhere"}, exitUsage, "edge.addr"},
		{[]string{"config", "validate", "--config", "/nonexistent.yaml"}, exitUsage, "/nonexistent.yaml"},
		{[]string{"config", "validate", "extra"}, exitUsage, "no argument"},
		{[]string{"version", "--jsn"}, exitUsage, "--help"},
		{[]string{"verison"}, exitUsage, `did you mean "version"?`},
	} {
		var out, errs bytes.Buffer
		if got := run(t.Context(), c.args, nil, &out, &errs); got != c.want || !strings.Contains(errs.String(), c.text) {
			t.Errorf("%v: exit %d, want %d; stderr %q lacks %q", c.args, got, c.want, errs.String(), c.text)
		}
	}
}

// FuzzConfig: no bytes make the loader panic, and whatever it accepts is
// printed as a file that means the same.
func FuzzConfig(f *testing.F) {
	for _, c := range refused {
		f.Add([]byte(c.text))
	}
	f.Add([]byte("assistant:\n  model: \"\\u00e9\"\n  quiet_period: 1m1s\nedge:\n  in_flight_max: 0x10\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return
		}
		first, err := loadBytes(data)
		if err != nil {
			return
		}
		var printed bytes.Buffer
		if err := first.print(&printed); err != nil {
			t.Fatal(err)
		}
		second, err := loadBytes(printed.Bytes())
		if err != nil {
			t.Fatalf("printed configuration does not load: %v\n%s", err, printed.String())
		}
		for _, s := range settingsOf(&first.Config) {
			if !s.Secret && !reflect.DeepEqual(s.value(&first.Config), s.value(&second.Config)) {
				t.Errorf("%s changed from %v to %v", s.Key, s.value(&first.Config), s.value(&second.Config))
			}
		}
	})
}

// loadBytes is Load of a file that is not on disk.
func loadBytes(data []byte) (*Loaded, error) {
	values, err := parseConfig("fuzz.yaml", data, nil)
	if err != nil {
		return nil, err
	}
	return merge(map[string]string{}, values)
}
