# Two commands do all set-up: `make demo` runs the product, `make test` passes the
# tests. Both install what they need and say what.

GO ?= go
NODE_DIR := testdata/openid-client
SAMPLES_DIR := examples/apps/typescript
AXE_DIR := testdata/axe
ORACLES_DIR := testdata/scim-oracles
FUZZINPUTS ?= 2000

.PHONY: demo build test unit race lint fuzz lanes browser conformance openid-client samples scim-oracles interop planted crash crash-whole bench bench-nodes setup setup-browser setup-axe setup-node setup-oracles setup-samples setup-nginx setup-postgres postgres setup-redis redis torture torture-short clean

demo:
	$(GO) run ./cmd/drawbridge demo

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/drawbridge ./cmd/drawbridge

# Everything: what needs Go alone, then what needs a browser, Node, Python, PostgreSQL and Redis,
# two parts at a time, because each waits for servers and programs most of its time. Lint and race
# run every test of the unit lane. Each part says when it begins.
test: lint race fuzz setup
	@$(MAKE) -j2 -o setup lanes planted crash
	@echo "== everything passed at $$(date +%T)"

unit:
	@echo "== unit at $$(date +%T)"
	$(GO) test ./...

# SQLite itself, which is C translated to Go, is not watched: it costs most, and its callers
# are. No other package may be left out: one that instantiates a generic type of the standard
# library brings its own copy of that, and by an unwatched sync.Map false races are found.
# The gates run in lint; no process of a test sleeps a second at its end, as is usual here.
race:
	@echo "== race at $$(date +%T)"
	GORACE=atexit_sleep_ms=0 $(GO) test -race -gcflags='modernc.org/sqlite/lib=-race=false' -timeout 20m \
		$$($(GO) list ./... | grep -v -e /internal/archtest -e /internal/doctest)

lint:
	@echo "== lint at $$(date +%T)"
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-clean:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags lanes ./...
	$(GO) vet -tags interop ./internal/interop
	$(GO) vet -tags planted ./internal/planted
	$(GO) vet -tags failpoints ./internal/failpoint ./internal/crash
	$(GO) test ./internal/archtest ./internal/doctest

# Two thousand inputs for every fuzz target (FUZZINPUTS=100000 tries more); internal/archtest fails if a parsing package has none.
fuzz:
	@echo "== fuzz at $$(date +%T)"
	@GO="$(GO)" FUZZINPUTS="$(FUZZINPUTS)" sh .ci/fuzz

# Most of it waits for servers, so one package goes beside others.
lanes: setup
	@echo "== lanes at $$(date +%T)"
	$(GO) test -tags lanes -count=1 -timeout 15m ./cmd/drawbridge ./scim/oracles ./internal/store/postgres ./internal/hot/redis ./internal/torture

browser: setup-browser setup-axe
	$(GO) test -tags lanes -count=1 -run 'Browser' ./cmd/drawbridge

# Nodes of the built program on a PostgreSQL and a Redis that the tests start themselves, broken
# in the most telling ways; make torture breaks them in all ways, and for longer. TORTURE_SEED
# repeats a run.
torture-short: setup-postgres setup-redis
	$(GO) test -tags lanes -count=1 -timeout 10m ./internal/torture

torture: setup-postgres setup-redis
	PROTOCOL_STEPS=50000000 $(GO) test -count=1 -timeout 20m ./internal/protocol
	TORTURE_LONG=1 $(GO) test -tags lanes -count=1 -timeout 40m -v ./internal/torture
	$(MAKE) crash-whole

# The modules of the OpenID Foundation's suite by our own tests; make lanes runs them, too.
conformance:
	$(GO) test -tags lanes -count=1 -run 'Conformance|LogoutReceivers|BetweenEndAndDelivery' ./cmd/drawbridge

openid-client: setup-node
	$(GO) test -tags lanes -count=1 -run 'OpenIDClient' ./cmd/drawbridge

samples: setup-samples
	$(GO) test -tags lanes -count=1 -run 'SampleApplications' ./cmd/drawbridge

scim-oracles: setup-oracles
	$(GO) test -tags lanes -count=1 ./scim/oracles

# The store on a PostgreSQL that the tests start themselves.
postgres: setup-postgres
	$(GO) test -tags lanes -count=1 ./internal/store/postgres

# The hot engine of several nodes, against servers that the lane starts: one, a Cluster, Sentinels.
redis: setup-redis
	$(GO) test -tags lanes -count=1 ./internal/hot/redis

# Clients, identity providers and a SCIM tester that we did not write, against the built
# program. RUN=Node runs the tests whose names have that in them, and no others.
interop:
	@GO="$(GO)" RUN="$(RUN)" sh .ci/interop

# Bugs that stand in the code on purpose are brought to life one by one, and each must be
# caught by the test that is named for it. BUG=refresh runs those with such a name alone.
planted: setup-redis
	@echo "== planted at $$(date +%T)"
	BUG="$(BUG)" $(GO) test -tags planted -count=1 -timeout 20m -v -run TestEveryPlantedBugIsCaught ./internal/planted

# The program dies or fails at each point between two steps, and is asked what is left.
crash: setup-postgres setup-redis
	@echo "== crash at $$(date +%T)"
	$(GO) test -tags failpoints -count=1 -timeout 20m ./internal/failpoint ./internal/crash

# The same at every point in every way on each kind of engines, which takes some two hours.
crash-whole: setup-postgres setup-redis
	CRASH_WHOLE=1 $(GO) test -tags failpoints -count=1 -timeout 4h -v ./internal/crash

bench:
	sh .ci/bench

# Nodes on PostgreSQL and Redis of its own; BENCH_SMALL=1 is a small run that shows it works.
bench-nodes: setup-postgres setup-redis
	@sh .ci/bench-nodes

setup: setup-browser setup-axe setup-node setup-oracles setup-samples setup-nginx setup-postgres setup-redis

setup-browser:
	@sh .ci/setup chromium chromium

setup-axe:
	@sh .ci/npm $(AXE_DIR)

setup-node:
	@sh .ci/npm $(NODE_DIR)

setup-nginx:
	@sh .ci/setup nginx nginx-light

# Debian starts a server of its own when it is installed, which no test uses.
setup-postgres:
	@sh .ci/setup "$$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1)" postgresql

setup-redis:
	@sh .ci/setup redis-server redis-server

setup-samples:
	@sh .ci/npm $(SAMPLES_DIR)
	@cd $(SAMPLES_DIR) && npm run --silent build

setup-oracles:
	@sh .ci/npm $(ORACLES_DIR)

clean:
	rm -rf bin data demo-data $(NODE_DIR)/node_modules $(AXE_DIR)/node_modules $(ORACLES_DIR)/node_modules testdata/oidc-provider/node_modules testdata/oidc-client-ts/node_modules $(SAMPLES_DIR)/node_modules $(SAMPLES_DIR)/dist testdata/scim-sanity/venv testdata/keycloak/dist
