package bench

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Text is the report for people. Of a lossy run it says only what was lost.
func (r *Report) Text() string {
	var b strings.Builder
	e := &r.Environment
	fmt.Fprintf(&b, "chumi bench, %s, commit %s\n", e.Time.Format(time.RFC3339), e.Commit)
	fmt.Fprintf(&b, "%s, %d CPUs, %.0f GiB, Linux %s, %s, %s\n", e.CPU, e.CPUs, float64(e.Memory)/(1<<30), e.Kernel, e.FileSystem, e.Go)
	fmt.Fprintf(&b, "fsync of 1 KiB: p50 %.2f ms, p99 %.2f ms\n", e.Sync.P50, e.Sync.P99)
	s := &r.Settings
	fmt.Fprintf(&b, "%d tenants x %d conversations, Zipf %.2f, %.0f %% Instagram, %d connections, bodies of %d bytes, seed %d\n\n",
		s.Tenants, s.Conversations, s.Skew, 100*s.Instagram, s.Conns, s.BodyBytes, s.Seed)
	if r.Failed() {
		fmt.Fprintf(&b, "LOSSY: of %d acknowledged messages %d are not in the export and %d are in it twice.\nNo figures are given.\n",
			r.Acknowledged, r.Lost, r.Twice)
		return b.String()
	}
	r.textHeadline(&b)
	r.textRounds(&b, fmt.Sprintf("Rounds (%v after %v of warm-up)", s.Measure, s.Warm), r.Rounds)
	r.textRounds(&b, "Open loop: latency from the time a request was due", r.Open)
	r.textReply(&b)
	r.Noisy.text(&b)
	r.Poison.text(&b)
	r.Slow.text(&b)
	r.Flight.text(&b)
	r.textPeers(&b)
	if m := r.Memory; m != nil {
		fmt.Fprintf(&b, "Memory per resident conversation, over %d: %.0f B live heap outside the store's buffers"+
			" (sampled; all heap %.0f B, RSS %.0f B)\n\n", m.Resident, m.Heap, m.WholeHeap, m.RSS)
	}
	r.Scale.text(&b)
	r.Outage.text(&b)
	fmt.Fprintf(&b, "%d acknowledged messages compared with the export: 0 lost, 0 doubled. Took %v.\n",
		r.Acknowledged, r.Took.Round(time.Second))
	return b.String()
}

func (r *Report) textHeadline(b *strings.Builder) {
	h := r.Headline
	if h == nil {
		return
	}
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "durable acks/s\tmedian\tmin\tmax\tvalid rounds\n")
	row := func(name string, s Spread) {
		if s.Rounds == 0 {
			return
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%d\n", name, s.Median, s.Min, s.Max, s.Rounds)
	}
	row("engine, acks only", h.Acks)
	row("engine, while replies are made and sent", h.Replies)
	row("the other executable, acks only", h.Other)
	row("three nodes here, acks only", h.Three)
	names := make([]string, 0, len(h.Bounds))
	for name := range h.Bounds {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		row("bound: "+boundName(name), h.Bounds[name])
	}
	_ = w.Flush() // into a strings.Builder, which does not fail
	if h.OtherRatio > 0 {
		fmt.Fprintf(b, "engine, acks only = %.2f x the other executable\n", h.OtherRatio)
	}
	if h.ThreeRatio > 0 {
		fmt.Fprintf(b, "three nodes on this machine, acks only = %.2f x one\n", h.ThreeRatio)
	}
	_, plain := h.Bounds[BoundPebble]
	_, tuned := h.Bounds[BoundPebbleTuned]
	switch {
	case h.Valid:
		fmt.Fprintf(b, "engine, acks only = %.2f x %s\n\n", h.Ratio, boundName(h.Against))
	case !plain && !tuned:
		fmt.Fprintf(b, "no ratio to a bare handler: none that stores was measured\n\n")
	default:
		fmt.Fprintf(b, "INVALID: too few valid rounds, so no ratio. The rounds below say why.\n\n")
	}
}

func boundName(kind string) string {
	switch kind {
	case BoundHMAC:
		return "fasthttp + HMAC"
	case BoundPebble:
		return "fasthttp + HMAC + Pebble-Sync"
	case BoundPebbleTuned:
		return "fasthttp + HMAC + Pebble-Sync, with the engine's options of Pebble"
	}
	return kind
}

func (r *Report) textRounds(b *strings.Builder, title string, rounds []Round) {
	if len(rounds) == 0 {
		return
	}
	fmt.Fprintf(b, "%s\n", title)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "round\ttarget\trate\tacks/s\tp50 ms\tp90\tp99\tp99.9\tmax\tserver us/msg\tgen us/msg\tdisk B/msg\tgrown B/msg\treplies\tlag p99\tother CPU\t\n")
	for i := range rounds {
		x := &rounds[i]
		name, rate, lag := x.Target, "closed", "-"
		if x.Row != "" {
			name += " " + x.Row
		}
		if x.Rate > 0 {
			rate = fmt.Sprintf("%.0f", x.Rate)
		}
		if x.Lag != nil {
			lag = fmt.Sprintf("%.2f", x.Lag.P99)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%.0f\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t%.0f\t%.0f\t%d\t%s\t%.0f%%\t", x.Number, name, rate,
			x.Throughput, x.Ack.P50, x.Ack.P90, x.Ack.P99, x.Ack.P999, x.Ack.Max, x.ServerCPU, x.GeneratorCPU, x.Written, x.Grown,
			x.Replies, lag, 100*x.Spent.Other)
		if x.Invalid != "" {
			fmt.Fprintf(w, "  INVALID: %s", x.Invalid)
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush()
	b.WriteByte('\n')
}

func (r *Report) textReply(b *strings.Builder) {
	p := r.Reply
	if p == nil {
		return
	}
	fmt.Fprintf(b, "Engine time per reply at %.0f messages/s over %d numbers (webhook written to Graph call, minus model time and a quiet period of %v)\n", p.Rate, p.Numbers, p.Quiet)
	fmt.Fprintf(b, "  %d messages, %d replies; outside: p50 %.1f ms, p99 %.1f ms, max %.1f ms; engine's own histogram: p50 %.1f ms, p99 %.1f ms\n",
		p.Messages, p.Replies, p.Outside.P50, p.Outside.P99, p.Outside.Max, p.InsideP50, p.InsideP99)
	if p.Round.Invalid != "" {
		fmt.Fprintf(b, "  INVALID: %s\n", p.Round.Invalid)
	}
	b.WriteByte('\n')
}
