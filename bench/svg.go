package bench

import (
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
)

// The plot's measures in pixels.
const (
	svgWidth   = 720
	svgLabel   = 300
	svgBar     = 22
	svgGap     = 8
	svgLegend  = 20
	svgPadding = 16
)

// svgColors are told apart by people who confuse red and green.
var svgColors = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"}

// SVG draws median acks/s as bars with the range of valid rounds, and below
// them the latency percentiles of the open loop. It is empty when there is
// nothing valid to draw.
func (r *Report) SVG() string {
	if r.Failed() {
		return ""
	}
	var p plot
	p.y = svgPadding
	if r.Headline != nil && r.Headline.Valid {
		p.bars(r.Headline)
	}
	p.latency(r.Open)
	p.peers(r.Peers)
	if p.b.Len() == 0 {
		return ""
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13" fill="#222">`+"\n"+
		`<rect width="100%%" height="100%%" fill="#fff"/>`+"\n%s</svg>\n", svgWidth, p.y+svgPadding, svgWidth, p.y+svgPadding, p.b.String())
}

// plot grows downwards.
type plot struct {
	b strings.Builder
	y int
}

func (p *plot) text(x, y int, anchor, s string) {
	fmt.Fprintf(&p.b, `<text x="%d" y="%d" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(s))
}

func (p *plot) title(s string) {
	p.y += svgLegend
	fmt.Fprintf(&p.b, `<text x="%d" y="%d" font-weight="bold">%s</text>`+"\n", svgPadding, p.y, html.EscapeString(s))
	p.y += svgGap
}

// bar is one line of a bar chart.
type bar struct {
	name string
	Spread
	color string
}

func (p *plot) bars(h *Headline) {
	var list []bar
	add := func(name string, s Spread) {
		if s.Rounds > 0 {
			list = append(list, bar{name, s, svgColors[min(len(list), 2)]})
		}
	}
	add("engine, acks only", h.Acks)
	add("engine, with replies", h.Replies)
	add("three nodes, acks only", h.Three)
	for _, k := range []string{BoundPebble, BoundPebbleTuned, BoundHMAC} {
		add("bound: "+k, h.Bounds[k])
	}
	p.chart(fmt.Sprintf("Durable acks/s, median and range; engine = %.2f x %s", h.Ratio, h.Against), list)
}

// peers draws, for each number of connections, the rates that met Meta's bar. Those
// who store nothing have a colour of their own.
func (p *plot) peers(report *PeerReport) {
	if report == nil {
		return
	}
	for _, conns := range report.Conns {
		var list []bar
		for _, s := range report.Standings {
			x := report.contender(s.Target)
			if s.Conns != conns || s.Open.Rounds == 0 {
				continue
			}
			color := svgColors[4]
			switch {
			case s.Target == TargetEngine:
				color = svgColors[0]
			case x.stores():
				color = svgColors[1]
			}
			list = append(list, bar{x.Title, s.Open, color})
		}
		if len(list) > 0 {
			p.chart(fmt.Sprintf("Highest rate within Meta's bar, messages/s, %d connections; light: stores nothing", conns), list)
		}
	}
}

func (p *plot) chart(title string, list []bar) {
	top := 0.0
	for _, x := range list {
		top = max(top, x.Max)
	}
	p.title(title)
	scale := float64(svgWidth-svgLabel-5*svgPadding) / top
	for _, x := range list {
		p.text(svgLabel-svgGap, p.y+svgBar-6, "end", x.name)
		fmt.Fprintf(&p.b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", svgLabel, p.y, x.Median*scale, svgBar, x.color)
		mid := p.y + svgBar/2
		fmt.Fprintf(&p.b, `<path d="M%.1f %d H%.1f" stroke="#222" stroke-width="2"/>`+"\n",
			svgLabel+x.Min*scale, mid, svgLabel+x.Max*scale)
		p.text(svgLabel+int(x.Max*scale)+svgGap, p.y+svgBar-6, "start", fmt.Sprintf("%.0f", x.Median))
		p.y += svgBar + svgGap
	}
}

// latency draws one line per target and rate over the percentiles.
func (p *plot) latency(rounds []Round) {
	rounds = slices.DeleteFunc(slices.Clone(rounds), func(r Round) bool { return r.Invalid != "" })
	if len(rounds) == 0 {
		return
	}
	const height = 200
	names := []string{"p50", "p90", "p99", "p99.9", "max"}
	values := func(q Quantiles) []float64 { return []float64{q.P50, q.P90, q.P99, q.P999, q.Max} }
	low, high := math.Inf(1), 0.0
	for _, r := range rounds {
		for _, v := range values(r.Ack) {
			low, high = min(low, max(v, 0.01)), max(high, v)
		}
	}
	lowExp, highExp := math.Floor(math.Log10(low)), math.Ceil(math.Log10(high))
	highExp = max(highExp, lowExp+1)
	p.title("Ack latency at a given rate, ms (logarithmic)")
	begin := p.y
	at := func(v float64) float64 {
		return float64(begin) + height*(1-(math.Log10(max(v, 0.01))-lowExp)/(highExp-lowExp))
	}
	x := func(i int) int { return 4*svgPadding + i*(svgWidth-svgLabel)/len(names) }
	for e := lowExp; e <= highExp; e++ {
		y := at(math.Pow(10, e))
		fmt.Fprintf(&p.b, `<path d="M%d %.1f H%d" stroke="#ddd"/>`+"\n", x(0), y, x(len(names)-1))
		p.text(x(0)-svgGap, int(y)+4, "end", fmt.Sprintf("%g", math.Pow(10, e)))
	}
	for i, name := range names {
		p.text(x(i), begin+height+svgLegend, "middle", name)
	}
	for n, r := range rounds {
		color := svgColors[n%len(svgColors)]
		var points []string
		for i, v := range values(r.Ack) {
			points = append(points, fmt.Sprintf("%d,%.1f", x(i), at(v)))
		}
		fmt.Fprintf(&p.b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`+"\n", strings.Join(points, " "), color)
		y := begin + svgLegend*(n+1)
		fmt.Fprintf(&p.b, `<rect x="%d" y="%d" width="14" height="4" fill="%s"/>`+"\n", x(len(names)), y-6, color)
		p.text(x(len(names))+20, y, "start", fmt.Sprintf("%s at %.0f/s", r.Target, r.Rate))
	}
	p.y = begin + height + 2*svgLegend
}
