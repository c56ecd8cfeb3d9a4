"""The reference engine."""

import os
import shutil

import pytest


@pytest.fixture(scope="session")
def opa() -> str:
    """The path of its program; CI has it."""
    found = shutil.which("opa")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("opa is not on the PATH", pytrace=False)
    return found or pytest.skip("opa is not on the PATH")
