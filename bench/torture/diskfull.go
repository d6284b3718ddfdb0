package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chumiai/chumi/bench"
	"github.com/chumiai/chumi/bench/child"
	"github.com/chumiai/chumi/metrics/failpoint"
	"github.com/chumiai/chumi/transport/meta/metasim"
)

const (
	// smallDisk is what a store of a trial needs several times over, reserveKept the
	// reserve its engine is told, above a log and the flush of what is in it.
	smallDisk   = 1 << 30
	reserveKept = 256 << 20
	// noticeIn is how soon the engine knows that space ran out, or came back: it
	// looks once a second.
	noticeIn = 2500 * time.Millisecond
	// resumeIn is how soon it must take webhooks again.
	resumeIn = 10 * time.Second
	// fullFor is how long the disk stays full under load.
	fullFor = 3 * time.Second
	// erasedText says who is erased while there is no space.
	erasedText = "please forget me"
	// erasedTenant has no tools: what they are called for is erased, too.
	erasedTenant = 1
)

// fullDisk fills the disk of an engine up to the reserve: webhooks must be
// refused, reads, an export and an erase must work, and the engine must take
// webhooks again by itself. Then it fills the disk to the last byte at once.
var fullDisk = drill{
	change:  func(o *Options) { o.diskFreeMin = reserveKept },
	prepare: (*ordeal).mount,
	act:     fillDisk,
	amend:   forgetErased,
}

// mount puts the data directory on a file system of its own. Where that is not
// allowed, the engine is told what its disk says.
func (x *ordeal) mount() error {
	dir := x.start.DataDir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d,mode=700", smallDisk), "chumi-torture", dir).CombinedOutput()
	if err != nil {
		x.v.Outcomes["disks that only say they are full: "+strings.TrimSpace(string(out))]++
		return nil
	}
	x.small = true
	x.undo = append(x.undo, func() error {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			return fmt.Errorf("torture: umount: %w: %s", err, out)
		}
		return nil
	})
	return nil
}

func (x *ordeal) ballast() string { return filepath.Join(x.start.DataDir, "ballast") }

