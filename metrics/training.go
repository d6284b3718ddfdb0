package metrics

import "github.com/prometheus/client_golang/prometheus"

// Training counts what is made of talks for the training of models.
type Training struct {
	// Redactions counts what was taken out of exported rows, by kind.
	Redactions *prometheus.CounterVec
	// Rows counts exchanges by what became of them: kept, or why not.
	Rows *prometheus.CounterVec
}

func newTraining(reg prometheus.Registerer) Training {
	return Training{
		Redactions: counters(reg, "chumi_redactions_total", "Personal data taken out of exported training rows, by kind.", "entity"),
		Rows:       counters(reg, "chumi_training_rows_total", "Exchanges looked at for training rows, by what became of them.", "state"),
	}
}
