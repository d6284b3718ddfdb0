package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chumiai/chumi/transport/meta/metatest"
)

// sharedFixtures is the folder of recorded webhook payloads, which stands
// beside the repository and is not part of it.
func sharedFixtures(t testing.TB) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "shared", "fixtures")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped: there are no recorded payloads in ../shared/fixtures beside the repository: ", err)
	}
	return dir
}

// recorder reads recorded payloads; n makes the ids of this reading unique.
type recorder func(t testing.TB, n int) []payload

// sharedPayloads reads the payloads beside the repository.
func sharedPayloads(t testing.TB, n int) (payloads []payload) {
	t.Helper()
	root := sharedFixtures(t)
	for _, product := range []string{"whatsapp", "instagram"} {
		files, err := filepath.Glob(filepath.Join(root, product, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no fixtures of %s: %v", product, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			payloads = append(payloads, rewritten(t, product+"/"+filepath.Base(file), product, n*1000+len(payloads), text))
		}
	}
	return payloads
}

// ownPayloads reads the payloads the repository has itself, one of each kind that
// Meta's tables list and many that they do not.
func ownPayloads(t testing.TB, n int) (payloads []payload) {
	t.Helper()
	for _, file := range metatest.Files(t, filepath.Join("..", "..", "transport", "meta", "testdata")) {
		product := filepath.Base(filepath.Dir(file))
		_, cases := metatest.Read(t, file)
		for _, c := range cases {
			payloads = append(payloads, rewritten(t, product+"/"+c.Name, product, n*1000+len(payloads), c.Body()))
		}
	}
	return payloads
}

// TestServe_RecordedPayloads posts what Meta posts, signed, in every order and
// grouping it may choose. All of it is answered 200, nothing is lost, nothing comes
// twice, what it says is in the export, and what people wrote is in the order in
// which it was posted.
func TestServe_RecordedPayloads(t *testing.T) {
	for name, read := range map[string]recorder{"own": ownPayloads, "shared": sharedPayloads} {
		t.Run(name, func(t *testing.T) {
			t.Run("singly, each twice", func(t *testing.T) {
				payloads := read(t, 0)
				r := post(t, payloads, 2)
				r.inOrder(t)
			})
			t.Run("shuffled, with repetitions among them", func(t *testing.T) {
				payloads := read(t, 0)
				payloads = append(payloads, payloads...)
				rand.New(rand.NewPCG(1, 2)).Shuffle(len(payloads), func(i, j int) { payloads[i], payloads[j] = payloads[j], payloads[i] })
				post(t, payloads, 1)
			})
			t.Run("merged into batches of 1,000, each twice", func(t *testing.T) {
				var payloads []payload
				for n := range 7 {
					payloads = append(payloads, read(t, n)...)
				}
				whatsapp, instagram := merged(t, "whatsapp", payloads), merged(t, "instagram", payloads)
				r := post(t, append(whatsapp, instagram...), 2)
				r.inOrder(t)
				if r.promises.largest < 900 {
					t.Errorf("the largest batch has %d updates, want nearly 1,000", r.promises.largest)
				}
			})
		})
	}
}

// result is what an engine made of payloads.
type result struct {
	promises *promises
	// events are those of all tenants, by what they are known by.
	events map[string][]apiEvent
}

// post posts payloads to an engine, each so many times in a row, and holds what is
// in the export then against what they say.
func post(t *testing.T, payloads []payload, times int) *result {
	t.Helper()
	_, args := outside(t)
	dir := t.TempDir()
	// One app for both tenants, so that one POST may be for both.
	oneApp := strings.ReplaceAll(twoTenants, "app: bolt-app", "app: acme-app")
	e := startEngine(t, dir, write(t, "b.yaml", oneApp), append(args, "--set", "assistant.quiet_period=10m", "--set", "edge.deliver_timeout=1m")...)
	for _, p := range payloads {
		for range times {
			// A 503 is offered again, as Meta does: contacts of two conversations may have
			// been linked at that moment.
			status := e.post("acme-app", "secret-of-acme", p.body)
			for try := 1; status == 503 && try < 5; try++ {
				status = e.post("acme-app", "secret-of-acme", p.body)
			}
			if status != 200 {
				t.Errorf("%s: status %d; %s", p.name, status, lines(e.log.String(), "{"))
			}
		}
	}
	e.stop()
	checked(t, dir)
	r := &result{promises: promisesOf(t, payloads), events: map[string][]apiEvent{}}
	everything := strings.Builder{}
	total := 0
	for _, tenant := range []string{"acme", "bolt"} {
		events := exported(t, dir, tenant)
		gapFree(t, events)
		total += len(events)
		for _, ev := range events {
			everything.WriteString(ev.line)
			if shape := shapeShown(t, &ev); shape != "" {
				r.events[shape] = append(r.events[shape], ev)
			}
		}
	}
	r.once(t)
	for _, p := range payloads {
		for _, id := range p.ids {
			if !r.promises.strange[p.name] && !strings.Contains(everything.String(), id) {
				t.Errorf("%s: %s is nowhere in the export", p.name, id)
			}
		}
	}
	t.Logf("%d payloads posted %d times, %d updates in them, %d promises kept, %d events, not for a tenant: %v",
		len(payloads), times, r.promises.updates, len(r.promises.ordered), total, r.promises.strangers)
	return r
}

// once checks that each promise is one event that says what it says.
func (r *result) once(t *testing.T) {
	t.Helper()
	said, alike := map[string]int{}, map[string]int{}
	for _, p := range r.promises.ordered {
		alike[p.shapes[0]]++
	}
	for _, p := range r.promises.ordered {
		var found []apiEvent
		seen := map[string]bool{}
		for _, shape := range p.shapes {
			if !seen[shape] {
				found = append(found, r.events[shape]...)
			}
			seen[shape] = true
		}
		switch {
		case p.taken:
		case len(found) != alike[p.shapes[0]]:
			t.Errorf("%s: %s is in the export %d times, want %d", p.from, p.shapes[0], len(found), alike[p.shapes[0]])
		case len(seen) == 1 && shown(t, &found[0]) != p.content:
			t.Errorf("%s: %s says %s, want %s", p.from, p.shapes[0], shown(t, &found[0]), p.content)
		default:
			said[found[0].Kind]++
		}
	}
	// A promise that is never made proves nothing.
	for _, kind := range []string{"message_received", "message_echoed", "message_imported", "status_changed", "update_received"} {
		if said[kind] == 0 {
			t.Errorf("no payload led to an event of kind %s", kind)
		}
	}
}

// inOrder checks that what one person and the business wrote to each other is told
// in the order it was posted in. Reports may take another way: one may name, by our
// own id, a conversation that is not here.
func (r *result) inOrder(t *testing.T) {
	t.Helper()
	last := map[string]apiEvent{}
	for _, p := range r.promises.ordered {
		found := r.events[p.shapes[0]]
		if len(found) != 1 || p.taken || found[0].Message == nil {
			continue
		}
		ev := found[0]
		at := fmt.Sprint(ev.TenantID, ev.conversation(), p.where)
		if ev.Pos <= last[at].Pos {
			t.Errorf("%s: %s is told before what was posted before it:\n%s%s", p.from, p.shapes[0], ev.line, last[at].line)
		}
		last[at] = ev
	}
}
