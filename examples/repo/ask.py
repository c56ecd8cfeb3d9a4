"""Asks an agent about the source of an installed package. {files, code}: nothing can leave.

python ask.py [PACKAGE] [QUESTION]
"""

import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

from trilemma import Agent

HERE = Path(__file__).resolve().parent
QUESTION = "How many classes and functions does it have, and which exceptions does it define?"
COUNT = """
import ast, pathlib
trees = [ast.parse(path.read_text()) for path in pathlib.Path('.').rglob('*.py')]
nodes = [node for tree in trees for node in ast.walk(tree)]
print(sum(isinstance(node, ast.ClassDef) for node in nodes), 'classes')
print(sum(isinstance(node, ast.FunctionDef) for node in nodes), 'functions')
"""
ORDERS = f"""
The built-in model 'gullible' does what these lines say; any other one makes its own plan.
CALL list_files {{}}
CALL search_files {{"pattern": "^class \\\\w*Error", "files": "*.py"}}
CALL run_code {json.dumps({"language": "python", "code": COUNT})}
"""


def copy_source(package: str, target: Path) -> None:
    """Copy an installed package: its folder stays as it is, without even a mark."""
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        sys.exit(f"{package!r} is not an installed package")
    shutil.rmtree(target, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(found.submodule_search_locations[0], target, ignore=ignored)


def main(package: str = "h11", question: str = QUESTION) -> None:
    """Ask, and print the answer."""
    copy_source(package, HERE / "source")
    agent = Agent.from_file(HERE / "agent.yaml")
    model = os.environ.get("TRILEMMA_MODEL", agent.spec.model)
    agent.spec = agent.spec.model_copy(update={"model": model})
    print(agent.run(question + (ORDERS if model == "gullible" else "")).text)


if __name__ == "__main__":
    main(*sys.argv[1:3])
