package extract

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// unread are elements whose content nobody reads on a page, or that stand on every
// page of a site.
var unread = map[atom.Atom]bool{
	atom.Script: true, atom.Style: true, atom.Noscript: true, atom.Template: true, atom.Svg: true, atom.Nav: true, atom.Footer: true,
	atom.Iframe: true, atom.Object: true, atom.Select: true, atom.Textarea: true, atom.Button: true, atom.Canvas: true, atom.Math: true,
}

// blocks end a line.
var blocks = map[atom.Atom]bool{
	atom.P: true, atom.Div: true, atom.Br: true, atom.Li: true, atom.Ul: true, atom.Ol: true, atom.Tr: true, atom.Table: true,
	atom.Section: true, atom.Article: true, atom.Header: true, atom.Main: true, atom.Aside: true, atom.Blockquote: true, atom.Pre: true,
	atom.Dl: true, atom.Dt: true, atom.Dd: true, atom.Form: true, atom.Hr: true, atom.Figure: true, atom.Figcaption: true, atom.Address: true,
	atom.Details: true, atom.Summary: true, atom.Option: true, atom.Fieldset: true,
}

var headings = map[atom.Atom]int{atom.H1: 1, atom.H2: 2, atom.H3: 3, atom.H4: 4, atom.H5: 5, atom.H6: 6}

// tokenMax bounds one token, an attribute with a picture in it for example.
const tokenMax = 4 << 20

// htmlText reads a page token by token: there is no tree, so that nesting costs
// nothing.
func htmlText(b *builder, text string) error {
	z := html.NewTokenizer(strings.NewReader(text))
	z.SetMaxBuf(tokenMax)
	var (
		skip    atom.Atom // the unread element that is open
		depth   int       // of elements of its name
		title   strings.Builder
		inTitle bool
		level   int // of the heading that is open
		heading strings.Builder
	)
	endHeading := func() {
		if level > 0 {
			b.heading(level, heading.String())
			level = 0
			heading.Reset()
		}
	}
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break // the end, or a token over the limit: what came before is read
		}
		switch kind {
		case html.TextToken:
			switch t := string(z.Text()); {
			case skip != 0:
			case inTitle:
				title.WriteString(html.UnescapeString(t))
			case level > 0:
				heading.WriteString(html.UnescapeString(t))
			default:
				// A line break in a page is a space.
				b.write(strings.ReplaceAll(html.UnescapeString(t), "\n", " "))
			}
		case html.StartTagToken, html.SelfClosingTagToken, html.EndTagToken:
			name, _ := z.TagName()
			a, end := atom.Lookup(name), kind == html.EndTagToken
			switch {
			case skip != 0:
				if a == skip && kind != html.SelfClosingTagToken {
					if end {
						depth--
					} else {
						depth++
					}
					if depth == 0 {
						skip = 0
					}
				}
			case unread[a] && kind == html.StartTagToken:
				skip, depth = a, 1
			case a == atom.Title:
				if inTitle = !end; end && b.path[0] == "" {
					b.heading(1, title.String())
				}
			case headings[a] > 0:
				endHeading()
				if !end {
					level = headings[a]
				}
			case a == atom.Td || a == atom.Th:
				if end {
					b.write(" | ")
				}
			case blocks[a]:
				if level > 0 {
					heading.WriteByte(' ')
					continue
				}
				b.write("\n")
				if a == atom.P && end {
					b.write("\n")
				}
			}
		}
	}
	endHeading()
	return nil
}

// linksMax bounds the links of one page.
const linksMax = 2000

// Links are the links of an HTML page as they stand in it.
func Links(body []byte) (links []string) {
	z := html.NewTokenizer(strings.NewReader(plain(body)))
	z.SetMaxBuf(tokenMax)
	for len(links) < linksMax {
		switch z.Next() {
		case html.ErrorToken:
			return links
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			if atom.Lookup(name) != atom.A {
				continue
			}
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				if string(key) == "href" && len(value) > 0 {
					links = append(links, string(value))
				}
			}
		}
	}
	return links
}
