# Everything a technician or a developer runs. `make` alone lists it.
# Each target that needs them first brings the machine to the state that tools/setup describes; that costs
# nothing when it is already there, and continues where an interrupted run stopped.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PROSECOURS_CACHE ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/prosecours
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: help setup demo docs test lint mutants soak sanity options fresh lab-up lab-down bench windows-vm record lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## install what is missing: Debian packages, .venv, restic and rest-server
	@tools/setup packages venv link binaries

demo: setup ## two clients on lab hosts: deploy, let nights pass, keep what is promised, show it
	@python tools/demo.py

docs: ## the printed documents of the example clients, into build/docs
	@tools/setup packages venv link
	@python tools/docs.py

test: lint ## the checks, then all tests (PYTEST="-k word" to choose some)
	@tools/setup binaries tests
	@python -m pytest -n auto $(PYTEST)

lint: ## ruff, yamllint, ansible-lint (production), mypy --strict, and the French that people read
	@tools/setup packages venv link grammar
	@tools/lint

mutants: ## each defence of docs/security.md off, one at a time: its test goes red (MUTANTS="-k word")
	@tools/setup binaries tests
	@python tools/mutants.py $(MUTANTS)

soak: ## thirty power cuts in the middle of maintenances, and full disks; `make test` has six
	@tools/setup binaries tests
	@PROSECOURS_SOAK=30 python -m pytest tests/integration/maintenance/test_soak.py

sanity: ## ansible-test sanity on what is published (three minutes the first time, then one)
	@tools/setup packages venv link
	@tools/sanity

options: ## fill in the roles' argument specifications and defaults from the actions' documentation
	@tools/setup packages venv link
	@python tools/options.py

fresh: ## both on a bare Debian, from nothing (SUITE=trixie; CACHE=1 to take restic from the cache)
	@tools/fresh

lab-up: setup ## start the lab for inventories/lab and leave it running
	@python -m windows_lab up --inventory inventories/lab

lab-down: ## stop the lab
	@tools/setup packages venv link
	@python -m windows_lab down

bench: setup ## requests, bytes and wall time; writes build/bench.json
	@python -m bench

windows-vm: ## a French Windows Server in a virtual machine, for the scenarios (VERSION=2016, 2019, 2022 or 2025)
	@tools/windows-vm/start "$(or $(VERSION),2022)"

record: setup ## ask a Windows server what only a real one can tell (HOST=name INVENTORY=path)
	@python -m tools.record "$(or $(HOST),$(error HOST=name of a server of the inventory))" $(if $(INVENTORY),-i "$(INVENTORY)")

lock: ## make requirements*.txt anew from requirements*.in (LOCK=--upgrade for the newest)
	@tools/lock $(LOCK)

clean: ## remove .venv and build; the cache of downloads stays
	@if [ -x .venv/bin/python ] && [ -d build/lab ]; then python -m windows_lab down || true; fi
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .ansible
