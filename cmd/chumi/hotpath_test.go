package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/chumiai/chumi/actors"
	"github.com/chumiai/chumi/chat"
	"github.com/chumiai/chumi/metrics"
	"github.com/chumiai/chumi/persistence"
	"github.com/chumiai/chumi/persistence/replica"
	"github.com/chumiai/chumi/persistence/seal"
	"github.com/chumiai/chumi/transport/edge"
	"github.com/chumiai/chumi/transport/webhook"
)

const (
	hotTenants       = 20
	hotConversations = 10_000
	hotSecret        = "secret-of-the-hot-path"
)

// BenchmarkHotPath is the ingest path from end to end in one process: the bytes of a
// signed POST, edge, webhook, actors, store, 200. Network and disk are in memory, so that
// what is left is the engine: each message is one POST, for one of 10,000 conversations
// of 20 tenants, each of which has been written to before. The clients are within the
// figures: they cost about the signature of a body, and allocate nothing.
//
//	make hotpath
func BenchmarkHotPath(b *testing.B) {
	tuneRuntime()
	for _, clients := range []int{64, 256} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			h := newHotPath(b)
			h.run(b, clients, hotConversations, func(_ *rand.Rand, i int) int { return i })
			h.run(b, clients, hotConversations, func(_ *rand.Rand, i int) int { return i })
			runtime.GC()
			from := hotCPU(b)
			b.ReportAllocs()
			b.ResetTimer()
			h.run(b, clients, b.N, func(r *rand.Rand, _ int) int { return r.IntN(hotConversations) })
			b.StopTimer()
			b.ReportMetric(float64((hotCPU(b)-from).Nanoseconds())/1e3/float64(b.N), "cpu-us/op")
		})
	}
}

// hotCPU is what this process has used so far.
func hotCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hotPath is an engine of what the path needs, and where it listens.
type hotPath struct {
	listener *fasthttputil.InmemoryListener
	// messages counts those that were posted: each has a remote id of its own.
	messages atomic.Int64
}

func newHotPath(b *testing.B) *hotPath {
	ctx, log, met := b.Context(), slog.New(slog.DiscardHandler), metrics.New(nil)
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	kek, err := seal.NewKEK(make([]byte, seal.KeyLen))
	must(err)
	store, err := persistence.Open(persistence.Options{Dir: "store", FS: vfs.NewMem(), KEK: kek, Logger: log,
		Metrics: &met.Journal, DiskReserve: -1, SyncInterval: persistence.DefaultSyncInterval})
	must(err)
	_, err = replica.Start(store, replica.Options{Logger: log, Metrics: &met.Journal})
	must(err)
	directory, err := persistence.OpenDirectory(ctx, store, chat.Settings{})
	must(err)
	must(directory.Change(ctx, func(c *persistence.Change) error {
		err := c.PutApp(chat.App{ID: "meta", Secrets: []chat.Secret{hotSecret}, VerifyTokens: []chat.Secret{"v"}})
		for t := range hotTenants {
			tenant := chat.TenantID(fmt.Sprintf("tenant%02d", t))
			err = errors.Join(err, c.PutTenant(chat.Tenant{ID: tenant, Name: string(tenant)}),
				c.PutChannel(chat.Channel{ID: chat.ChannelID(tenant + "-wa"), Tenant: tenant, App: "meta", Kind: chat.WhatsApp,
					Account: fmt.Sprintf("1060000000%05d", t), WABA: fmt.Sprintf("1020000000%05d", t), Token: "t", Simulated: true}))
		}
		return err
	}))
	strikes, err := persistence.OpenStrikes(b.TempDir()+"/strikes", time.Now())
	must(err)
	system, err := actors.New(actors.Options{Journal: store, Histories: store, Pairs: store, Index: store, Contacts: store, Documents: store,
		Barrier: store, Directory: directory, Quarantine: directory.Quarantine(), Leadership: store, Elections: store,
		Agenda: store, Strikes: strikes, Graph: silentGraph{}, Clock: wallClock{}, Models: &AssistantConfig{}, Metrics: met, Logger: log})
	must(err)
	must(system.Start(ctx))
	hooks, err := webhook.New(webhook.Options{Apps: directory, Ingress: system.Ingress(), Metrics: &met.Edge, Log: log})
	must(err)
	limits := edge.DefaultHooksLimits
	limits.RequestsPerConnMax = 1 << 30
	server, err := edge.NewHooks(limits, hooks.Serve, &met.Edge, log)
	must(err)
	h := &hotPath{listener: fasthttputil.NewInmemoryListener()}
	server.Start(h.listener)
	b.Cleanup(func() {
		stop, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		must(errors.Join(server.Drain(stop), system.Drain(stop)))
		system.Stop()
		must(errors.Join(store.Close(), strikes.Close()))
	})
	return h
}

