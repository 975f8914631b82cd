#!/bin/bash
# build-kubernetes.sh DIRECTORY VERSION: kube-apiserver, kube-controller-manager and kubectl from the Go module proxy, and Debian's
# etcd. Minutes the first time. Writes DIRECTORY and the caches of Go.
set -euo pipefail
out=$1 version=$2
staging=v0.${version#v1.} minor=$(cut -d. -f2 <<<"$version") work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
cd "$work"
go mod download "k8s.io/kubernetes@$version"
module=$(go env GOMODCACHE)/cache/download/k8s.io/kubernetes/@v/$version
# The project's own go.mod, with the folders of its staging area replaced by what was published of them.
sed -E -e 's#^module .*#module keyfleet.test/kubernetes#' \
  -e "s#^(\s*k8s.io/\S+) v0\.0\.0( .*)?\$#\1 $staging\2#" \
  -e "s#^(\s*k8s.io/\S+) => \./staging/src/(k8s.io/\S+)\$#\1 => \2 $staging#" "$module.mod" >go.mod
unzip -p "$module.zip" "k8s.io/kubernetes@$version/go.sum" >go.sum
go mod edit -require="k8s.io/kubernetes@$version"
export GOFLAGS=-mod=mod CGO_ENABLED=0
package=k8s.io/component-base/version
flags="-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor"
for command in kube-apiserver kube-controller-manager kubectl; do
  [ -x "$out/$command" ] && continue
  nice go build -p 2 -trimpath -ldflags="$flags" -o "$out/.$command" "k8s.io/kubernetes/cmd/$command"
  mv "$out/.$command" "$out/$command"
done
if ! [ -x "$out/etcd" ]; then
  apt-get -o APT::Sandbox::User=root download -q etcd-server
  dpkg-deb -x etcd-server_*.deb deb
  cp deb/usr/bin/etcd "$out/"
fi
