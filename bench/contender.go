package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
)

// The classes of durability. Only contenders of one class are compared.
const (
	// StoresNothing answers without having kept anything.
	StoresNothing = "nothing stored"
	// SyncedFirst answers when the message is on this machine's disk: written and
	// flushed by fsync or fdatasync.
	SyncedFirst = "fsync before 200"
)

// Contender is one server of the peers part. The peers' program lists its own in
// this form, as JSON.
type Contender struct {
	Name string `json:"name"`
	// Title is what it is, for a reader who knows the field.
	Title string `json:"title"`
	// Durability is its class, and By how it is had.
	Durability string `json:"durability"`
	By         string `json:"by,omitempty"`
	// Lacks is what the engine does with each message and this one does not.
	Lacks []string `json:"lacks,omitempty"`
	// Version is of the store behind it.
	Version string `json:"version,omitempty"`
	// Skipped says why it was not measured; empty when it was.
	Skipped string `json:"skipped,omitempty"`
	// peer is true when the peers' program serves it.
	peer bool
}

// stores reports whether it keeps what it acknowledges.
func (c *Contender) stores() bool { return c.Durability != StoresNothing }

// What bare handlers and queues leave out.
const (
	lacksDedupe = "no dedupe"
	lacksOrder  = "no order per conversation"
	lacksDecode = "body not decoded"
	lacksSeal   = "not encrypted"
	lacksViews  = "no feed, inbox or agenda"
)

// ownContenders are the bare handlers and the engine.
func ownContenders() []Contender {
	rest := []string{lacksDecode, lacksDedupe, lacksOrder, lacksSeal, lacksViews}
	return []Contender{
		{Name: BoundNull, Title: "fasthttp alone", Durability: StoresNothing, Lacks: append([]string{"signature not checked"}, rest...)},
		{Name: BoundHMAC, Title: "fasthttp + HMAC", Durability: StoresNothing, Lacks: rest},
		{Name: BoundWAL, Title: "fasthttp + HMAC + raw log", Durability: SyncedFirst, By: "group commit, fdatasync", Lacks: rest},
		{Name: BoundPebble, Title: "fasthttp + HMAC + Pebble", Durability: SyncedFirst, By: "pebble.Sync",
			Lacks: []string{lacksDecode, "dedupe key written and not read", lacksOrder, lacksSeal, lacksViews}},
		{Name: TargetEngine, Title: "chumi", Durability: SyncedFirst, By: "Raft log of one voter, group commit"},
	}
}

// contenders is everyone who takes part, or would if it were installed, without
// those that were not asked for.
func (r *runner) contenders(ctx context.Context) ([]Contender, error) {
	list := ownContenders()
	if r.o.Peers != "" {
		cmd := exec.CommandContext(ctx, r.o.Peers, "list")
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("bench: %s list: %w: %s", r.o.Peers, err, bytes.TrimSpace(stderr.Bytes()))
		}
		var peers []Contender
		if err := json.Unmarshal(out, &peers); err != nil {
			return nil, fmt.Errorf("bench: %s list: %w", r.o.Peers, err)
		}
		for i := range peers {
			peers[i].peer = true
		}
		list = append(list, peers...)
	}
	for _, name := range r.o.Contenders {
		if !slices.ContainsFunc(list, func(c Contender) bool { return c.Name == name }) {
			return nil, fmt.Errorf("bench: no contender %q", name)
		}
	}
	if len(r.o.Contenders) > 0 {
		list = slices.DeleteFunc(list, func(c Contender) bool { return !slices.Contains(r.o.Contenders, c.Name) })
	}
	return list, nil
}
