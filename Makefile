PYTHON ?= python3

.PHONY: help install test test-all fuzz lint format docs build clean

help:  ## print this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install:  ## install for work on the code, in the active environment
	$(PYTHON) -m pip install -e '.[test,lint,train]'

test:  ## run the tests that take seconds
	$(PYTHON) -m pytest -q

test-all:  ## run all tests
	$(PYTHON) -m pytest -q -m ''

SECONDS ?= 600
fuzz:  ## fuzz the decoders with atheris (pip install atheris), SECONDS=600
	mkdir -p build/fuzz
	$(PYTHON) -m tests.fuzz.decoder -max_total_time=$(SECONDS) -timeout=20 -rss_limit_mb=2048 \
		-artifact_prefix=build/fuzz/ build/fuzz

lint:  ## check format, style and types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

format:  ## put the code into shape
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

docs:  ## bring the --help texts and man pages up to date, and make the site
	$(PYTHON) tools/documents.py
	$(PYTHON) -m zensical build --strict

build:  ## make the wheel and the source archive
	$(PYTHON) -m build

clean:  ## remove what the other targets made
	rm -rf build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
