package extract

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
)

// Limits of an archive.
const (
	entriesMax = 5_000
	// unpackedMax bounds what the document's XML unpacks to.
	unpackedMax = 64 << 20
	depthMax    = 256
)

// docxText reads word/document.xml: paragraphs, headings, tables. What is said in
// comments and headers is left out.
func docxText(b *builder, body []byte) error {
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil || len(z.File) > entriesMax {
		return refused("file_unreadable")
	}
	for _, f := range z.File {
		if f.Name != "word/document.xml" {
			continue
		}
		if f.UncompressedSize64 > unpackedMax {
			return refused("file_too_large")
		}
		r, err := f.Open()
		if err != nil {
			return refused("file_unreadable")
		}
		defer func() { _ = r.Close() }()
		// The size in the header is what the file claims.
		return wordText(b, &bounded{r: r, left: unpackedMax})
	}
	return refused("type_not_supported")
}

var errLarge = errors.New("larger than it may be")

// bounded fails, instead of ending, after a number of bytes.
type bounded struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errLarge
	}
	return n, err
}

func wordText(b *builder, r io.Reader) error {
	d := xml.NewDecoder(r)
	var paragraph strings.Builder
	var level, depth, cells int
	var inText bool
	for {
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLarge):
			return refused("file_too_large")
		case err != nil:
			return refused("file_unreadable")
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth > depthMax {
				return refused("file_unreadable")
			}
			switch t.Name.Local {
			case "t":
				inText = true
			case "tab":
				paragraph.WriteByte(' ')
			case "br", "cr":
				paragraph.WriteByte('\n')
			case "pStyle":
				level = headingLevel(t.Attr)
			case "tc":
				cells++
			}
		case xml.EndElement:
			depth--
			switch t.Name.Local {
			case "t":
				inText = false
			case "p":
				text := paragraph.String()
				paragraph.Reset()
				switch {
				case level > 0 && cells == 0 && strings.TrimSpace(text) != "":
					b.heading(level, text)
				case cells > 0:
					b.write(text + " ")
				default:
					b.write(text + "\n\n")
				}
				level = 0
			case "tc":
				cells--
				b.write("| ")
			case "tr":
				b.write("\n")
			}
		case xml.CharData:
			if inText {
				paragraph.Write(t)
			}
		}
		if b.over {
			return nil
		}
		if paragraph.Len() > unpackedMax/8 {
			return refused("text_too_long")
		}
	}
}

// headingLevel reads a style such as Heading2, berschrift1, Ttulo1, Title.
func headingLevel(attrs []xml.Attr) int {
	for _, a := range attrs {
		if a.Name.Local != "val" || a.Value == "" {
			continue
		}
		v := strings.ToLower(a.Value)
		if v == "title" || v == "titel" {
			return 1
		}
		last := v[len(v)-1]
		for _, name := range []string{"heading", "berschrift", "tulo", "ttulo", "titre"} {
			if strings.Contains(v, name) && last >= '1' && last <= '6' {
				return int(last - '0')
			}
		}
	}
	return 0
}
