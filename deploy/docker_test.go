package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of the Dockerfile, joined; stage counts the FROMs.
type instruction struct {
	word, rest string
	stage      int
}

func dockerfile(t *testing.T) (list []instruction) {
	t.Helper()
	text, err := os.ReadFile("Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stage := 0
	for line := range strings.Lines(strings.ReplaceAll(string(text), "\\\n", " ")) {
		word, rest, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(word, "#") {
			continue
		}
		if word == "FROM" {
			stage++
		}
		list = append(list, instruction{word, strings.TrimSpace(rest), stage})
	}
	return list
}

// last returns what the last stage says with a word.
func last(list []instruction, word string) (rests []string) {
	for _, i := range list {
		if i.word == word && i.stage == list[len(list)-1].stage {
			rests = append(rests, i.rest)
		}
	}
	return rests
}

func words(t *testing.T, list string) (out []string) {
	t.Helper()
	if err := json.Unmarshal([]byte(list), &out); err != nil {
		t.Fatalf("%s is not a list: %v", list, err)
	}
	return out
}

// TestDockerfile_RunsAsItSays builds the image's root by the Dockerfile's own steps
// and starts what it says, with its environment, as its user, who can write
// nowhere but in the volume.
func TestDockerfile_RunsAsItSays(t *testing.T) {
	list := dockerfile(t)
	entry := words(t, last(list, "ENTRYPOINT")[0])
	root := filepath.Dir(filepath.Dir(filepath.Dir(filepath.Dir(binary(t)))))
	if got := filepath.Join(root, entry[0]); got != binary(t) {
		t.Fatalf("the entry point is %s", got)
	}
	if text, err := command(t, "version"); err != nil || !strings.Contains(text, imageVersion) {
		t.Errorf("version: %v %s", err, text)
	}
	volume := words(t, last(list, "VOLUME")[0])[0]
	dir := filepath.Join(public(t), "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	give(t, dir, nobody, nobody, 0o700)
	if info, err := os.Stat(filepath.Join(root, volume)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory of the volume: %v %v", info, err)
	}
	var env []string
	for _, e := range last(list, "ENV") {
		for _, kv := range strings.Fields(e) {
			env = append(env, strings.Replace(kv, volume, dir, 1))
		}
	}
	args := append(words(t, last(list, "CMD")[0]), anyPorts...)
	cmd := exec.Command(binary(t), args...)
	cmd.Env, cmd.Dir = append(env, "TMPDIR=/nonexistent"), dir
	asNobody(cmd)
	s := serve(t, cmd)
	_, check, _ := strings.Cut(last(list, "HEALTHCHECK")[0], "CMD ")
	health := words(t, check)
	if health[0] != entry[0] {
		t.Errorf("the health check runs %s", health[0])
	}
	if text, err := command(t, append(health[1:], "--ops-addr", s.ops)...); err != nil || text != "ready\n" {
		t.Errorf("the health check of an engine that is ready: %v %s", err, text)
	}
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		t.Errorf("the engine does not store in the volume: %v", err)
	}
	s.stop()
	if _, err := command(t, append(health[1:], "--ops-addr", s.ops)...); err == nil {
		t.Error("the health check of an engine that is gone is good")
	}
}

func TestDockerfile_IsWhatItShouldBe(t *testing.T) {
	list := dockerfile(t)
	var exposed string
	for _, i := range list {
		switch i.word {
		case "FROM":
			image := strings.Fields(strings.Replace(i.rest, "--platform=$BUILDPLATFORM ", "", 1))[0]
			if !regexp.MustCompile(`^[a-z0-9./-]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$`).MatchString(image) {
				t.Errorf("%s is not named by tag and digest", image)
			}
		case "ADD":
			t.Errorf("ADD %s: COPY does what it says", i.rest)
		case "EXPOSE":
			exposed = i.rest
		}
	}
	if !regexp.MustCompile(`^[1-9][0-9]*:[1-9][0-9]*$`).MatchString(last(list, "USER")[0]) {
		t.Errorf("USER %v: a number, not root, is what Kubernetes can check", last(list, "USER"))
	}
	printed, err := command(t, "config", "print")
	if err != nil {
		t.Fatal(printed)
	}
	var ports []string
	for _, m := range regexp.MustCompile(`addr: "127\.0\.0\.1:([0-9]+)"`).FindAllStringSubmatch(printed, -1) {
		ports = append(ports, m[1])
	}
	if got := strings.Fields(exposed); !slices.Equal(got, ports) {
		t.Errorf("EXPOSE %v, the engine's ports are %v", got, ports)
	}
	// The toolchain is the one the module asks for, or newer.
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wanted := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindSubmatch(mod)
	if want := "golang:" + string(wanted[1]); !strings.Contains(list[0].rest, want) {
		t.Errorf("it builds with %s, go.mod wants %s", list[0].rest, want)
	}
}

// A key, a data directory or a bootstrap file beside the sources must not get into
// a layer.
func TestDockerignore_LetsSourcesThroughAlone(t *testing.T) {
	text, err := os.ReadFile("../.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(regexp.MustCompile(`(?m)^#.*$`).ReplaceAllString(string(text), ""))
	if lines[0] != "*" {
		t.Fatalf("it begins with %s, not with everything", lines[0])
	}
	for _, l := range lines[1:] {
		name, through := strings.CutPrefix(l, "!")
		if !through {
			continue
		}
		info, err := os.Stat(filepath.Join("..", name))
		switch {
		case err != nil:
			t.Errorf("%s is not there", name)
		case info.IsDir():
			if found, _ := filepath.Glob(filepath.Join("..", name, "*")); len(found) == 0 {
				t.Errorf("%s is empty", name)
			}
		case name != "go.mod" && name != "go.sum":
			t.Errorf("%s is no source", name)
		}
	}
}
