# Each target but `help` first runs scripts/setup, which looks for what is missing and offers to
# install it (YES=1 or CI=true: without asking). Once everything is there it changes nothing.

# rustup puts cargo where a fresh shell does not look yet
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help setup demo test bench

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  YES=1 installs what is missing without asking: make demo YES=1"

setup: ## look for what is missing, and offer to install it
	@scripts/setup

demo: setup ## a real server whose TLS is broken, and the wizard that repairs it
	@scripts/demo

test: setup ## format, lints, and every test, those on real servers included
	@scripts/test

bench: setup ## measure start, check, memory, certificates and size
	@benches/run
