# One place for what people type. Everything works from a clean clone; `make help` lists it.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
PORT ?= 3000
MLFLOW_PORT ?= 5000
PREFECT_PORT ?= 4200
TESTS ?= tests
JOBS ?= 2

export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export DVC_SITE_CACHE_DIR := $(CURDIR)/.moss/dvc
export BENTOML_DO_NOT_TRACK := True
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# small models: a second thread only waits for the first
test test-slow fuzz long-%: export OMP_NUM_THREADS := 1
# `make test-slow` runs the short forms
long-%: export MOSS_SOAK_MINUTES ?= 60
long-%: export MOSS_OVERLOAD_MINUTES ?= 5

TRAIN_ARGS := $(if $(PRESET),--preset $(PRESET)) $(if $(FROM),--from-stage $(FROM)) \
	$(if $(FORCE),--force) $(if $(NO_PROMOTE),--no-promote)

.PHONY: help setup train test test-slow fuzz serve talk ui deploy bench lint docs clean

help:  ## list the commands
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | column -t -s "$$(printf '\t')"

setup:  ## install everything into .venv; does nothing if nothing changed
	@infra/setup.sh

train: setup  ## train, judge and promote a model [PRESET=tiny FROM=stage FORCE=1 NO_PROMOTE=1]
	@$(BIN)/python -m flows.launch $(TRAIN_ARGS)

test: setup  ## the default tests, with coverage, in JOBS (2) processes [TESTS=tests/flows]
	@$(BIN)/pytest -m "not slow" --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder \
		--cov=moss_speech --cov=flows --cov=services --cov-report=term:skip-covered $(TESTS)

test-slow: setup  ## the tests that take minutes each
	@$(BIN)/pytest -m slow $(TESTS)

long-%: setup  ## a long test of the service in full: long-soak (an hour) overload swap kill clients
	@$(BIN)/pytest -m slow -s tests/services/long/test_$*.py

fuzz: setup  ## more than 5,000 calls made from the service's own description
	@$(BIN)/pytest -m slow -s tests/services/test_schema.py

serve: setup  ## serve the champion on PORT (3000): web page, chat completions, health
	@$(BIN)/moss-speech serve --port $(PORT)

talk: setup  ## serve the champion and open its page
	@$(BIN)/moss-speech serve --port $(PORT) --open

ui: setup  ## open the MLflow and Prefect pages until Ctrl-C
	@$(BIN)/python -m flows.ui --mlflow-port $(MLFLOW_PORT) --prefect-port $(PREFECT_PORT)

deploy: setup  ## deploy the flows and their schedules on a running Prefect server
	@$(BIN)/python -m flows.deploy

bench: setup  ## every benchmark, into benchmarks/*.json; bench-NAME runs one: again codec data lm serve train
	@for file in benchmarks/[a-z]*.py; do $(BIN)/python $$file || exit 1; done

bench-%: setup  ## one benchmark of benchmarks/
	@$(BIN)/python benchmarks/$*.py

lint: setup  ## ruff, mypy, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy flows services
	$(BIN)/lint-imports --no-cache

docs: setup  ## build the documentation into site/
	@$(BIN)/mkdocs build --strict --quiet && echo "site/index.html"

clean:  ## remove checkpoints and tool caches; ALL=1 also data, models, reports, DVC's cache
	@infra/clean.sh $(if $(ALL),all)
