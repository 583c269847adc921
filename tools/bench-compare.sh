#!/usr/bin/env bash
# Compares the benchmarks of what is here with those of another commit, in turn,
# so that both have the same machine: tools/bench-compare.sh REF [PATTERN] [COUNT]
set -eu
cd "$(dirname "$0")/.."
ref=${1:?usage: tools/bench-compare.sh REF [PATTERN] [COUNT]} pattern=${2:-MemoryHit|RedisHit} count=${3:-10}
benchstat() { go tool -modfile=tools/go.mod benchstat "$@"; }
dir=$(mktemp -d)
trap 'git worktree remove --force "$dir/tree" 2>/dev/null; rm -rf "$dir"' EXIT
git worktree add --quiet --detach "$dir/tree" "$ref"
go test -c -o "$dir/new.test" .
(cd "$dir/tree" && go test -c -o "$dir/old.test" .)
for ((i = 1; i <= count; i++)); do
  echo "$i of $count" >&2
  for which in old new; do # a benchmark reads nothing of the tree it was built from
    "$dir/$which.test" -test.run '^$' -test.bench "$pattern" -test.benchmem >>"$dir/$which.txt"
  done
done
benchstat "$ref=$dir/old.txt" "here=$dir/new.txt"
