// Package recordpb is the stored form of everything the engine remembers, as
// generated protobuf code. It is the business of package persistence alone.
package recordpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative record.proto commit.proto directory.proto quarantine.proto
