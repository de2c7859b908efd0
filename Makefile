# make run   track the sample scene in videos/ and print its scores
# make live  show it in a browser, as if its cameras were live
# make test  check everything: ruff, mypy --strict, pytest

PYTHON ?= python3
BIN := .venv/bin
# The build tool warns about every editable install, which is what is wanted here.
INSTALL := PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet

.PHONY: run live test clean
run: .venv/ready-to-run
	$(BIN)/reunite track videos --config embedded --save-video --gt videos --many-cameras

live: .venv/ready-to-live
	$(BIN)/reunite live

test: .venv/ready-to-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pytest --numprocesses auto --dist worksteal

clean:
	rm -rf .venv build *.egg-info .mypy_cache .pytest_cache .ruff_cache

.venv/ready-to-run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=python3.12, for example"; exit 1; }
	$(PYTHON) -m venv .venv
	$(INSTALL) --upgrade pip
	$(INSTALL) --editable .
	@touch $@

.venv/ready-to-live: .venv/ready-to-run
	$(INSTALL) --editable '.[live]'
	@touch $@

.venv/ready-to-test: .venv/ready-to-run
	$(INSTALL) --editable '.[ultralytics,reid,live,dev]'
	@touch $@
