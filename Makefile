# Every target works on a bare checkout: .ci/bootstrap.sh makes what is missing.
.PHONY: demo test lint format bench soak attempts images ready clean

demo: ready
	@.venv/bin/trilemma demo

test: lint
	@.venv/bin/pytest

lint: ready
	@.venv/bin/ruff check
	@.venv/bin/ruff format --check
	@.venv/bin/mypy
	@.venv/bin/lint-imports

format: ready
	@.venv/bin/ruff check --fix
	@.venv/bin/ruff format

bench: ready
	@.venv/bin/python -m benchmarks

# 1,000 sessions that end in every way there is; afterwards nothing may be left. A quarter of an hour.
soak: ready
	@.venv/bin/python -m tests.soak.soak

# Writes docs/attempts.md from what the attacks' tests see.
attempts: ready
	@TRILEMMA_WRITE_ATTEMPTS=1 .venv/bin/pytest tests/integration/test_sandbox_attacks.py tests/integration/test_sandbox_twins.py

images: ready

ready:
	@.ci/bootstrap.sh

clean:
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
