package extract

import (
	"regexp"
	"strings"
)

var (
	markdownHeading = regexp.MustCompile(`^ {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$`)
	markdownImage   = regexp.MustCompile(`!\[([^\]]*)\]\([^)]*\)`)
	markdownLink    = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
	markdownStrong  = regexp.MustCompile(`\*\*|__|~~`)
	markdownRule    = regexp.MustCompile(`^ {0,3}([-*_=][ \t]*){3,}$`)
)

// markdownText keeps what is read and drops the signs; code stays as it is.
func markdownText(b *builder, text string) {
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if trimmed := strings.TrimSpace(line); strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~") {
			fenced = !fenced
			continue
		}
		if fenced {
			b.write(line + "\n")
			continue
		}
		if m := markdownHeading.FindStringSubmatch(line); m != nil {
			b.heading(len(m[1]), markdownInline(m[2]))
			continue
		}
		if markdownRule.MatchString(line) {
			b.write("\n")
			continue
		}
		b.write(markdownInline(line) + "\n")
	}
}

func markdownInline(s string) string {
	s = markdownImage.ReplaceAllString(s, "$1")
	s = markdownLink.ReplaceAllString(s, "$1")
	s = markdownStrong.ReplaceAllString(s, "")
	return strings.ReplaceAll(s, "`", "")
}
