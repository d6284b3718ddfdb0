#!/bin/sh
# Regenerates the committed protobuf code with pinned
# generators. Needs protoc on PATH; everything else is fetched by go.
set -eu
cd "$(dirname "$0")/.."
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN="$bin" go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PATH="$bin:$PATH" go generate ./...
