package main

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

const testSecret = "s3cret"

// asProgram makes the test binary the program: NATS starts it too.
const asProgram = "PEERS_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func program(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// served starts a kind and returns its address and what kills it, with all its
// children.
func served(t *testing.T, kind, dir string) (addr string, kill func()) {
	t.Helper()
	cmd := program("serve", "--kind", kind, "--dir", dir, "--secret", testSecret)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_, _ = io.Copy(io.Discard, stderr) // until the last child has gone
		_ = cmd.Wait()
	})
	t.Cleanup(kill)
	for s := bufio.NewScanner(stderr); s.Scan(); {
		if addr, ok := strings.CutPrefix(s.Text(), "ready edge="); ok {
			return addr, kill
		}
		t.Log(s.Text())
	}
	t.Fatalf("%s is not ready", kind)
	return "", nil
}

func webhook(id string) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"value":{"messaging_product":"whatsapp",`+
		`"messages":[{"from":"49","id":%q,"timestamp":"1","text":{"body":"hello"},"type":"text"}]},"field":"messages"}]}]}`, id)
}

func direct(id string) []byte {
	return fmt.Appendf(nil, `{"object":"instagram","entry":[{"id":"1","messaging":[{"sender":{"id":"2"},"message":{"mid":%q,"text":"hello"}}]}]}`, id)
}

// post posts a body with its signature, or with that of another body.
func post(t *testing.T, addr string, body, signed []byte) int {
	t.Helper()
	mac := hmac.New(sha256.New, []byte(testSecret))
	mac.Write(signed)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+"/hooks/bench", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// TestPeers_KeepWhatTheyAcknowledge holds every peer that is installed to what its
// row of the table says.
func TestPeers_KeepWhatTheyAcknowledge(t *testing.T) {
	const messages = 40
	for _, kind := range order {
		t.Run(kind, func(t *testing.T) {
			if reason := kinds()[kind].missing(); reason != "" {
				t.Skip(reason)
			}
			// Not TempDir: a store that runs as another user must reach it.
			dir, err := os.MkdirTemp("", "peers-*")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			if err := os.Chmod(dir, 0o711); err != nil {
				t.Fatal(err)
			}
			addr, kill := served(t, kind, dir)
			var want []string
			var wg sync.WaitGroup
			for i := range messages {
				id := fmt.Sprintf("wamid.%04d", i)
				body := webhook(id)
				if i%4 == 0 {
					body = direct(id)
				}
				want = append(want, id)
				wg.Go(func() {
					if status := post(t, addr, body, body); status != http.StatusOK {
						t.Errorf("message %s was answered %d", id, status)
					}
				})
			}
			wg.Wait()
			if status := post(t, addr, webhook("wamid.forged"), webhook("wamid.other")); status != http.StatusUnauthorized {
				t.Errorf("a forged message was answered %d", status)
			}
			if status := post(t, addr, webhook("wamid.0001"), webhook("wamid.0001")); status != http.StatusOK {
				t.Errorf("a message sent again was answered %d", status)
			}
			if slices.Contains(kinds()[kind].Lacks, lacksDedupe) {
				want = append(want, "wamid.0001")
			}
			kill()
			cmd := program("audit", "--kind", kind, "--dir", dir)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("audit: %v", err)
			}
			got := strings.Fields(string(out))
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("after kill -9 it has %d messages, want %d:\n%v", len(got), len(want), got)
			}
		})
	}
}

func TestMessageID_BothReadersAgree(t *testing.T) {
	for _, body := range [][]byte{webhook("wamid.x"), direct("mid.y"), []byte(`{"entry":[]}`), []byte(`{`)} {
		fast, fastErr := fastID(body)
		plain, plainErr := plainID(body)
		if fast != plain || (fastErr == nil) != (plainErr == nil) {
			t.Errorf("%s: %q, %v and %q, %v", body, fast, fastErr, plain, plainErr)
		}
	}
}

func TestList_SaysWhatIsMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var out bytes.Buffer
	if err := run(t.Context(), []string{"list"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "redis-server is not installed") {
		t.Errorf("the list of a machine without Redis:\n%s", &out)
	}
}
