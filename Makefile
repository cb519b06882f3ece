# Targets are short; what they call does the work. `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

STACK ?= dev
RUNS ?= 20
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PULUMI := toolchain/pulumi --non-interactive
export PYTHONDONTWRITEBYTECODE = 1

# The dev stack keeps its state here and its hosts in Docker; every other stack uses the back end that you logged in to.
ifeq ($(STACK),dev)
PREPARE := lab
ENVIRONMENT := eval "$$($(RUN) -m lab stack)" &&
else
PREPARE := toolchain
ENVIRONMENT := export PULUMI_OPTION_STACK=$(STACK) &&
endif

# Exceptions, with reason and expiry, are a file of their own, for previews and for verification: docs/policies.md.
EXCEPTIONS := $(addprefix --policy-pack-config ,$(wildcard policies.$(STACK).json))
POLICIES := --policy-pack policies $(EXCEPTIONS)

.PHONY: help
help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { gsub(/[$$][$$]/, "$$"); printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- use ----------------------------------------------------------------------------------------------------------

.PHONY: up
up: $(PREPARE) ## Bring the stack up under the policies, then verify it (STACK=dev by default).
	$(ENVIRONMENT) $(PULUMI) up --yes --skip-preview $(POLICIES)
	$(ENVIRONMENT) $(RUN) -m verification $(EXCEPTIONS)

.PHONY: preview
preview: $(PREPARE) ## Show what `make up` would change, line by line, and check the policies.
	$(ENVIRONMENT) $(PULUMI) preview --diff $(POLICIES)

.PHONY: verify
verify: toolchain ## Check what really listens, what really is reachable, and what passes; exit code 0 only when sealed.
	$(ENVIRONMENT) $(RUN) -m verification $(EXCEPTIONS)

.PHONY: client-bundle
client-bundle: toolchain ## Write what a client needs, of Redis or of PostgreSQL: GROUP=orders (or PAIR=ccc) DIRECTORY=~/orders.
	@$(ENVIRONMENT) $(PULUMI) stack output $(if $(PAIR),postgres,redis) --json --show-secrets | \
		$(RUN) -m components.client_bundle $(or $(PAIR),$(GROUP)) $(DIRECTORY)

.PHONY: down
down: toolchain ## Restore the hosts; of the dev stack, remove every trace.
	$(ENVIRONMENT) $(PULUMI) destroy --yes --skip-preview
ifeq ($(STACK),dev)
	$(RUN) -m lab down --all
	rm -rf .state build/verification.json
endif

.PHONY: env
env: venv ## Print the environment in which `toolchain/pulumi` works on the dev stack: eval "$$(make -s env)".
	@$(RUN) -m toolchain >&2
	@$(RUN) -m lab stack

.PHONY: host-keys
host-keys: venv ## Print ed25519 host keys and fingerprints for the stack's config: make host-keys HOSTS="a b:2222".
	@$(RUN) -m components.host.keys $(HOSTS)

# --- set-up -------------------------------------------------------------------------------------------------------

$(VENV)/.ready: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check -r requirements.txt -r requirements-dev.txt
	PYTHONWARNINGS=ignore $(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

.PHONY: venv
venv: $(VENV)/.ready ## Make the Python environment.

.PHONY: toolchain
toolchain: venv ## Make the Pulumi CLI and plugins ready: the official ones, or what stands in for them.
	@$(RUN) -m toolchain

.PHONY: lab
lab: toolchain ## Make Docker and the lab's host image ready.
	@$(RUN) -m lab ensure

.PHONY: cluster
cluster: lab ## Make the image of the lab's Kubernetes nodes ready.
	@$(RUN) -m lab cluster build

.PHONY: lock
lock: venv ## Pin every dependency again, from requirements*.in.
	$(VENV)/bin/pip-compile --quiet --upgrade --no-emit-index-url --no-emit-find-links --strip-extras --no-header -o requirements.txt requirements.in
	$(VENV)/bin/pip-compile --quiet --upgrade --no-emit-index-url --no-emit-find-links --strip-extras --no-header --allow-unsafe -o requirements-dev.txt requirements-dev.in

# --- tests --------------------------------------------------------------------------------------------------------

.PHONY: lint
lint: venv
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	for program in $$(git ls-files 'examples/*__main__.py'); do $(VENV)/bin/mypy $$program || exit 1; done
	$(VENV)/bin/shellcheck $$(git ls-files '*.sh' toolchain/pulumi lab/on lab/cluster/image/root/usr/local/libexec .ci/run)

.PHONY: check
check: lint ## Lint, types, shell scripts and unit tests: the fast part.
	$(VENV)/bin/pytest tests/unit tests/policies -m 'not engine and not lab'

.PHONY: test
test: lint cluster ## Lint and every test but campaigns and benchmarks, on real hosts.
	$(VENV)/bin/pytest tests --numprocesses=2 --dist=loadscope --durations=20 --durations-min=20

.PHONY: bench
bench: lab ## Measure against Ansible, pyinfra, the bare engine, plaintext and a lab without Kubernetes; writes build/benchmarks.json.
	$(VENV)/bin/pytest tests/benchmarks --run-benchmarks

.PHONY: campaign
campaign: lab ## Cut the power, the line and the disk many times (RUNS=20 of a kind); writes build/campaign.json.
	$(VENV)/bin/pytest tests/campaigns --run-campaigns --campaign-runs $(RUNS)
