"""Fills project/ with the source of an installed package.

python project.py
"""

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main(package: str = "h11") -> None:
    """Copy it: its folder stays as it is, without even a mark."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{package!r} is not an installed package")
    project = HERE / "project"
    shutil.rmtree(project, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(found.submodule_search_locations[0], project / package, ignore=ignored)


if __name__ == "__main__":
    main()
