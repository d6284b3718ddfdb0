package extract

import (
	"encoding/csv"
	"errors"
	"io"
	"path"
	"strings"
)

// Limits of a table.
const (
	rowsMax    = 50_000
	columnsMax = 200
)

// csvText makes each row a paragraph of "column: value" parts, so that a row alone
// says what it means.
func csvText(b *builder, text, filename string) error {
	r := csv.NewReader(strings.NewReader(text))
	r.Comma, r.FieldsPerRecord, r.LazyQuotes, r.ReuseRecord = separator(text), -1, true, true
	if name := strings.TrimSuffix(path.Base(filename), path.Ext(filename)); filename != "" && name != "." {
		b.heading(1, name)
	}
	var columns []string
	for rows := 0; ; rows++ {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		switch {
		case err != nil:
			return refused("file_unreadable")
		case rows > rowsMax:
			return refused("text_too_long")
		case len(row) > columnsMax:
			return refused("file_unreadable")
		case columns == nil:
			columns = append([]string{}, row...)
			continue
		}
		var parts []string
		for i, value := range row {
			if value = oneLine(value); value == "" {
				continue
			}
			if i < len(columns) && oneLine(columns[i]) != "" {
				value = oneLine(columns[i]) + ": " + value
			}
			parts = append(parts, value)
		}
		b.write(strings.Join(parts, "; ") + "\n\n")
		if b.over {
			return nil
		}
	}
}

// separator is the sign that the first line holds most of.
func separator(text string) rune {
	line, _, _ := strings.Cut(text, "\n")
	best := ','
	for _, c := range []rune{';', '\t', '|'} {
		if strings.Count(line, string(c)) > strings.Count(line, string(best)) {
			best = c
		}
	}
	return best
}
