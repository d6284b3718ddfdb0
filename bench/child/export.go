package child

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// The event kinds that harnesses look at.
const (
	KindReceived  = "message_received"
	KindQueued    = "message_queued"
	KindAccepted  = "message_accepted"
	KindFailed    = "message_failed"
	KindCancelled = "message_cancelled"
	KindAttempt   = "attempt_started"
	KindStatus    = "status_changed"
	KindHandoff   = "handoff_requested"
	KindTaken     = "handoff_taken"
	KindReturned  = "handoff_returned"
	KindCalled    = "turn_called"
	KindToolStart = "tool_started"
	KindToolEnd   = "tool_ended"
)

// Event is one event as the API, the feed and the export print it. Fields that
// no harness looks at are left out.
type Event struct {
	Pos          uint64    `json:"pos"`
	Seq          uint64    `json:"seq"`
	Kind         string    `json:"kind"`
	Time         time.Time `json:"time"`
	Tenant       string    `json:"tenant_id"`
	Conversation string    `json:"conversation_id"`
	Message      *Message  `json:"message"`
	Status       *Status   `json:"status"`
	Attempt      *Attempt  `json:"attempt"`
	Turn         *Turn     `json:"turn"`
	Tool         *Tool     `json:"tool"`
}

// Turn is the turn of an event.
type Turn struct {
	ID    string     `json:"id"`
	Calls []ToolCall `json:"tool_calls"`
}

// ToolCall is a call of a tool that a turn asks for.
type ToolCall struct {
	ID   string          `json:"id"`
	Name string          `json:"name"`
	Args json.RawMessage `json:"args"`
}

// Tool is what an event says of a call of a tool. Late is true of a result that nobody
// waited for any more.
type Tool struct {
	Turn string `json:"turn_id"`
	Call string `json:"call_id"`
	Name string `json:"name"`
	Late bool   `json:"late"`
	// Result is of a call that has ended.
	Result struct {
		Error string `json:"error"`
	} `json:"result"`
}

// Message is the message of an event.
type Message struct {
	ID        string `json:"id"`
	Remote    string `json:"remote_id"`
	Direction string `json:"direction"`
	Author    string `json:"author"`
	Type      string `json:"type"`
	Text      string `json:"text"`
}

// Status is the status of an event.
type Status struct {
	MessageID string `json:"message_id"`
	Remote    string `json:"remote_id"`
	Status    string `json:"status"`
}

// Attempt is what an event says about one attempt to send.
type Attempt struct {
	MessageID string `json:"message_id"`
	Remote    string `json:"remote_id"`
}

// ReadEvents decodes JSON lines and calls f for each event until f fails.
func ReadEvents(r io.Reader, f func(*Event) error) error {
	d := json.NewDecoder(bufio.NewReaderSize(r, 256<<10))
	for n := 1; ; n++ {
		var e Event
		if err := d.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("child: export line %d: %w", n, err)
		}
		if err := f(&e); err != nil {
			return err
		}
	}
}

// Export runs `export` for one tenant, or for all when tenant is empty, on a stopped
// engine's data directory and calls f for each event, in the tenant's feed order.
func Export(ctx context.Context, o Options, tenant string, f func(*Event) error) error {
	if err := o.ensureDefaults(); err != nil {
		return err
	}
	whose := []string{"--all"}
	if tenant != "" {
		whose = []string{"--tenant", tenant}
	}
	cmd := exec.CommandContext(ctx, o.Binary, o.offline("export", whose...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("child: start export: %w", err)
	}
	readErr := ReadEvents(out, f)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("child: export %s: %w: %s", strings.Join(whose, " "), err, clip(stderr.Bytes()))
	}
	return readErr
}

// Check runs `check` on a stopped engine's data directory. An error quotes what
// it found.
func Check(ctx context.Context, o Options) error {
	if err := o.ensureDefaults(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, o.Binary, o.offline("check")...)
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("child: check: %w: %s", err, clip(out))
	}
	return nil
}

// Erase runs `erase` of one contact on a stopped engine's data directory.
func Erase(ctx context.Context, o Options, tenant, contact string) error {
	if err := o.ensureDefaults(); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, o.Binary, o.offline("erase", "--tenant", tenant, "--contact", contact)...)
	cmd.SysProcAttr = dieWithParent()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("child: erase: %w: %s", err, clip(out))
	}
	return nil
}

// offline are the arguments of a command on a stopped engine's data directory.
// The configuration says where its key is.
func (o *Options) offline(command string, args ...string) []string {
	out := append([]string{command, "--data-dir", o.DataDir}, args...)
	if o.Config != "" {
		out = append(out, "--config", o.Config)
	}
	return out
}

// clip keeps the end of a command's output short enough for an error.
func clip(b []byte) []byte {
	b = bytes.TrimSpace(b)
	if len(b) > 2000 {
		b = b[len(b)-2000:]
	}
	return b
}

// MessageID is the engine's id of the message an event is about, "" when it is
// about none.
func (e *Event) MessageID() string {
	switch {
	case e.Message != nil:
		return e.Message.ID
	case e.Attempt != nil:
		return e.Attempt.MessageID
	case e.Status != nil:
		return e.Status.MessageID
	}
	return ""
}

// RemoteID is Meta's id of that message, "" when the event does not tell.
func (e *Event) RemoteID() string {
	switch {
	case e.Message != nil && e.Message.Remote != "":
		return e.Message.Remote
	case e.Attempt != nil:
		return e.Attempt.Remote
	case e.Status != nil:
		return e.Status.Remote
	}
	return ""
}
