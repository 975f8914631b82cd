#!/usr/bin/env bash
# Fetches the test vectors of others into DIR and compares every file with test/vectors/foreign.sha256.
# The commits are those that the suites were written against. A clone of the history, without its files: git
# takes a short id from a clone, and from no fetch.
set -euo pipefail
target=$1
sums=$(cd "$(dirname "$0")/.." && pwd)/test/vectors/foreign.sha256
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fetch() {
  git clone --quiet --filter=blob:none --no-checkout "https://github.com/$1" "$work/$2"
  git -C "$work/$2" checkout --quiet "$3" -- "$4"
}

fetch C2SP/wycheproof wycheproof dac1dd4 testvectors_v1
fetch awslabs/aws-c-auth aws-c-auth 495329c tests/aws-signing-test-suite/v4
mkdir -p "$target"
cp -r "$work/wycheproof/testvectors_v1" "$target/wycheproof"
cp -r "$work/aws-c-auth/tests/aws-signing-test-suite/v4" "$target/aws-sigv4"
cd "$target"
sha256sum --check --quiet "$sums"
