// Package metrics holds every instrument of the engine. It is a leaf: the
// wings import it, it imports none of them. Labels come from closed sets only;
// no tenant, contact, number, conversation or error text is ever a label.
package metrics

import "github.com/prometheus/client_golang/prometheus"

// Set is the engine's instruments, one group per part.
type Set struct {
	Edge     Edge
	Actors   Actors
	Journal  Journal
	Turn     Turn
	Training Training
	Model    Model
	Graph    Graph
	API      API
	Peer     Peer
	Media    Media
	Node     Node
}

// New builds the instruments and registers them with reg, which may be nil in
// tests.
func New(reg prometheus.Registerer) *Set {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	return &Set{
		Edge:     newEdge(reg),
		Actors:   newActors(reg),
		Journal:  newJournal(reg),
		Turn:     newTurn(reg),
		Training: newTraining(reg),
		Model:    newModel(reg),
		Graph:    newGraph(reg),
		API:      newAPI(reg),
		Peer:     newPeer(reg),
		Media:    newMedia(reg),
		Node:     newNode(reg),
	}
}

// latency is the bucket layout of every duration: 0.5 ms to 60 s.
var latency = []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 2, 5, 10, 30, 60}

func counter(reg prometheus.Registerer, name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	reg.MustRegister(c)
	return c
}

func counters(reg prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	reg.MustRegister(c)
	return c
}

func gauge(reg prometheus.Registerer, name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	reg.MustRegister(g)
	return g
}

func gauges(reg prometheus.Registerer, name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	reg.MustRegister(g)
	return g
}

func histogram(reg prometheus.Registerer, name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: latency,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	})
	reg.MustRegister(h)
	return h
}

func histograms(reg prometheus.Registerer, name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: latency,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100,
	}, labels)
	reg.MustRegister(h)
	return h
}
