package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/chumiai/chumi/transport/meta/metasim"
)

// BenchmarkServe_PostOf1000 is how long one POST of 1,000 updates takes, from the
// client's side to the answer that all of it is durable: of 1,000 people, of 10, and
// of one, whose messages are one after the other. Meta wants the median below 250 ms
// and fewer than 1 % above 1 s. The first POST starts the conversations.
//
//	go test ./cmd/chumi -run '^$' -bench PostOf1000 -benchtime 100x
func BenchmarkServe_PostOf1000(b *testing.B) {
	for _, people := range []int{1000, 10, 1} {
		b.Run(fmt.Sprintf("people=%d", people), func(b *testing.B) {
			_, args := outside(b)
			e := startEngine(b, b.TempDir(), write(b, "b.yaml", twoTenants), append(args, "--set", "assistant.quiet_period=10m")...)
			var took []time.Duration
			for n := 0; b.Loop(); n++ {
				b.StopTimer()
				body := batch(b, n, people)
				b.StartTimer()
				begun := time.Now()
				if status := e.post("acme-app", "secret-of-acme", body); status != 200 {
					b.Fatalf("post %d: status %d", n, status)
				}
				took = append(took, time.Since(begun))
			}
			b.ReportMetric(took[0].Seconds()*1000, "first-ms")
			slices.Sort(took)
			at := func(percent int) float64 { return took[len(took)*percent/100].Seconds() * 1000 }
			b.ReportMetric(at(50), "p50-ms")
			b.ReportMetric(at(99), "p99-ms")
		})
	}
}

// batch is the n-th body of 1,000 texts.
func batch(b *testing.B, n, people int) []byte {
	b.Helper()
	account := metasim.Account{Kind: metasim.WhatsApp, ID: "106000000000001", WABA: "102000000000001"}
	updates := make([]metasim.Update, 1000)
	for i := range updates {
		updates[i] = metasim.Update{Kind: metasim.UpdateText, Account: account,
			Customer: metasim.Customer{ID: fmt.Sprintf("49155%08d", i%people), Name: "Ada"},
			RemoteID: fmt.Sprintf("wamid.BATCH%d.%d", n, i), Text: "Do you have it in blue, and what does it cost?", At: time.Now()}
	}
	body, err := metasim.Body(updates...)
	if err != nil {
		b.Fatal(err)
	}
	return body
}
