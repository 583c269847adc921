#!/usr/bin/env bash
# Runs @upstash/redis against the REST server of our tests. Needs node, npm, a
# registry and redis-server.
set -euo pipefail
cd "$(dirname "$0")"
npm install --no-package-lock --no-audit --no-fund --silent
cd ..
TIERCACHE_REQUIRE_REDIS=1 go test -tags npm -count=1 -timeout 2m -run TestTheVendorsClientIsServed -v .
