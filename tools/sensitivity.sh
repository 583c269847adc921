#!/usr/bin/env bash
# Takes each guard of the protocol out (build tag ablate) and runs the test that
# docs/protocol.md names for it: the test must fail. Fails if one passes, or if a
# guard has no test here.
set -u
cd "$(dirname "$0")/.."
binary=$(mktemp)
trap 'rm -f "$binary"' EXIT
go test -c -tags ablate -o "$binary" . || exit 1
failed=0 named=" "

out() { # guard, test
  named="$named$1 "
  if TIERCACHE_ABLATE= timeout 60 "$binary" -test.timeout 50s -test.run "^$2\$" >/dev/null 2>&1; then :; else
    printf '%-14s %s: fails with the guard in\n' "$1" "$2"; failed=1; return
  fi
  if TIERCACHE_ABLATE=$1 timeout 60 "$binary" -test.timeout 50s -test.run "^$2\$" >/dev/null 2>&1; then
    printf '%-14s %s: passes without the guard\n' "$1" "$2"; failed=1
  else
    printf '%-14s %s\n' "$1" "$2"
  fi
}

while read -r guard test; do
  out "$guard" "$test"
done <<'GUARDS'
generation     TestAReadThatBeganBeforeAnInvalidationDoesNotReachMemory
pushes         TestAReadThatBeganBeforeAPushDoesNotReachMemory
first-pass     TestMemoryIsCleanBeforeRedisIsAsked
second-pass    TestAReadBetweenTheLocalPassAndRedisDoesNotStayInMemory
forget         TestACallerAfterAnInvalidationDoesNotJoinAnOlderLoad
joiner-judged  TestAJoinerOfARefusedLoadGoesRound
pattern-seq    TestAReadThatBeganBeforeAnInvalidationDoesNotReachMemory
tag-compare    TestATagVoidsEveryValueThatHasItAndNoOther
tag-moved      TestATagsRecordThatWasReadBeforeAPushIsNotKept
tag-clock      TestALoadThatBeganBeforeItsTagWasInvalidatedIsNotStored
stamp          TestARedisFromAnOldSnapshotServesNothingOfBefore
epoch          TestWhatMemoryHeldBeforeHearingWasLostIsVoidWhenItIsRegained
bound          TestANodeThatHearsNothingForABoundDoesNotServeItsMemory
doubt          TestAnothersSetRightAfterAFillIsNotTakenForItsEcho
rearm-moved    TestALookThatAPushOvertookDoesNotVouchForAFill
rearm-token    TestALookThatFindsAnothersValueDoesNotVouchForAFill
cover          TestTheEndOfItsContextDoesNotUndoAnInvalidation
replay         TestTheEndOfItsContextDoesNotUndoAnInvalidation
marker-kept    TestWhileAMutateRunsLoadsAreReturnedAndNotStored
refresh-fence  TestARefreshDoesNotReplaceWhatAnotherNodeHasSetMeanwhile
outage-void    TestAValueWhoseFillWasNotAcknowledgedIsNotServedWhileRedisIsInUse
GUARDS

for guard in $(sed -n 's/.*Guard = "\([a-z-]*\)".*/\1/p' internal/ablate/guards.go); do
  case "$named" in *" $guard "*) ;; *) echo "$guard: no test"; failed=1 ;; esac
done
exit $failed
