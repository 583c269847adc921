.PHONY: help redis-server demo serve fleet test test-race test-mini test-examples test-benchmarks test-modules consistency sensitivity e2e outage soak ratio bench-peers bench-compare rest-client million model lint lint-modules bench fuzz

STATICCHECK = go tool -modfile=$(CURDIR)/tools/go.mod staticcheck
FUZZTIME ?= 20s

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

redis-server: ## installed if it is not there, by apt-get
	@command -v redis-server >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null; }

demo: redis-server examples/bin ## the example service with the cache and without, measured; JSON=FILE keeps the figures
	cd examples && bin/loadtest $(if $(JSON),-json $(abspath $(JSON))) $(DEMOFLAGS)

serve: examples/bin ## the example service, its web page and its dashboard on http://127.0.0.1:8080
	cd examples && bin/server -bypass

fleet: redis-server examples/bin ## three instances on one Redis, which is killed for five seconds; nothing fails, nothing stale is read: under 90 s
	cd examples && bin/fleet

.PHONY: examples/bin
examples/bin:
	cd examples && go build -o bin/ ./server ./loadtest ./doctor ./fleet

test: lint test-race test-mini test-examples test-benchmarks test-modules ## everything: unit and integration, under 10 minutes on 2 cores

test-race: ## the library with the race detector, on real servers where redis-server is on PATH
	go test -race -timeout 8m ./...

test-mini: ## the library on miniredis alone
	TIERCACHE_REQUIRE_REDIS=0 go test -count=1 -timeout 5m ./...

test-examples: ## the example service, load test and doctor
	cd examples && go vet ./... && go test -timeout 5m ./...

test-benchmarks: ## make outage, soak and bench-peers, a few seconds of each
	cd benchmarks && go vet ./... && go test -timeout 5m ./...

test-modules: ## the modules that need what the library does not: s2, the compressor; cacheprom and cacheotel, statistics
	cd s2 && go vet ./... && go test -race -timeout 5m ./...
	cd cacheprom && go vet ./... && go test -race -timeout 5m ./...
	cd cacheotel && go vet ./... && go test -race -timeout 5m ./...
	cd cacheprom/check && go vet ./... && go test -timeout 10m ./...

e2e: ## the dashboard in a real browser, installed if it is not there; PICTURES=docs/img takes those of the documentation anew
	command -v chromium >/dev/null || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; }
	cd cachehttp/e2e && go vet ./... && TIERCACHE_REQUIRE_CHROMIUM=1 TIERCACHE_REQUIRE_REDIS=1 TIERCACHE_PICTURES=$(if $(PICTURES),$(abspath $(PICTURES))) go test -count=1 -timeout 8m ./...

outage: redis-server ## calls while Redis is killed, frozen, cut off…, beside two rivals: 12 to 25 minutes, OUTAGEFLAGS=-ours about 4
	cd benchmarks && go run ./outage $(if $(JSON),-json $(abspath $(JSON))) $(OUTAGEFLAGS)

soak: redis-server ## ten minutes at the highest rate, a fault every few seconds: nothing stale, nothing grows
	cd benchmarks && go run ./soak $(if $(JSON),-json $(abspath $(JSON))) $(SOAKFLAGS)

ratio: ## hit ratios and bytes per entry beside ristretto, otter and theine: about 2 minutes
	cd benchmarks && go run ./ratio $(if $(JSON),-json $(abspath $(JSON))) $(RATIOFLAGS)

consistency: redis-server ## every fault on one server, Sentinel and a cluster, every read judged: about 11 minutes; ROW=sentinel/failover for one
	cd cachetest && go test -count=1 -tags consistency -timeout 20m -run 'TestConsistency/$(ROW)'

sensitivity: redis-server ## each guard of the protocol taken out: its test must fail
	tools/sensitivity.sh

rest-client: ## the REST server of our tests, judged by Upstash's own client; needs npm
	internal/restconn/npm/run.sh

million: redis-server ## a pattern among a million keys, and GETs meanwhile
	TIERCACHE_MILLION=1000000 go test -count=1 -run TestAMillionKeys -v ./internal/remote

model: ## the models of the protocol; needs spin and gcc
	docs/model/run.sh

lint: ## gofmt, vet, staticcheck of the library and the example; lint-modules has the others
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	go vet ./...
	$(STATICCHECK) ./...
	cd examples && $(STATICCHECK) ./...

lint-modules: ## staticcheck of the modules beside the library
	for m in benchmarks s2 cacheprom cacheotel cacheprom/check cachehttp/e2e; do (cd $$m && $(STATICCHECK) ./...) || exit 1; done

bench: ## each figure beside its floor, in the same run
	go test -run '^$$' -bench . -benchmem -count 5 .
	go test -run '^$$' -bench 'Eviction|TrackingCPU' -benchtime 5000x -count 3 ./internal/engine ./internal/coherence

bench-peers: redis-server ## beside its rivals, in one run: ratios, tables and charts in docs/bench, 1 if a required one is missed; GROUP=memory for one
	cd benchmarks && go run ./peers -out ../docs/bench $(if $(GROUP),-group $(GROUP)) $(if $(JSON),-json $(abspath $(JSON))) $(PEERSFLAGS)

bench-compare: ## the benchmarks beside those of another commit, by benchstat: REF=main, BENCH=MemoryHit, COUNT=10
	tools/bench-compare.sh $(or $(REF),$(error REF=… is missing: the commit to compare with)) '$(or $(BENCH),MemoryHit|RedisHit)' $(or $(COUNT),10)

fuzz: ## every fuzz target for FUZZTIME
	@for d in . s2; do ( cd $$d && go list ./... | while read -r p; do \
	  go test -list '^Fuzz' "$$p" | grep '^Fuzz' | while read -r f; do \
	    echo "$$p $$f"; go test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) "$$p" || exit 1; done || exit 1; done ) || exit 1; done