// silentGraph takes nothing: nobody sends on this path.
type silentGraph struct{ actors.Graph }

// run posts n messages over so many connections. pick says which conversation the i-th
// is for.
func (h *hotPath) run(b *testing.B, clients, n int, pick func(r *rand.Rand, i int) int) {
	var next atomic.Int64
	var work sync.WaitGroup
	for c := range clients {
		conn, err := h.listener.Dial()
		if err != nil {
			b.Fatal(err)
		}
		work.Go(func() {
			defer func() { _ = conn.Close() }()
			client, rng := newHotClient(conn), rand.New(rand.NewPCG(1, uint64(c)))
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := client.post(pick(rng, i), h.messages.Add(1)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
}

// hotClient posts over one connection. A request is a template in which digits of fixed
// width and the signature are written anew for each message.
type hotClient struct {
	conn    net.Conn
	answers *bufio.Reader
	mac     hash.Hash
	sum     []byte
	request []byte
	// body and signature are parts of request.
	body, signature []byte
}

// Marks of the template, each as long as what takes its place.
const (
	markTenant  = "TTTTT"
	markPerson  = "PPPPPPPPPPPP"
	markMessage = "MMMMMMMMMMMM"
)

// hotBody is a text as WhatsApp sends it.
const hotBody = `{"object":"whatsapp_business_account","entry":[{"id":"1020000000` + markTenant + `","changes":[{"value":{"messaging_product":"whatsapp",` +
	`"metadata":{"display_phone_number":"493000000000","phone_number_id":"1060000000` + markTenant + `"},` +
	`"contacts":[{"profile":{"name":"Ada"},"wa_id":"49` + markPerson + `","user_id":"DE.` + markPerson + `"}],` +
	`"messages":[{"from":"49` + markPerson + `","from_user_id":"DE.` + markPerson + `","id":"wamid.HBgNNDkxNTE2Nzg5MDEyFQIAEhgUM0EyQjRDNkQ4RTBG` + markMessage + `",` +
	`"timestamp":"%d","text":{"body":"Hello, I saw your shop yesterday and would like to know whether the blue one is still there in size M."},"type":"text"}]},"field":"messages"}]}]}`

func newHotClient(conn net.Conn) *hotClient {
	body := fmt.Sprintf(hotBody, time.Now().Unix())
	c := &hotClient{conn: conn, answers: bufio.NewReader(conn), mac: hmac.New(sha256.New, []byte(hotSecret))}
	head := fmt.Sprintf("POST /hooks/meta HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\nX-Hub-Signature-256: sha256=", len(body))
	const sign, gap = 2 * sha256.Size, "\r\n\r\n"
	c.request = append(make([]byte, 0, len(head)+sign+len(gap)+len(body)), head...)
	c.request = append(append(append(c.request, make([]byte, sign)...), gap...), body...)
	c.signature, c.body = c.request[len(head):len(head)+sign], c.request[len(c.request)-len(body):]
	return c
}

// put writes n over every place of a mark in the template.
func put(body []byte, mark string, n int64) {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], n, 10)
	for from := 0; ; {
		at := strings.Index(hotBody[from:], mark)
		if at < 0 {
			return
		}
		at += from
		from = at + len(mark)
		room := body[at:from]
		for i := range room {
			room[i] = '0'
		}
		copy(room[len(room)-len(text):], text)
	}
}

// post sends one message and waits for its 200.
func (c *hotClient) post(conversation int, message int64) error {
	put(c.body, markTenant, int64(conversation%hotTenants))
	put(c.body, markPerson, int64(conversation))
	put(c.body, markMessage, message)
	c.mac.Reset()
	c.mac.Write(c.body)
	c.sum = c.mac.Sum(c.sum[:0])
	hex.Encode(c.signature, c.sum)
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.answer()
}

// answer reads the head of an answer, which has no body.
func (c *hotClient) answer() error {
	for first := true; ; first = false {
		line, err := c.answers.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")):
			return fmt.Errorf("answered %q", line)
		case len(line) == len("\r\n"):
			return nil
		}
	}
}
