package chat

import "time"

// TrainingExport is an export of training rows: what it counted, and from when it is.
// Its rows are not kept: they are made again of the talks that its lineage names, while
// those are there.
type TrainingExport struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created_at"`
	By      string    `json:"by,omitempty"`
	TrainingReport
	// Parts is how many documents hold the lineage.
	Parts int `json:"parts,omitempty"`
}

// TrainingLineage is a part of what an export's rows were made of: ids only.
type TrainingLineage struct {
	Rows []TrainingRow `json:"rows"`
}

// TrainingPut is documents about training data that somebody wrote. It belongs to no
// conversation and makes no event.
type TrainingPut struct{ Docs []Doc }

func (TrainingPut) fact() {}

func (p *step) trainingPut(f TrainingPut) {
	for i := range f.Docs {
		if n := f.Docs[i].Noun; n != DocTraining && n != DocTrainingExport {
			p.refuse("not_training")
			return
		}
	}
	p.d.Docs = append(p.d.Docs, f.Docs...)
}
