package extract

import (
	"bytes"
	"compress/zlib"
	"io"
	"strings"
	"time"

	"github.com/ledongthuc/pdf"
)

// Limits of a PDF.
const (
	pagesMax = 2_000
	// pdfTime bounds the work on one file. A file that takes longer is given up; the
	// library cannot be stopped, so its goroutine ends when it ends, and pdfSlots
	// bounds how many there are.
	pdfTime  = 60 * time.Second
	pdfSlots = 2
	// inflatedMax bounds what the streams of a file unpack to, together.
	inflatedMax = 256 << 20
	// nestedMax bounds streams within streams.
	nestedMax = 3
	// bracketsMax bounds arrays within arrays: the library calls itself for each, and
	// a stack that overflows ends the process. Bytes of pictures stay far below.
	bracketsMax = 20_000
)

var pdfs = make(chan struct{}, pdfSlots)

// pdfText gives each page's text; pages are no sections, as sentences run on.
func pdfText(b *builder, body []byte) error {
	deep := &brackets{}
	_, _ = deep.Write(body)
	if inflated(body, inflatedMax, deep) < 0 {
		return refused("file_too_large")
	}
	if deep.over {
		return refused("file_unreadable")
	}
	deadline := time.Now().Add(pdfTime)
	late := time.NewTimer(pdfTime)
	defer late.Stop()
	select {
	case pdfs <- struct{}{}:
	case <-late.C:
		return refused("file_too_slow")
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-pdfs }()
		var r result
		r.text, r.err = pdfPages(body, deadline)
		done <- r
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return r.err
		}
		b.write(r.text)
		return nil
	case <-late.C:
		return refused("file_too_slow")
	}
}

// pdfPages reads page after page. The library panics on files that are broken.
func pdfPages(body []byte, deadline time.Time) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			text, err = "", refused("file_unreadable")
		}
	}()
	doc, err := pdf.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return "", refused("file_unreadable")
	}
	pages := doc.NumPage()
	if pages > pagesMax {
		return "", refused("text_too_long")
	}
	var out strings.Builder
	fonts := map[string]*pdf.Font{}
	for i := 1; i <= pages; i++ {
		if time.Now().After(deadline) {
			return "", refused("file_too_slow")
		}
		page := doc.Page(i)
		if page.V.IsNull() {
			continue
		}
		for _, name := range page.Fonts() {
			if _, known := fonts[name]; !known {
				f := page.Font(name)
				fonts[name] = &f
			}
		}
		s, err := page.GetPlainText(fonts)
		if err != nil {
			continue // one page that cannot be read is not the whole
		}
		if out.Len()+len(s) > inflatedMax/8 {
			return "", refused("text_too_long")
		}
		out.WriteString(s)
		out.WriteString("\n\n")
		clear(fonts) // names are of a page
	}
	return out.String(), nil
}

// brackets watches how deep what is open nests.
type brackets struct {
	depth int
	over  bool
}

// Write implements io.Writer.
func (b *brackets) Write(p []byte) (int, error) {
	for _, c := range p {
		switch c {
		case '[', '<':
			b.depth++
			b.over = b.over || b.depth > bracketsMax
		case ']', '>':
			b.depth = max(b.depth-1, 0)
		}
	}
	return len(p), nil
}

// inflated unpacks every stream of a file and throws the bytes away, to find a file
// that unpacks to more than it may before the library keeps them. It returns what
// is left of the limit, negative when it is passed.
func inflated(body []byte, left int64, deep *brackets) int64 {
	for at := 0; at < len(body) && left >= 0; {
		i := bytes.Index(body[at:], []byte("stream"))
		if i < 0 {
			break
		}
		at += i + len("stream")
		data := bytes.TrimLeft(body[at:min(at+2, len(body))], "\r\n")
		left = inflate(body[min(at+2-len(data), len(body)):], left, 0, deep)
	}
	return left
}

func inflate(data []byte, left int64, depth int, deep *brackets) int64 {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return left // not packed, or packed otherwise
	}
	first := make([]byte, 512)
	n, _ := io.ReadFull(z, first)
	first = first[:n]
	left -= int64(n)
	if _, err := zlib.NewReader(bytes.NewReader(first)); err == nil && depth < nestedMax {
		rest, _ := io.ReadAll(io.LimitReader(z, InputMax)) // a cut stream is read as far as it goes
		return inflate(append(first, rest...), left-int64(len(rest)), depth+1, deep)
	}
	deep.depth = 0
	_, _ = deep.Write(first)
	rest, _ := io.Copy(deep, io.LimitReader(z, max(left, 0)+1))
	return left - rest
}
