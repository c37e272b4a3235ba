# Copyright (c) 2026, The voltainer.volumes developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Each target sets up what it needs, in this folder only: .venv (tools), .lab (test hosts), build and .cache (all that is made).
# Debian packages are installed as root when they are missing; `make clean` leaves those.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Ansible must not see the settings and collections of whoever runs this: only what was built from this checkout counts.
unexport ANSIBLE_CONFIG ANSIBLE_ROLES_PATH ANSIBLE_LIBRARY ANSIBLE_INVENTORY VIRTUAL_ENV
export ANSIBLE_HOME := $(CURDIR)/.cache/ansible
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/build/collections
export ANSIBLE_NOCOWS := 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
export MYPY_CACHE_DIR := .cache/mypy
export RUFF_CACHE_DIR := .cache/ruff
# Not PYTHON: that one is for users, who choose with it what .venv is made with.
TOOLS_PYTHON := .venv/bin/python
LAB := $(TOOLS_PYTHON) tests/lab/lab.py
DEMO_HOST := trixie

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup lab-setup
setup: ## Make .venv with the locked tools, once for each state of the lock
	@tests/setup.sh venv
lab-setup:
	@tests/setup.sh lab

.PHONY: demo
demo: lab-setup collection ## Show a storage plugin, a volume on it, and data that outlives its container
	@$(LAB) up --name demo --host host1=$(DEMO_HOST) --swarm
	@tests/demo/run.sh $(CURDIR)/.lab/demo/inventory.yml

.PHONY: test
test: setup ## Run everything: unit tests, linters, types, sanity, artefact, scenarios
	@tests/setup.sh programs
	@$(TOOLS_PYTHON) -m pytest tests/unit tests/project

.PHONY: test-unit
test-unit: setup ## Run the unit tests only; ARGS goes to pytest
	@tests/setup.sh programs
	@$(TOOLS_PYTHON) -m pytest tests/unit $(ARGS)

.PHONY: lint format-check ruff yamllint ansible-lint changelog-lint docs-check
lint: setup ## Run all linters, each to its end
	@$(MAKE) --keep-going format-check ruff yamllint changelog-lint docs-check ansible-lint
format-check: setup
	@ruff format --check .
ruff: setup
	@ruff check .
yamllint: setup
	@yamllint --strict .
# Modules and roles of this collection are found under their full names in the installed artefact.
ansible-lint: collection
	@ansible-lint
changelog-lint: setup
	@antsibull-changelog lint
docs-check: setup
	@$(TOOLS_PYTHON) tests/project/role_docs.py --check

.PHONY: format
format: setup ## Format the Python files, and repair what ruff can
	@ruff format .
	@ruff check --fix .

.PHONY: docs
docs: setup ## Write the pages that are made from the presets and the role's specs
	@$(TOOLS_PYTHON) tests/project/role_docs.py

.PHONY: types
types: setup ## Check types: strict mypy on module_utils and on the tests' tools
	@$(TOOLS_PYTHON) tests/project/types_check.py

.PHONY: sanity
sanity: setup ## Run all sanity tests of ansible-test; ARGS goes to ansible-test
	@tests/setup.sh sanity
	@$(TOOLS_PYTHON) tests/project/sanity.py $(ARGS)

.PHONY: collection artefact
collection: setup
	@$(TOOLS_PYTHON) tests/project/artefact.py build
artefact: setup ## Build, install into an empty folder, compare the files, read all documentation
	@$(TOOLS_PYTHON) tests/project/artefact.py check

.PHONY: molecule molecule-destroy
molecule: lab-setup collection ## Run scenarios: SCENARIO=name (all), ACTION=converge (test), KEEP=1 leaves the lab up
	@$(TOOLS_PYTHON) tests/project/scenarios.py run --action "$(or $(ACTION),test)" $(if $(KEEP),--keep) $(SCENARIO)
molecule-destroy: lab-setup collection ## Remove the lab that scenarios left up
	@$(TOOLS_PYTHON) tests/project/scenarios.py destroy

.PHONY: bench
bench: lab-setup collection ## Measure against what users run today: BENCH=name (all), KEEP=1 leaves the lab up
	@$(TOOLS_PYTHON) tests/benchmarks/bench.py $(if $(KEEP),--keep) $(BENCH)

.PHONY: lock
lock: ## Resolve requirements/dev.in anew into requirements/dev.txt
	@tests/setup.sh lock

.PHONY: clean
clean: ## Take everything away that these targets made, labs and test hosts included
	@if [ -d .lab ]; then tests/setup.sh venv; $(LAB) purge; fi
	@rm -rf .venv .lab .cache .ansible build tests/output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
