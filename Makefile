# Each target is what a person could type. `make quickstart` and `make test` set up all that they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
TORCH := torch==2.13.0
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: quickstart test lint bench slow peers clean

quickstart: $(VENV)/.node
	@$(BIN)/sipa-cluster run jobs/sweeps/quickstart.toml; code=$$?; \
		case $$code in 0|6|7) $(BIN)/sipa-cluster report quickstart;; esac; exit $$code

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 -m "not slow and not bench and not peers"

slow: $(VENV)/.dev
	$(BIN)/python -m pytest -m slow

# Other meters beside ours, unmodified, in an environment of their own (several hundred MB).
peers: $(VENV)/.dev $(PEERS)/.installed
	$(BIN)/python -m pytest -m peers -s

bench: $(VENV)/.dev
	$(BIN)/python -m pytest tests/bench -m bench --benchmark-enable --benchmark-columns=min,median,mean,rounds

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) $(PEERS) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sipa-cluster needs Python 3.11 or later; say which: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv is missing. Cure: sudo apt-get install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

# The CPU build of torch, from the indexes that pip knows, else from PyTorch's own. PyPI's own is CUDA's on Linux.
$(VENV)/.torch: | $(VENV)/bin/python
	@if [ "$$(uname -s)" != Linux ]; then $(BIN)/pip install "$(TORCH)"; else \
		$(BIN)/pip install "$(TORCH)+cpu" 2>/dev/null || \
		$(BIN)/pip install --index-url https://download.pytorch.org/whl/cpu "$(TORCH)+cpu"; fi
	@touch $@

$(VENV)/.node: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --quiet --editable ".[node]"
	@touch $@

$(VENV)/.dev: pyproject.toml $(VENV)/.torch
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable ".[node,cluster]" --group dev
	@touch $@

$(PEERS)/.installed: pyproject.toml
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --editable ".[peers]"
	@touch $@
