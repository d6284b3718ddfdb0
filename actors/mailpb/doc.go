// Package mailpb is the mail that actors of different nodes send one another, as
// generated protobuf code. It is the business of package actors alone.
package mailpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative mail.proto
