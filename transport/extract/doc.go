// Package extract makes text of what a business uploads: plain text, Markdown, HTML,
// CSV, DOCX and PDF become sections with titles. Its functions are pure: bytes in,
// sections out, nothing is fetched, opened or kept.
//
// Whoever uploads is not trusted. Every input is bounded: its size (InputMax), the
// text that comes of it (chat.SourceTextMax), what an archive unpacks to, the depth
// of XML, the rows and columns of a table, the pages and the time of a PDF. What is
// over a limit is an error with its word, never a part. Nothing panics: the PDF
// library, which does on broken files, runs behind a recover.
package extract
