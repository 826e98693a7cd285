# Two commands: `make demo` shows what conda-store does, `make test` proves it. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OFFICIAL := .cache/official-cli/.ready
unexport PYTHONDONTWRITEBYTECODE
# the tests of a file run in one process and in their order, whatever the others do; those that take long come first
BY_FILE := --dist loadfile --no-loadscope-reorder

.PHONY: demo test quick check bench screenshots audit setup lock clean

demo: $(READY)
	$(BIN)/python -m tools.demo $(if $(ONCE),--once) $(if $(PORT),--port=$(PORT)) $(DEMO_OPTIONS)

test: setup check
	$(BIN)/python -m pytest tests/unit tests/contract tests/architecture tests/channel -n 2 -q
	$(BIN)/python -m pytest tests/browser tests/acceptance tests/integration tests/http -n 2 $(BY_FILE) -q

# what can be had in seconds, without the channel of real packages
quick: $(READY) check
	$(BIN)/python -m pytest tests/unit tests/contract tests/architecture -n 2 -q

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --config importlinter.toml
	$(BIN)/bandit -q -c pyproject.toml -r src

bench: $(READY)
	$(BIN)/python -m benchmarks

# every page as a picture, light and dark, wide and narrow, into the documentation
screenshots: setup
	$(BIN)/python -m tests.browser.screenshots

# whether the locked versions have known vulnerabilities; exceptions are in requirements/audit-exceptions.txt. What cannot
# be asked for (no network, a mirror without advisories) fails it too, and says so, and does not pass for clean
audit: $(READY)
	$(BIN)/python -m tools.audit $(AUDIT_OPTIONS)

# everything that the tests need and that comes over the network
setup: $(READY) $(OFFICIAL)
	$(BIN)/python -m tools.setup_tests

# the versions that are installed, with hashes and without addresses; the tests' npm packages too, where npm is there
lock:
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group dev pyproject.toml -o requirements/dev.txt
	if command -v npm >/dev/null; then $(BIN)/python -m tools.lock_npm; fi

$(READY): pyproject.toml requirements/dev.txt
	$(PYTHON) tools/make_venv.py $(VENV) requirements/dev.txt
	touch $@

$(OFFICIAL): tests/requirements-official-cli.txt
	$(BIN)/uv venv -q --clear --python $(BIN)/python $(@D)
	$(BIN)/uv pip install -q --python $(@D)/bin/python -r $<
	touch $@

clean:
	rm -rf $(VENV) .cache
