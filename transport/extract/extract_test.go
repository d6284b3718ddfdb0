package extract

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/chumiai/chumi/chat"
)

func reason(err error) string {
	var e *chat.Error
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func docx(t testing.TB, document string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, body := range map[string]string{"[Content_Types].xml": "<Types/>", "word/document.xml": document} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// pdfOf is a file of one page with one packed content stream.
func pdfOf(t testing.TB, content []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write(content)
	_ = z.Close()
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream", packed.Len(), packed.String()),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
	}
	var b bytes.Buffer
	b.WriteString("%PDF-1.4\n")
	var at []int
	for i, o := range objects {
		at = append(at, b.Len())
		fmt.Fprintf(&b, "%d 0 obj\n%s\nendobj\n", i+1, o)
	}
	xref := b.Len()
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, o := range at {
		fmt.Fprintf(&b, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, xref)
	return b.Bytes()
}

const wordSample = `<w:document xmlns:w="w"><w:body>` +
	`<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>Opening</w:t></w:r></w:p>` +
	`<w:p><w:r><w:t>Open on </w:t></w:r><w:r><w:t>Sunday.</w:t></w:r></w:p>` +
	`<w:tbl><w:tr><w:tc><w:p><w:r><w:t>Bike</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>12 EUR</w:t></w:r></w:p></w:tc></w:tr></w:tbl>` +
	`</w:body></w:document>`

func TestSections_ReadsEveryType(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		body []byte
		want []chat.Excerpt
	}{
		"text":     {"a.txt", []byte("One  line\r\n\r\n\r\nAnother\x00 line"), []chat.Excerpt{{Text: "One line\n\nAnother line"}}},
		"utf-16":   {"a.txt", []byte("\xff\xfeG\x00r\x00\xfc\x00n\x00"), []chat.Excerpt{{Text: "Grün"}}},
		"1252":     {"a.txt", []byte("5 \x80 f\xfcr Caf\xe9"), []chat.Excerpt{{Text: "5 € für Café"}}},
		"markdown": {"a.md", []byte("# Shop\nWe **sell** [bikes](https://x).\n## Hours\n- Mon `9-5`\n"), []chat.Excerpt{{Title: "Shop", Text: "We sell bikes."}, {Title: "Shop > Hours", Text: "- Mon 9-5"}}},
		"html": {"a.html", []byte("<!doctype html><html><head><title>Shop</title><style>p{}</style></head><body><nav>Home</nav><script>alert('x')</script><p>We &amp;\nyou</p><h2>Hours <b>now</b></h2><ul><li>Mon<li>Tue</ul><table><tr><td>a</td><td>b</td></tr></table><footer>(c)</footer>"),
			[]chat.Excerpt{{Title: "Shop", Text: "We & you"}, {Title: "Shop > Hours now", Text: "Mon\nTue\n\na | b |"}}},
		"csv":  {"prices.csv", []byte("Name;Price\nBike;12\n\"Helm; rot\";3\n"), []chat.Excerpt{{Title: "prices", Text: "Name: Bike; Price: 12\n\nName: Helm; rot; Price: 3"}}},
		"docx": {"a.docx", docx(t, wordSample), []chat.Excerpt{{Title: "Opening", Text: "Open on Sunday.\n\nBike | 12 EUR |"}}},
		"pdf":  {"a.pdf", pdfOf(t, []byte("BT /F1 12 Tf 72 700 Td (Open on Sunday) Tj ET")), []chat.Excerpt{{Text: "Open on Sunday"}}},
	} {
		got, err := Sections("", c.file, c.body)
		if err != nil || fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q (%v), want %q", name, got, err, c.want)
		}
	}
}

func TestType_BelievesBytesFirst(t *testing.T) {
	pdf := []byte("%PDF-1.7\n")
	for _, c := range []struct {
		declared, name string
		body           []byte
		want           string
	}{
		{"text/plain", "a.txt", pdf, TypePDF},
		{"text/html; charset=utf-8", "page", []byte("hello"), TypeHTML},
		{"application/octet-stream", "a.md", []byte("# x"), TypeMarkdown},
		{"", "", []byte("<!DOCTYPE html><p>x"), TypeHTML},
		{"application/pdf", "a.pdf", []byte("no pdf"), ""},
		{"image/png", "a.png", []byte("\x89PNG\r\n\x1a\n"), ""},
	} {
		if got, _ := Type(c.declared, c.name, c.body); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.declared, c.name, got, c.want)
		}
	}
}

