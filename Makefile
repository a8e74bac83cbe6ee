# make book and make test need nothing but this folder, Python 3.11 to 3.13 with venv, and a package index.
# The environment is made once, in .venv, and made again when what the lock says has changed, whatever the files' times.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
READY := .venv/.ready
# What the environment was made of: the lock, and of pyproject.toml all above the tools' settings. POSIX has cksum everywhere.
MADE_OF = $$(cksum < requirements.lock) $$(sed '/^\[tool\.ruff/,$$d' pyproject.toml | cksum)
EDITION ?= offline
# Notebooks run in this environment's kernel, whatever kernels the user has installed.
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: help book pages pdf epub test lab lint axe bench faults recorded clean lock environment

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile

book: environment ## Run the chapters that are stale and build the book (EDITION=…, REPOSITORY=https://…)
	@$(BIN)/workbench book --edition '$(EDITION)' $(if $(REPOSITORY),--repository '$(REPOSITORY)')

pages: environment ## Build the book of the outputs that the repository keeps: nothing is run (REPOSITORY=https://…)
	@$(BIN)/workbench book --committed $(if $(REPOSITORY),--repository '$(REPOSITORY)')

pdf: environment ## The book as a PDF, of the same runs (EDITION=…): needs Chromium
	@$(BIN)/workbench book --edition '$(EDITION)' --format pdf

epub: environment ## The book as an EPUB, of the same runs (EDITION=…)
	@$(BIN)/workbench book --edition '$(EDITION)' --format epub

test: environment ## Run every test, and the chapters under nbval (CHAPTER=… for those of one chapter)
	$(BIN)/python -m pytest -n auto --dist loadscope tests $(if $(CHAPTER),-k '$(CHAPTER) or $(subst -,_,$(CHAPTER))')
	$(BIN)/workbench check $(CHAPTER)

lab: environment ## Open the chapters in JupyterLab
	@$(BIN)/workbench lab

lint: environment ## Check style, the direction of imports, spelling, and that no measured number is typed into a chapter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m workbench.book.numbers
	$(BIN)/python -m workbench.book.spelling

axe: environment ## Look at every page in Chromium, light and dark, for what hinders readers: some minutes
	WORKBENCH_AXE=all $(BIN)/python -m pytest -q tests/workbench/book/test_book_axe.py

bench: environment ## Measure speed beside the alternatives
	@set -e; for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file; done

TRIES ?= 500
faults: environment ## Kill, stop, starve and race the commands TRIES times (500), and see that they keep their promises
	@$(BIN)/python tests/faults/bench.py --tries $(TRIES)

recorded: environment ## Compute the recorded results that are stale again: hours, and the same line goes on
	@$(BIN)/workbench recorded --again

clean: ## Remove what builds and tests leave; runs and the environment stay
	rm -rf _build .pytest_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
	rm -rf notebooks/.ruff_cache notebooks/.ipynb_checkpoints notebooks/compressed
	find lib tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A Python that fits is looked for under its usual names; PYTHON=… names another.
environment: ## Make the environment in .venv, unless it is there and is what the lock says
	@if [ "$$(cat $(READY) 2>/dev/null)" = "$(MADE_OF)" ]; then exit 0; fi; \
	python=; \
	for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
	  if $$name -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; \
	  then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "make: Python 3.11, 3.12 or 3.13 with venv is needed and was not found (on Debian and Ubuntu: apt install python3-venv)" >&2; \
	  exit 1; \
	fi; \
	echo "Making the environment in .venv from requirements.lock: some minutes, once."; \
	rm -rf .venv && $$python -m venv .venv && \
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.lock && \
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e . || { \
	  echo "make: the environment could not be made; see above what pip lacked (a package index must be reachable)" >&2; exit 1; }; \
	$(BIN)/python -m ipykernel install --sys-prefix --name python3 --display-name 'Python 3 (workbench)' >/dev/null && \
	echo "$(MADE_OF)" > $(READY)

# One version of every package for Python 3.11 to 3.13, so that the corpus, which is their documentation, is one text. Left out
# are torch's companions for GPUs: torch asks for its own.
lock: ## Pin the newest versions that pyproject.toml allows (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-annotate --no-header --quiet \
	  --constraint requirements.in --output-file requirements.all
	grep -vE '^(nvidia-|cuda-|triton|httpx2-jsfetch)' requirements.all > requirements.lock
	rm requirements.all
