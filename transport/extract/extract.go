package extract

import (
	"bytes"
	"mime"
	"net/http"
	"path"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/chumiai/chumi/chat"
)

// Limits of an input.
const (
	// InputMax is of a file, in bytes.
	InputMax = 32 << 20
	// sectionsMax bounds the sections of a source.
	sectionsMax = 20_000
	// titleMax bounds a heading, in bytes; longer ones are cut.
	titleMax = chat.SourceTitleMax
)

// Types that are understood.
const (
	TypeText     = "text/plain"
	TypeMarkdown = "text/markdown"
	TypeHTML     = "text/html"
	TypeCSV      = "text/csv"
	TypePDF      = "application/pdf"
	TypeDOCX     = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
)

var extensions = map[string]string{
	".txt": TypeText, ".text": TypeText, ".md": TypeMarkdown, ".markdown": TypeMarkdown, ".html": TypeHTML, ".htm": TypeHTML,
	".xhtml": TypeHTML, ".csv": TypeCSV, ".tsv": TypeCSV, ".pdf": TypePDF, ".docx": TypeDOCX,
}

var aliases = map[string]string{
	TypeText: TypeText, TypeMarkdown: TypeMarkdown, "text/x-markdown": TypeMarkdown, TypeHTML: TypeHTML, "application/xhtml+xml": TypeHTML,
	TypeCSV: TypeCSV, "text/tab-separated-values": TypeCSV, "application/csv": TypeCSV, TypePDF: TypePDF, TypeDOCX: TypeDOCX,
}

// Type decides what a file is: by its first bytes where they tell, else by the type
// it was given with, else by its name, else plain text. ok is false for what is
// none of the types that are understood.
func Type(declared, filename string, body []byte) (t string, ok bool) {
	given, _, _ := mime.ParseMediaType(declared)
	switch {
	case bytes.HasPrefix(bytes.TrimLeft(head(body), "\x00\r\n\t \ufeff"), []byte("%PDF-")):
		return TypePDF, true
	case bytes.HasPrefix(body, []byte("PK\x03\x04")):
		return TypeDOCX, true
	}
	byName := extensions[strings.ToLower(path.Ext(filename))]
	if t = aliases[given]; t == "" || t == TypeText && byName != "" {
		t = byName
	}
	if t == TypePDF || t == TypeDOCX {
		return "", false // its bytes say otherwise
	}
	if t == "" {
		switch sniffed, _, _ := strings.Cut(http.DetectContentType(body), ";"); sniffed {
		case TypeHTML, TypeText:
			t = sniffed
		}
	}
	return t, t != ""
}

func head(b []byte) []byte { return b[:min(len(b), 1024)] }

// Sections extracts the text of a file. Errors are *chat.Error of KindInvalid whose
// reason is a word: "type_not_supported", "file_too_large", "text_too_long",
// "file_unreadable", "no_text".
func Sections(declared, filename string, body []byte) (sections []chat.Excerpt, err error) {
	if len(body) > InputMax {
		return nil, refused("file_too_large")
	}
	t, ok := Type(declared, filename, body)
	if !ok {
		return nil, refused("type_not_supported")
	}
	b := &builder{}
	switch t {
	case TypePDF:
		err = pdfText(b, body)
	case TypeDOCX:
		err = docxText(b, body)
	default:
		text := plain(body)
		switch t {
		case TypeHTML:
			err = htmlText(b, text)
		case TypeMarkdown:
			markdownText(b, text)
		case TypeCSV:
			err = csvText(b, text, filename)
		default:
			b.write(text)
		}
	}
	if err != nil {
		return nil, err
	}
	return b.done()
}

// plain is text in UTF-8, whatever it was in: UTF-16 says so by its mark, what is
// neither is taken as Windows-1252, in which spreadsheets write CSV.
func plain(b []byte) string {
	switch {
	case bytes.HasPrefix(b, []byte{0xff, 0xfe}):
		return fromUTF16(b[2:], 1)
	case bytes.HasPrefix(b, []byte{0xfe, 0xff}):
		return fromUTF16(b[2:], 0)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	if utf8.Valid(b) {
		return string(b)
	}
	var s strings.Builder
	for _, c := range b {
		switch {
		case c >= 0x80 && c < 0xa0:
			s.WriteRune(windows1252[c-0x80])
		default:
			s.WriteRune(rune(c))
		}
	}
	return s.String()
}

var windows1252 = [32]rune{'€', ' ', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', ' ', 'Ž', ' ',
	' ', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', ' ', 'ž', 'Ÿ'}

func fromUTF16(b []byte, high int) string {
	units := make([]uint16, 0, len(b)/2)
	for i := 0; i+1 < len(b); i += 2 {
		units = append(units, uint16(b[i+high])<<8|uint16(b[i+1-high]))
	}
	return string(utf16.Decode(units))
}

// builder gathers sections under a path of headings.
type builder struct {
	sections []chat.Excerpt
	path     [6]string
	text     strings.Builder
	size     int
	over     bool
}

// heading begins a section: level 1 is the highest.
func (b *builder) heading(level int, title string) {
	b.flush()
	title = strings.ToValidUTF8(oneLine(title), "")
	if len(title) > titleMax {
		title = strings.ToValidUTF8(title[:titleMax], "")
	}
	level = min(max(level, 1), len(b.path))
	b.path[level-1] = title
	clear(b.path[level:])
}

func (b *builder) write(text string) {
	if b.over = b.over || b.size+len(text) > chat.SourceTextMax; b.over {
		return
	}
	b.size += len(text)
	b.text.WriteString(text)
}

func (b *builder) flush() {
	text := tidy(b.text.String())
	b.text.Reset()
	if text == "" {
		return
	}
	if len(b.sections) >= sectionsMax {
		b.over = true
		return
	}
	var title []string
	for _, t := range b.path {
		if t != "" {
			title = append(title, t)
		}
	}
	b.sections = append(b.sections, chat.Excerpt{Title: strings.Join(title, " > "), Text: text})
}

func (b *builder) done() ([]chat.Excerpt, error) {
	b.flush()
	switch {
	case b.over:
		return nil, refused("text_too_long")
	case len(b.sections) == 0:
		return nil, refused("no_text")
	}
	return b.sections, nil
}

// tidy drops control characters and what is blank more than once.
func tidy(text string) string {
	var out strings.Builder
	blank := 0
	for line := range strings.SplitSeq(strings.ToValidUTF8(text, " "), "\n") {
		line = oneLine(line)
		if line == "" {
			blank++
			continue
		}
		if out.Len() > 0 {
			out.WriteByte('\n')
			if blank > 0 {
				out.WriteByte('\n')
			}
		}
		blank = 0
		out.WriteString(line)
	}
	return out.String()
}

func oneLine(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r <= 0xa0 || r == 0x200b || r == 0xfeff || r == 0xad || r >= 0x2028 && r <= 0x202f
	}), " ")
}

func refused(reason string) error { return chat.E("extract", chat.KindInvalid, reason, nil) }