func TestSections_RefusesWhatIsOverALimit(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		body []byte
		want string
	}{
		"large file":    {"a.txt", make([]byte, InputMax+1), "file_too_large"},
		"long text":     {"a.txt", bytes.Repeat([]byte("word "), chat.SourceTextMax/5+1), "text_too_long"},
		"nothing":       {"a.txt", []byte(" \n "), "no_text"},
		"picture":       {"a.png", []byte("\x89PNG\r\n\x1a\n"), "type_not_supported"},
		"zip":           {"a.zip", docx(t, "")[:20], "file_unreadable"},
		"zip bomb":      {"a.docx", docx(t, `<w:p xmlns:w="w">`+strings.Repeat(" ", unpackedMax)), "file_too_large"},
		"deep xml":      {"a.docx", docx(t, strings.Repeat("<w:p>", 100_000)), "file_unreadable"},
		"columns":       {"a.csv", []byte(strings.Repeat("a,", 2*columnsMax)), "file_unreadable"},
		"pdf bomb":      {"a.pdf", pdfOf(t, make([]byte, inflatedMax+1)), "file_too_large"},
		"deep pdf":      {"a.pdf", append(pdfOf(t, []byte("BT ET")), bytes.Repeat([]byte("["), 1<<20)...), "file_unreadable"},
		"deep in pdf":   {"a.pdf", pdfOf(t, bytes.Repeat([]byte("["), 1<<20)), "file_unreadable"},
		"cut pdf":       {"a.pdf", pdfOf(t, []byte("BT ET"))[:200], "file_unreadable"},
		"pdf no text":   {"a.pdf", pdfOf(t, []byte("0 0 m")), "no_text"},
		"many sections": {"a.md", []byte(strings.Repeat("# a\nb\n", sectionsMax+1)), "text_too_long"},
	} {
		if _, err := Sections("", c.file, c.body); reason(err) != c.want || chat.KindOf(err) != chat.KindInvalid {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	deep := strings.Repeat("<div>", 1_000_000) + "here"
	if got, err := Sections(TypeHTML, "", []byte(deep)); err != nil || got[0].Text != "here" {
		t.Errorf("deep html: %v", err)
	}
}

func TestLinks_AreThoseOfThePage(t *testing.T) {
	got := Links([]byte(`<a href="/a">x</a><a class=b HREF='b?x=1&amp;y=2'><a name=c><link href="d"><!-- <a href=e> -->`))
	if fmt.Sprint(got) != "[/a b?x=1&y=2]" {
		t.Errorf("%q", got)
	}
}

// Whatever the bytes, extraction ends, and what it gives is text within its limits.
func FuzzSections(f *testing.F) {
	f.Add(0, []byte("# a\nb"))
	f.Add(1, []byte("<title>a</title><h1>b<p>c"))
	f.Add(2, []byte("a;b\n\"c;d"))
	f.Add(3, docx(f, wordSample))
	f.Add(4, pdfOf(f, []byte("BT /F1 12 Tf (Open) Tj ET")))
	names := []string{"a.md", "a.html", "a.csv", "a.docx", "a.pdf", "a.txt", ""}
	f.Fuzz(func(t *testing.T, name int, body []byte) {
		got, err := Sections("", names[uint(name)%uint(len(names))], body) // #nosec G115
		if err != nil {
			if chat.KindOf(err) != chat.KindInvalid {
				t.Errorf("%v", err)
			}
			return
		}
		size := 0
		for _, s := range got {
			size += len(s.Text)
			if s.Text == "" || len(s.Title) > 7*titleMax || strings.ContainsRune(s.Text, 0) {
				t.Errorf("section %q %q", s.Title, s.Text)
			}
		}
		if size > 2*chat.SourceTextMax {
			t.Errorf("%d bytes of text", size)
		}
		Links(body)
	})
}
