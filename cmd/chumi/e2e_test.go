//go:build e2e

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// browser is a headless chromium, driven through its DevTools protocol over a
// pair of pipes: JSON messages that end in a zero byte.
type browser struct {
	t       *testing.T
	to      io.Writer
	from    *bufio.Reader
	session string
	n       int
}

// openPage starts a browser and opens url in it.
func openPage(t *testing.T, url string) *browser {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-headless-shell", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no chromium on PATH")
	}
	toRead, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	fromRead, fromWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
		"--window-size=1280,860", "--user-data-dir="+t.TempDir(), "--remote-debugging-pipe", "about:blank")
	cmd.ExtraFiles = []*os.File{toRead, fromWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_, _ = toRead.Close(), fromWrite.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_, _ = toWrite.Close(), fromRead.Close()
	})
	b := &browser{t: t, to: toWrite, from: bufio.NewReader(fromRead)}
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.call("Page.navigate", map[string]any{"url": url}, nil) // answers when the new page has begun
	return b
}

// call makes one DevTools call and waits for its answer.
func (b *browser) call(method string, params, result any) {
	b.t.Helper()
	b.n++
	request := map[string]any{"id": b.n, "method": method, "params": params}
	if b.session != "" {
		request["sessionId"] = b.session
	}
	text, err := json.Marshal(request)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		text, err := b.from.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: the browser is gone: %v", method, err)
		}
		var answer struct {
			ID     int
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(text[:len(text)-1], &answer); err != nil {
			b.t.Fatal(err)
		}
		if answer.ID != b.n {
			continue // an event
		}
		if answer.Error != nil {
			b.t.Fatalf("%s: %s", method, answer.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(answer.Result, result); err != nil {
				b.t.Fatal(err)
			}
		}
		return
	}
}

// do runs a statement in the page.
func (b *browser) do(script string) {
	b.t.Helper()
	b.eval("(() => { " + script + "; return true; })()")
}

// wait waits until an expression of the page is true.
func (b *browser) wait(what, expression string) {
	b.t.Helper()
	if !b.eval(fmt.Sprintf(`new Promise((done) => {
		const end = Date.now() + %d;
		const look = () => {
			let ok = false;
			try { ok = !!(%s); } catch {}
			if (ok || Date.now() > end) done(ok); else setTimeout(look, 50);
		};
		look();
	})`, patience.Milliseconds(), expression)) {
		b.shot("failed")
		b.t.Fatalf("the page never showed: %s", what)
	}
}

func (b *browser) eval(expression string) bool {
	b.t.Helper()
	var out struct {
		Result           struct{ Value any }
		ExceptionDetails *struct{ Text string }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		b.t.Fatalf("the page threw: %s", out.ExceptionDetails.Text)
	}
	ok, _ := out.Result.Value.(bool)
	return ok
}

// shot keeps a picture of the page in the folder E2E_SHOTS, when it is set.
func (b *browser) shot(name string) {
	dir := os.Getenv("E2E_SHOTS")
	if dir == "" {
		return
	}
	var out struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"format": "webp", "quality": 85}, &out)
	picture, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".webp"), picture, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// TestE2E_PageOfDev types on the page of `chumi dev` as a newcomer would, on
// both channels, and takes a conversation over.
func TestE2E_PageOfDev(t *testing.T) {
	e := start(t, io.Discard, "dev", "--data-dir", t.TempDir())
	b := openPage(t, "http://"+e.api+"/")
	b.wait("a live link to the engine", `document.querySelector("#link").dataset.state === "live"`)
	for _, kind := range []string{"whatsapp", "instagram"} {
		b.do(fmt.Sprintf(`document.querySelector("#tab-%s").click()`, kind))
		began := time.Now()
		b.do(`const field = document.querySelector("#text"); field.value = "Hi! Are you open on Saturday?";
			document.querySelector("#compose").requestSubmit()`)
		b.wait(kind+": the customer's message", `document.querySelector("#bubbles li.mine .text").textContent.includes("Saturday")`)
		b.wait(kind+": the assistant's answer", `document.querySelector("#bubbles li.theirs .text").textContent.length > 0`)
		t.Logf("%s: first answer on the page after %v", kind, time.Since(began).Round(10*time.Millisecond))
		b.wait(kind+": the answer is read", `document.querySelector("#bubbles li.theirs .ticks").dataset.status === "read"`)
		b.wait(kind+": the events behind it", `document.querySelectorAll("#events > li").length >= 5`)
		b.shot(kind)
	}
	b.do(`document.querySelector("#takeover").click()`)
	b.wait("a person holds it", `document.querySelector("#holder").dataset.holder === "member"`)
	b.do(`document.querySelector("#member").value = "Hello, this is Mia."; document.querySelector("#reply").requestSubmit()`)
	b.wait("the person's reply on the phone", `[...document.querySelectorAll("#bubbles li.theirs .text")].some((x) => x.textContent.includes("Mia"))`)
	b.shot("takeover")
	b.do(`document.querySelector("#handback").click()`)
	b.wait("the assistant holds it again", `document.querySelector("#holder").dataset.holder === "assistant"`)
	b.wait("no problem was shown", `document.querySelector("#problem").hidden`)
}
