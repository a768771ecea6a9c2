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

.PHONY: help setup demo test lint lab-up lab-down bench lock clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18

setup: ## install what is missing: Debian packages, .venv, restic and rest-server
	@tools/setup packages venv link binaries

demo: setup ## two clients on lab hosts: deploy, let nights pass, keep what is promised, show it
	@python tools/demo.py

test: lint ## the checks, then all tests (PYTEST="-k word" to choose some)
	@tools/setup binaries browser
	@python -m pytest $(PYTEST)

lint: ## ruff, yamllint, ansible-lint (production) and mypy --strict
	@tools/setup packages venv link
	@tools/lint

lab-up: setup ## start the lab for inventories/lab and leave it running
	@python -m windows_lab up --inventory inventories/lab

lab-down: ## stop the lab
	@tools/setup packages venv link
	@python -m windows_lab down

bench: setup ## requests, bytes and wall time; writes build/bench.json
	@python -m bench

lock: ## make requirements*.txt anew from requirements*.in
	@tools/lock

clean: ## remove .venv and build; the cache of downloads stays
	@if [ -x .venv/bin/python ] && [ -d build/lab ]; then python -m windows_lab down || true; fi
	@rm -rf .venv build .mypy_cache .pytest_cache .ruff_cache .ansible
