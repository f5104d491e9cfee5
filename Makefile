# make run    sets everything up and answers calls with the sample site
# make test   sets everything up and runs the tests, with real phones
# make check  style, types and the rules between the rooms
# make bench  figures, as ratios against a floor or a peer in the same run

VENV ?= .venv
SITE ?= site.yaml
# Tests at a time: most of them wait for telephones, so two share two cores well.
JOBS ?= 2
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt hatch_build.py scripts/setup $(wildcard gateway/media/native/*)

.PHONY: run test check bench peers clean

run: $(VENV)/.run
	@$(BIN)/ivr run --site $(SITE)

test: $(VENV)/.dev peers
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=worksteal $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev peers
	@for b in engine mixing srtp calls setup latency sentences listening recognition flows flowtests reload churn \
	    rtc; do $(BIN)/python bench/$$b.py || exit 1; done

peers:
	@scripts/test-peers

$(VENV)/.run: $(SOURCES)
	@scripts/setup $(VENV) run

$(VENV)/.dev: $(SOURCES)
	@scripts/setup $(VENV) dev

clean:
	rm -rf $(VENV) build dist gateway/media/*.so
