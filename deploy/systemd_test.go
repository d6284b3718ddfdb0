package deploy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// exposureMax is the exposure that systemd-analyze may find, times ten.
const exposureMax = "20"

// unit is the service's settings by name, in order, with drop-ins of its directory
// after it: a setting without a value forgets what was said before.
func unit(t *testing.T, dropins ...string) (text string, set map[string][]string) {
	t.Helper()
	for _, file := range append([]string{"chumi.service"}, dropins...) {
		raw, err := os.ReadFile("systemd/" + file)
		if err != nil {
			t.Fatal(err)
		}
		text += string(raw) + "\n"
	}
	set = map[string][]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case !ok || strings.HasPrefix(name, "#"):
		case value == "":
			delete(set, name)
		default:
			set[name] = append(set[name], value)
		}
	}
	return text, set
}

func TestUnit_IsConfined(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not judged")
	}
	text, set := unit(t, "cluster.conf")
	program, _, _ := strings.Cut(set["ExecStart"][0], " ")
	file := filepath.Join(t.TempDir(), "chumi.service")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, program, binary(t))), 0o600); err != nil {
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
// expands what the unit says of them, and waits to be told. Then the machine becomes
// the first node of a cluster, and comes back as a member.
func TestUnit_StartsTheEngine(t *testing.T) {
	m := newMachine(t)
	_, alone := unit(t)
	m.start(alone).stop()
	_, founding := unit(t, "cluster.conf", "found.conf")
	m.start(founding).stop()
	_, member := unit(t, "cluster.conf")
	s := m.start(member)
	if text, err := command(t, "cluster", "status", "--ops-addr", s.ops); err != nil || !strings.Contains(text, "as node 1 sees it") {
		t.Errorf("the member: %v %s", err, text)
	}
	s.stop()
	if _, err := os.Stat(filepath.Join(m.state, "secrets")); err == nil {
		t.Error("a key was made beside the one that was given")
	}
}

// machine stands where a machine with systemd does.
type machine struct {
	t                  *testing.T
	dir, state, etc    string
	credentials, peers string
}

func newMachine(t *testing.T) *machine {
	dir := public(t)
	m := &machine{t: t, dir: dir, state: filepath.Join(dir, "state"), etc: filepath.Join(dir, "etc"), credentials: filepath.Join(dir, "credentials")}
	_, set := unit(t)
	mode, err := strconv.ParseUint(set["ConfigurationDirectoryMode"][0], 8, 32)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{m.state, m.credentials, m.etc} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	give(t, m.state, nobody, nobody, 0o700)
	// Unlike that of the state, this directory stays root's.
	give(t, m.etc, 0, 0, os.FileMode(mode))
	if text, err := command(t, "cluster", "init", "--out", filepath.Join(dir, "init"), "--nodes", "1"); err != nil {
		t.Fatal(text)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.peers = ln.Addr().String()
	_ = ln.Close()
	files := map[string]string{"chumi.yaml": "log: {level: warn}\npeer: {addr: \"" + m.peers + "\"}\n", "bootstrap.yaml": bootstrap}
	for _, name := range []string{"kek", "node.crt", "node.key", "ca.crt"} {
		text, err := os.ReadFile(filepath.Join(dir, "init/node-1", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(text)
	}
	for name, text := range files {
		mode := os.FileMode(0o400)
		if name == "chumi.yaml" {
			mode = 0o644
		}
		if err := os.WriteFile(filepath.Join(m.etc, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// start starts the engine as the settings of a unit say.
func (m *machine) start(set map[string][]string) *serving {
	t := m.t
	t.Helper()
	place := strings.NewReplacer("/etc/chumi", m.etc, "/var/lib/chumi", m.state, "${CREDENTIALS_DIRECTORY}", m.credentials, "%d", m.credentials,
		"n1.example.com:8083,n2.example.com:8083,n3.example.com:8083", m.peers)
	for _, c := range set["LoadCredential"] {
		id, file, _ := strings.Cut(c, ":")
		text, err := os.ReadFile(place.Replace(file))
		if err != nil {
			t.Fatal(err)
		}
		shown := filepath.Join(m.credentials, id)
		_ = os.Remove(shown)
		if err := os.WriteFile(shown, text, 0o600); err != nil {
			t.Fatal(err)
		}
		// The mask of the list shows as the group's bits.
		mode := os.FileMode(0o400)
		if os.Geteuid() == 0 {
			mode = 0o440
		}
		give(t, shown, 0, nobody, mode)
	}
	told := filepath.Join(m.dir, "notify")
	_ = os.Remove(told)
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: told, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	give(t, told, nobody, nobody, 0o700)
	args := strings.Fields(place.Replace(set["ExecStart"][0]))
	if len(set["ExecStart"]) != 1 || args[0] != "/usr/local/bin/chumi" {
		t.Fatalf("the unit starts %v", set["ExecStart"])
	}
	cmd := exec.Command(binary(t), append(args[1:], anyPorts...)...)
	cmd.Dir = "/"
	cmd.Env = []string{"NOTIFY_SOCKET=" + told, "CHUMI_META__GRAPH_URL=" + nowhere, "CHUMI_META__INSTAGRAM_URL=" + nowhere}
	for _, kv := range set["Environment"] {
		cmd.Env = append(cmd.Env, place.Replace(kv))
	}
	asNobody(cmd)
	s := serve(t, cmd)
	if err := socket.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var state [64]byte
	if n, err := socket.Read(state[:]); err != nil || string(state[:n]) != "READY=1" {
		t.Errorf("systemd was told %q, %v", state[:n], err)
	}
	return s
}
