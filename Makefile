# Two commands matter: `make demo` and `make test`. Each sets up what it needs, in .venv, from a lock with hashes.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PY := .venv/bin/python
ARGS ?=

.PHONY: help setup setup-dev demo test soak lint map golden lock bench-match

help:  ## What each word does.
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

setup:  ## The product in .venv, from requirements.lock.
	@tools/setup product

setup-dev:  ## The product and everything its tests need, from requirements-dev.lock.
	@tools/setup dev

demo: setup  ## The whole consortium on this machine; make demo ARGS="--once --out D".
	@.venv/bin/trellis demo $(ARGS)

test: setup-dev  ## Every test, three at a time; real PostgreSQL, Redis, Postfix and Chromium included.
	@$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

soak: setup-dev  ## The long runs that make test leaves out.
	@$(PY) -m pytest -m soak $(ARGS)

lint: setup-dev  ## Style, types and import contracts alone.
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

map: setup-dev  ## Write docs/MAP.md from the modules' first lines.
	@$(PY) tools/map.py

golden: setup-dev  ## Rebuild the kept letters and vectors under tests/golden; read the diff.
	@$(PY) -m pytest tests/golden --golden -p no:randomly $(ARGS)

bench-match: setup  ## Matching beside Splink on labelled people, in one table; make bench-match ARGS="--city 1000000x100000".
	@[ -x .venv-bench/bin/python ] || $${PYTHON:-python3} -m venv .venv-bench
	@.venv-bench/bin/python -m pip --disable-pip-version-check -qq install --require-hashes -r requirements-bench.lock
	@.venv-bench/bin/python tools/bench_match.py build/bench-match $(ARGS)

# The build backend is in both locks: without it pip would fetch one, unpinned, to build us and the sdists.
PRODUCT := custodian hsm mailer server postgres redis s3 vault world
CUSTODIAN := custodian hsm vault
lock: setup-dev  ## Resolve the locks anew (needs uv on the path or in .venv).
	@export PATH="$(CURDIR)/.venv/bin:$$PATH" UV_CUSTOM_COMPILE_COMMAND="make lock"; \
	echo 'setuptools>=75' | uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate \
	  pyproject.toml - $(PRODUCT:%=--extra %) -o requirements.lock; \
	echo 'setuptools>=75' | uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate \
	  -c requirements.lock pyproject.toml - $(CUSTODIAN:%=--extra %) -o requirements-custodian.lock; \
	uv pip compile -q --generate-hashes --no-emit-index-url --all-extras pyproject.toml -o requirements-dev.lock; \
	uv pip compile -q --generate-hashes --no-emit-index-url --no-annotate tools/bench.in -o requirements-bench.lock
