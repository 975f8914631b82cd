#!/usr/bin/env bash
# build-kubernetes.sh FOLDER VERSION: builds kube-apiserver from the Go module proxy into FOLDER, and unpacks Debian's etcd beside it.
# Nothing but FOLDER and Go's own caches is written.
set -euo pipefail
folder=$(realpath -m "$1") version=$2
staging=v0.${version#v1.} minor=$(cut -d. -f2 <<<"$version")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder"
cd "$work"
if [ ! -x "$folder/kube-apiserver" ]; then
  go mod download "k8s.io/kubernetes@$version"
  module=$(go env GOMODCACHE)/cache/download/k8s.io/kubernetes/@v/$version
  # Their own go.mod, with the folders of their repository replaced by what they published of them.
  sed -E -e 's#^module .*#module keyfleet.test/kubernetes#' \
    -e "s#^(\s*k8s.io/\S+) v0\.0\.0( .*)?\$#\1 $staging\2#" \
    -e "s#^(\s*k8s.io/\S+) => \./staging/src/(k8s.io/\S+)\$#\1 => \2 $staging#" "$module.mod" >go.mod
  unzip -p "$module.zip" "k8s.io/kubernetes@$version/go.sum" >go.sum
  go mod edit -require="k8s.io/kubernetes@$version"
  about=k8s.io/component-base/version
  GOFLAGS=-mod=mod CGO_ENABLED=0 go build -p 2 -trimpath -o "$folder/kube-apiserver" \
    -ldflags="-s -w -X $about.gitVersion=$version -X $about.gitMajor=1 -X $about.gitMinor=$minor" k8s.io/kubernetes/cmd/kube-apiserver
fi
if [ ! -x "$folder/etcd" ]; then
  apt-get -o APT::Sandbox::User=root download -q etcd-server
  dpkg-deb -x etcd-server_*.deb etcd
  cp etcd/usr/bin/etcd "$folder/"
fi
