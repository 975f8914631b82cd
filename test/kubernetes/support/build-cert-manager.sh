#!/bin/bash
# build-cert-manager.sh PROGRAM VERSION: cert-manager.go beside this, with cert-manager's packages from the Go module proxy. Minutes
# the first time. Writes PROGRAM and the caches of Go.
set -euo pipefail
program=$1 version=$2 module=github.com/cert-manager/cert-manager source=$(realpath "$(dirname "$0")")/cert-manager.go
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$program")"
cd "$work"
go mod download "$module@$version"
folder=$(go env GOMODCACHE)/$module@$version
sed 's#^module .*#module keyfleet.test/cert-manager#' "$folder/go.mod" >go.mod
cp "$folder/go.sum" "$source" .
go mod edit -require="$module@$version"
GOFLAGS=-mod=mod CGO_ENABLED=0 nice go build -p 2 -trimpath -ldflags='-s -w' -o "$program.new" .
mv "$program.new" "$program"
