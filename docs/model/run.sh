#!/usr/bin/env bash
# Checks the models, or one of them with variants: a line each with its errors and
# states. Fails if a rule has an error, or an unsound reading has none.
set -u
here=$(cd "$(dirname "$0")" && pwd)
failed=0

check() { # wanted errors (0 or some), model, variants
  local wanted=$1 model=$2 dir found; shift 2
  dir=$(mktemp -d)
  cp "$here"/*.pml "$here"/redis.h "$dir"
  found=$(cd "$dir" && spin "$@" -a "$model.pml" >/dev/null 2>&1 &&
    gcc -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=4000 -o pan pan.c && timeout 600 ./pan -m200000 2>&1 |
    grep -oE 'errors: [0-9]+|[0-9]+ states, stored' | tr '\n' ' ')
  rm -rf "$dir"
  printf '%-10s %-16s %s\n' "$model" "$*" "$found"
  case "$wanted:$found" in
    0:*'errors: 0'*) ;;
    some:*'errors: 0'*|*:'') failed=1 ;;
    0:*) failed=1 ;;
  esac
}

if [ $# -gt 0 ]; then check any "$@"; exit $failed; fi

check 0 keys -DNR=2
check 0 hearing -DLOSSES=1
for model in set journal mutate echo refresh also tagmem; do check 0 $model; done
check 0 tags -DUNBORN
echo 'unsound readings, an error each:'
check some set -DSAME_TOKEN
check some journal -DJOURNAL_FIRST
check some mutate -DONE_MARKER
check some tags -DFROM_SAMPLE
check some also -DWAIT_ALL
exit $failed
