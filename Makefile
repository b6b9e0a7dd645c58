# Everything sets itself up in .venv; a fresh machine needs Python >= 3.11, git and make.
PYTHON ?= python3
BIN := .venv/bin
# Tests and benchmarks start hundreds of Pythons: each would compile the project anew where a machine keeps no bytecode.
export PYTHONDONTWRITEBYTECODE :=
STAMP := .venv/.installed

.PHONY: demo test collected test-long test-wording test-servers test-editor servers-page bench soak tui lint house servers browser vsix clean

demo: $(STAMP)
	$(BIN)/luasprocs demo

# Most tests wait for real processes most of the time: eight at once, on two cores too.
test: $(STAMP) servers
	$(MAKE) -j2 --output-sync=target lint collected
	$(BIN)/pytest -n 8 --dist loadgroup -m "not long"

# What installs this project from PyPI, and the ledgers beside servers and daemons that are killed, cut off or gone.
test-long: $(STAMP) servers
	$(BIN)/pytest -n 4 --dist loadgroup -m long

# Else each of the processes that run tests would compile all of them, with their assertions, at the same time.
collected: $(STAMP)
	@$(BIN)/pytest --collect-only -qq -n 0 >.venv/collected || { cat .venv/collected; exit 1; }

# The tests that a server matters to, on Redis 8.0 and Valkey 8.1, or on those that LUASPROCS_TEST_SERVERS names; SHORT=1: a part of them.
# docs/servers.md must say the same as this run.
test-servers: export LUASPROCS_TEST_SERVERS := $(or $(LUASPROCS_TEST_SERVERS),redis8,valkey81)
test-servers: export LUASPROCS_TEST_RESULTS := yes
test-servers: $(STAMP)
	.ci/fetch-servers
	$(BIN)/pytest -n 6 --dist loadgroup $$($(BIN)/python -m tests.tried $(if $(SHORT),short,files))
	$(BIN)/python -m tests.tried check

# The tests of engine, operations, command line and screen, while every message has other words: see tests/rewording/sitecustomize.py.
# What the engine weighs, and its text's id, are of the words that it has.
test-wording: export LUASPROCS_TEST_SERVERS := valkey
test-wording: export PYTHONPATH := $(CURDIR)/tests/rewording
test-wording: $(STAMP)
	$(BIN)/pytest -n 6 --dist loadgroup --assert=plain -m "not long" tests/engine tests/operations tests/sync/commands tests/tui \
		--ignore tests/tui/snapshots --ignore tests/engine/test_memory.py --ignore tests/engine/test_version.py

# The extension in a real VS Code: tests in its extension host, and a tour by mouse and keyboard. LUASPROCS_PICTURES names a folder for the tour's pictures.
test-editor: $(STAMP) browser vsix editors/vscode/test/node_modules/.package-lock.json
	node editors/vscode/test/run.mjs $(ONLY)

# The extension of VS Code, as a file that VS Code installs. Needs Node >= 20.
vsix: editors/vscode/node_modules/.package-lock.json
	cp LICENSE editors/vscode/LICENSE
	cd editors/vscode && npm run --silent check && npm run --silent build && npm run --silent package

# npm writes this file when it is done.
%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --ignore-scripts --no-audit --no-fund --loglevel error

# Writes the tables of docs/servers.md, from a run on all four.
servers-page: export LUASPROCS_TEST_SERVERS := redis,redis8,valkey81,valkey
servers-page: export LUASPROCS_TEST_RESULTS := yes
servers-page: $(STAMP) servers
	.ci/fetch-servers
	$(BIN)/pytest -n 6 --dist loadgroup $$($(BIN)/python -m tests.tried files)
	$(BIN)/python -m tests.tried write

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m bench.house

# The structure in numbers: import circles, rooms, homes of one rule; `make house` names the files behind them.
house: $(STAMP)
	$(BIN)/python -m bench.house -v

bench: $(STAMP) servers
	$(BIN)/python -m bench

# The long forms of the fault tests; CI runs the short ones.
soak: $(STAMP) servers
	LUASPROCS_SOAK=1 $(BIN)/pytest -n 0 -m soak --timeout 3600

tui: $(STAMP)
	$(BIN)/luasprocs demo --screen

# Tests run on the embedded Valkey and on redis-server; the latter is installed where that is possible.
servers:
	@.ci/install-redis

browser:
	@.ci/install-chromium

$(STAMP): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable . --group dev
	touch $(STAMP)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
	rm -rf editors/vscode/node_modules editors/vscode/dist editors/vscode/*.vsix editors/vscode/test/node_modules
