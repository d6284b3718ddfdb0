package knowledge

import (
	"sync"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/analyzer/standard"
	"github.com/blevesearch/bleve/v2/analysis/lang/de"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"github.com/blevesearch/bleve/v2/analysis/lang/es"
	"github.com/blevesearch/bleve/v2/analysis/lang/pt"
	"github.com/blevesearch/bleve/v2/registry"
)

// analyzers are those of the languages whose stop words and endings are known; text
// of another language is split into words and no more.
var analyzers = map[string]string{"de": de.AnalyzerName, "en": en.AnalyzerName, "es": es.AnalyzerName, "pt": pt.AnalyzerName, "": standard.Name}

// languages are theirs, in the order that scores are added up.
var languages = []string{"", "de", "en", "es", "pt"}

var loaded = sync.OnceValue(func() map[string]analysis.Analyzer {
	cache := registry.NewCache()
	out := map[string]analysis.Analyzer{}
	for language, name := range analyzers {
		if a, err := cache.AnalyzerNamed(name); err == nil { // each is imported above
			out[language] = a
		}
	}
	return out
})

// terms are the words of a text as a language has them, in their order.
func terms(language, text string) []string {
	a, ok := loaded()[language]
	if !ok {
		a = loaded()[""]
	}
	tokens := a.Analyze([]byte(text))
	out := make([]string, 0, len(tokens))
	for _, t := range tokens {
		out = append(out, string(t.Term))
	}
	return out
}