// fill leaves so many bytes of the disk free; 0 none at all.
func (x *ordeal) fill(ctx context.Context, free int64) error {
	if !x.small {
		_, err := x.orders.give(ctx, failpoint.Order{Scarce: true, Full: free == 0})
		return err
	}
	f, err := os.OpenFile(x.ballast(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	defer f.Close()
	for block := make([]byte, 1<<20); ; {
		left, err := freeBytes(x.start.DataDir)
		if err != nil {
			return err
		}
		if left <= free {
			return nil
		}
		// The engine may have taken the last bytes meanwhile: then it is full.
		if n, err := f.Write(block[:min(int64(len(block)), left-free)]); err != nil && n == 0 {
			return nil
		}
	}
}

// makeRoom gives all of that back.
func (x *ordeal) makeRoom(ctx context.Context) error {
	if !x.small {
		_, err := x.orders.set(failpoint.Order{})
		return err
	}
	if err := os.Remove(x.ballast()); err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	return ctx.Err()
}

func fillDisk(ctx context.Context, x *ordeal) error {
	contact, err := x.confide(ctx)
	if err != nil {
		return err
	}
	x.busy(ctx, 2*time.Second)
	if err := x.fill(ctx, reserveKept/2); err != nil {
		return err
	}
	pause(ctx, noticeIn)
	x.refused(ctx)
	x.reads(ctx)
	// What an operator does offline meanwhile.
	stopping := time.Now()
	if err := x.engine.Terminate(); err != nil {
		x.out.breach(UncleanExit, "below the reserve: %v", err)
	}
	x.v.took("stop below the reserve", time.Since(stopping))
	x.at.Store(nil)
	for _, t := range x.world.Tenants {
		x.works("export", child.Export(ctx, x.start, t.ID, func(*child.Event) error { return nil }))
	}
	x.works("erase", child.Erase(ctx, x.start, x.world.Tenants[erasedTenant].ID, contact))
	if err := x.up(ctx); err != nil {
		return fmt.Errorf("below the reserve: %w", err)
	}
	// It let go of the logs of the one before.
	if err := x.fill(ctx, reserveKept/2); err != nil {
		return err
	}
	pause(ctx, noticeIn)
	x.refused(ctx)
	x.reads(ctx)
	if err := x.resumed(ctx, "from room to the first 200, after the reserve"); err != nil {
		return err
	}
	x.busy(ctx, time.Second)
	if err := x.fill(ctx, 0); err != nil {
		return err
	}
	if x.gone(ctx, fullFor) {
		x.v.Outcomes["ended by itself on a disk without a byte"]++
		if err := x.makeRoomAndStart(ctx); err != nil {
			return err
		}
		return nil
	}
	x.v.Outcomes["answered on, on a disk without a byte"]++
	return x.resumed(ctx, "from room to the first 200, after the last byte")
}

// makeRoomAndStart is what a supervisor does: it starts the engine again and
// again, until there is room.
func (x *ordeal) makeRoomAndStart(ctx context.Context) error {
	if err := x.makeRoom(ctx); err != nil {
		return err
	}
	began := time.Now()
	if err := x.up(ctx); err != nil {
		return err
	}
	at, ok := x.firstAck(ctx, began, resumeIn)
	judgeResumed(x.out, ok)
	x.v.took("from room to the first 200, after the last byte", at.Sub(began))
	return nil
}

// resumed makes room and waits for the first 200.
func (x *ordeal) resumed(ctx context.Context, what string) error {
	if err := x.makeRoom(ctx); err != nil {
		return err
	}
	began := time.Now()
	at, ok := x.firstAck(ctx, began, resumeIn)
	if judgeResumed(x.out, ok); ok {
		x.v.took(what, at.Sub(began))
	}
	return ctx.Err()
}

func judgeResumed(t *Tally, ok bool) {
	t.Chances[ChanceFreed]++
	if !ok {
		t.breach(NotResumed, "no webhook was answered 200 within %v of there being room", resumeIn)
	}
}

// refused counts what is answered for a while below the reserve.
func (x *ordeal) refused(ctx context.Context) {
	from := time.Now()
	pause(ctx, fullFor)
	judgeFull(x.out, x.answers.begun(from, time.Time{}))
}

func judgeFull(t *Tally, list []exchange) {
	for _, a := range list {
		if a.status == 0 || a.again {
			continue // it was cut off, or durable before
		}
		t.Chances[ChanceFull]++
		switch a.status {
		case http.StatusServiceUnavailable:
		case http.StatusOK:
			t.breach(AckedFull, "answered 200 below the disk reserve")
		default:
			t.breach(AckedFull, "answered %d below the disk reserve, not 503", a.status)
		}
	}
}

// reads reads every tenant's feed through the API.
func (x *ordeal) reads(ctx context.Context) {
	for _, k := range x.world.Keys {
		reader := &child.Reader{Client: x.desk.client, Key: k.Secret}
		n := 0
		err := reader.Feed(ctx, x.engine.API, 0, func(*child.Event) { n++ })
		if err == nil && n == 0 {
			err = errors.New("the feed is empty")
		}
		x.works("read", err)
	}
}

// works counts something that must work below the reserve.
func (x *ordeal) works(what string, err error) {
	x.out.Chances[ChanceFullReads]++
	if err != nil {
		x.out.breach(RefusedFull, "%s: %v", what, err)
	}
}

// confide has a customer write who will be erased, and returns the contact.
func (x *ordeal) confide(ctx context.Context) (contact string, err error) {
	who := person(bench.Accounts(x.world)[2*erasedTenant], firstErased)
	u := x.graph.Text(who.account, who.customer, erasedText)
	d, err := x.graph.NewDelivery(u)
	if err != nil {
		return "", err
	}
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if !x.deliver(limited, d) {
		return "", errors.New("torture: the message of who shall be erased was not taken")
	}
	reader := &child.Reader{Client: x.desk.client, Key: x.world.Keys[erasedTenant].Secret}
	err = reader.Feed(ctx, x.engine.API, 0, func(e *child.Event) {
		if e.Message != nil && e.Message.Remote == u.RemoteID {
			x.erased = e.Conversation
		}
	})
	if err != nil {
		return "", err
	}
	var view struct {
		Contact struct {
			ID string `json:"id"`
		} `json:"contact"`
	}
	if err := x.fetch(ctx, "/v1/conversations/"+x.erased, x.world.Keys[erasedTenant].Secret, &view); err != nil {
		return "", err
	}
	if view.Contact.ID == "" {
		return "", fmt.Errorf("torture: conversation %q names no contact", x.erased)
	}
	return view.Contact.ID, nil
}

// fetch reads JSON of the API.
func (x *ordeal) fetch(ctx context.Context, path, secret string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+x.engine.API+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	res, err := x.desk.client.Do(req)
	if err != nil {
		return fmt.Errorf("torture: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("torture: GET %s: %d", path, res.StatusCode)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// forgetErased holds the export against the erase, and takes who was erased out
// of the other ledgers: the engine must not know any more what they know.
func forgetErased(x *ordeal, b *Book) {
	who := person(bench.Accounts(x.world)[2*erasedTenant], firstErased)
	x.out.Chances[ChanceErased]++
	for tenant, events := range b.Exported {
		for _, e := range events {
			if e.Message != nil && strings.Contains(e.Message.Text, erasedText) {
				x.out.breach(NotErased, "%s: seq %d of %s still says it", tenant, e.Seq, e.Conversation)
			}
		}
	}
	// What people of the business wrote to them is gone with the rest.
	gone := map[string]bool{}
	for _, events := range b.Shown {
		for _, e := range events {
			if e.Conversation == x.erased && e.Message != nil {
				gone[e.Message.Text] = true
			}
		}
	}
	b.Requests = slices.DeleteFunc(b.Requests, func(r Request) bool { return gone[r.Text] })
	for _, account := range []map[string][]child.Event{b.Exported, b.Shown} {
		for tenant, events := range account {
			account[tenant] = slices.DeleteFunc(events, func(e child.Event) bool { return e.Conversation == x.erased })
		}
	}
	b.Arrivals = slices.DeleteFunc(b.Arrivals, func(a metasim.Arrival) bool {
		return a.Conversation == who.account.ID+"/"+who.customer.ID
	})
	b.Sends = slices.DeleteFunc(b.Sends, func(s metasim.Send) bool {
		return s.Account == who.account.ID && s.To == who.customer.ID
	})
}
