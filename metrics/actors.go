package metrics

import "github.com/prometheus/client_golang/prometheus"

// Actors is what the actor system reports.
type Actors struct {
	// Activations is resident actors by kind: conversation, tenant, sender.
	Activations *prometheus.GaugeVec
	// Activated counts activations started; Passivated those stopped for room or idleness.
	Activated, Passivated prometheus.Counter
	// Load is how long the state of a cold conversation took to read, in seconds.
	Load prometheus.Histogram
	// Busy counts mail refused by a full mailbox, by receiver kind.
	Busy *prometheus.CounterVec
	// Fenced counts mail refused because of an old epoch.
	Fenced prometheus.Counter
	// Inbound counts updates by outcome: applied, duplicate, quarantined, refused, unavailable,
	// erased: about somebody who was erased since it happened.
	Inbound *Words
	// Panics counts recovered panics; Restarts actor restarts.
	Panics, Restarts prometheus.Counter
	// Ticks counts agenda rows fired; AgendaLag is how late.
	Ticks     prometheus.Counter
	AgendaLag prometheus.Histogram
	// OwnPace is how many model calls a second may begin, with what leads to them;
	// less than at the start while deliveries need the processor.
	OwnPace prometheus.Gauge
	// DeadLetters counts mail to actors that were gone.
	DeadLetters prometheus.Counter
	// Handoffs counts handoffs by reason.
	Handoffs *prometheus.CounterVec
}

func newActors(reg prometheus.Registerer) Actors {
	a := Actors{
		Activated:   counter(reg, "chumi_activations_started_total", "Activations started."),
		Passivated:  counter(reg, "chumi_activations_passivated_total", "Activations stopped for room or idleness."),
		Load:        histogram(reg, "chumi_activation_load_seconds", "Reading the state of a cold conversation."),
		Busy:        counters(reg, "chumi_mail_busy_total", "Mail refused by a full mailbox.", "receiver"),
		Fenced:      counter(reg, "chumi_mail_fenced_total", "Mail refused because of an old epoch."),
		Inbound:     words(reg, "chumi_inbound_total", "Updates by outcome.", "outcome"),
		Panics:      counter(reg, "chumi_panics_total", "Panics recovered while handling mail."),
		Restarts:    counter(reg, "chumi_actor_restarts_total", "Actors restarted after a panic."),
		Ticks:       counter(reg, "chumi_agenda_ticks_total", "Due rows fired."),
		AgendaLag:   histogram(reg, "chumi_agenda_lag_seconds", "How late due rows were fired."),
		OwnPace:     gauge(reg, "chumi_turns_max_per_second", "Model calls that may begin in a second; less than after the start while webhooks need the processor."),
		DeadLetters: counter(reg, "chumi_dead_letters_total", "Mail to actors that were gone."),
		Handoffs:    counters(reg, "chumi_handoffs_total", "Handoffs by reason.", "reason"),
	}
	a.Activations = gauges(reg, "chumi_activations", "Resident actors by kind.", "kind")
	for _, outcome := range []string{"applied", "duplicate", "quarantined", "refused", "unavailable"} {
		a.Inbound.WithLabelValues(outcome)
	}
	seed(a.Busy, "router", "tenant", "conversation", "sender")
	seed(a.Handoffs, "silence", "budget", "requested", "send_failed", "send_unknown", "quarantined", "closed", "api")
	return a
}
