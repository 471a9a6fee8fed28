# The commands of this project. Each does its own set-up, says what it does, and can be repeated.
# Everything that is made or fetched lies in TWIN_CACHE.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

export TWIN_CACHE ?= $(HOME)/.cache/llm-twin
export CARGO_TARGET_DIR ?= $(TWIN_CACHE)/target
export TWIN_BIN := $(CARGO_TARGET_DIR)/release/twin

# Settings of the demo, for example: make demo LLM_ENDPOINT=URL
export DEMO_LISTEN ?=
export LLM_MODEL ?=
export LLM_ENDPOINT ?=
export LEARN ?=

.PHONY: help demo demo-stop test test-long lint bench models clean packages target build lint-tools kafka python tokenizers

# Lists the commands: the targets below that have a description.
help:
	@echo "LLM Twin. Everything is made in $(TWIN_CACHE)."
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: models ## build, start a twin that has read this repository, ask it three questions, leave it running (LEARN=1: train it too)
	@scripts/demo

demo-stop: ## stop the twin that the demo left running
	@scripts/demo-stop

test: lint models kafka python tokenizers ## lints and all tests, with real servers; ends with "N passed, N failed"
	@scripts/test

test-long: models kafka python tokenizers ## the fault tests at length: 500 kills over each log, load, half an hour of use, PEFT and TRL
	@scripts/test-long

lint: packages target lint-tools ## check format, scripts, code and dependencies
	@scripts/lint

bench: models kafka ## measure, both sides of each ratio in one run, and print the table
	@scripts/bench

models: build ## fetch ONNX Runtime and the default models, checked, and convert the language model once
	@scripts/models

clean: ## remove builds and the demo's data; downloads stay
	@scripts/clean

# Steps of the above.

packages:
	@scripts/packages

target:
	@scripts/claim-target

# What a demo runs and nothing else. Of the whole workspace, so that dependencies have the features that tests and benches
# want of them: whatever is built later compiles none of them again.
build: packages target
	@echo "==> building (the first time takes some minutes)"
	@cargo build --release --workspace --bin twin --locked

lint-tools: packages
	@scripts/lint-tools

python: packages
	@scripts/python

tokenizers: packages
	@scripts/tokenizers

kafka: packages
	@scripts/kafka
	@scripts/toxiproxy
