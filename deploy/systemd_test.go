package deploy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// exposureMax is the exposure that systemd-analyze may find, times ten.
const exposureMax = "20"

// unit is the service's settings by name, in order.
func unit(t *testing.T) (text string, set map[string][]string) {
	t.Helper()
	raw, err := os.ReadFile("systemd/chumi.service")
	if err != nil {
		t.Fatal(err)
	}
	set = map[string][]string{}
	for line := range strings.Lines(string(raw)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(name, "#") {
			set[name] = append(set[name], value)
		}
	}
	return string(raw), set
}

func TestUnit_IsConfined(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not judged")
	}
	text, set := unit(t)
	program, _, _ := strings.Cut(set["ExecStart"][0], " ")
	file := filepath.Join(t.TempDir(), "chumi.service")
	if err := os.WriteFile(file, []byte(strings.Replace(text, program, binary(t), 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+exposureMax, file).CombinedOutput()
	if err != nil {
		t.Errorf("exposed: %v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
	if out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("the unit is not understood: %v\n%s", err, out)
	}
}

// TestUnit_StartsTheEngine does what systemd does with the unit: it shows the
// credentials, files of root's that a list lets the user read, in a directory,
// expands what the unit says of them, and waits to be told.
func TestUnit_StartsTheEngine(t *testing.T) {
	_, set := unit(t)
	dir := public(t)
	state, credentials, etc := filepath.Join(dir, "state"), filepath.Join(dir, "credentials"), filepath.Join(dir, "etc")
	for _, d := range []string{state, credentials, etc} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	give(t, state, nobody, nobody, 0o700)
	if text, err := command(t, "cluster", "init", "--out", filepath.Join(dir, "init"), "--nodes", "1"); err != nil {
		t.Fatal(text)
	}
	files := map[string]string{"chumi.yaml": "log: {level: warn}\n", "bootstrap.yaml": bootstrap}
	kek, err := os.ReadFile(filepath.Join(dir, "init/node-1/kek"))
	if err != nil {
		t.Fatal(err)
	}
	files["kek"] = string(kek)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(etc, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	place := strings.NewReplacer("/etc/chumi", etc, "/var/lib/chumi", state, "${CREDENTIALS_DIRECTORY}", credentials, "%d", credentials)
	for _, c := range set["LoadCredential"] {
		id, file, _ := strings.Cut(c, ":")
		text, err := os.ReadFile(place.Replace(file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(credentials, id), text, 0o600); err != nil {
			t.Fatal(err)
		}
		// The mask of the list shows as the group's bits.
		mode := os.FileMode(0o400)
		if os.Geteuid() == 0 {
			mode = 0o440
		}
		give(t, filepath.Join(credentials, id), 0, nobody, mode)
	}
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	give(t, filepath.Join(dir, "notify"), nobody, nobody, 0o700)
	args := strings.Fields(place.Replace(set["ExecStart"][0]))
	if args[0] != "/usr/local/bin/chumi" {
		t.Fatalf("the unit starts %s", args[0])
	}
	cmd := exec.Command(binary(t), append(args[1:], anyPorts...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"NOTIFY_SOCKET=" + filepath.Join(dir, "notify"), "CHUMI_META__GRAPH_URL=" + nowhere, "CHUMI_META__INSTAGRAM_URL=" + nowhere}
	for _, kv := range set["Environment"] {
		cmd.Env = append(cmd.Env, place.Replace(kv))
	}
	asNobody(cmd)
	s := serve(t, cmd)
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var told [64]byte
	if n, err := socket.Read(told[:]); err != nil || string(told[:n]) != "READY=1" {
		t.Errorf("systemd was told %q, %v", told[:n], err)
	}
	if _, err := os.Stat(filepath.Join(state, "secrets")); err == nil {
		t.Error("a key was made beside the one that was given")
	}
	s.stop()
}
