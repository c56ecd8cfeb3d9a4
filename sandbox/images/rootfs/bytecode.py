"""Compiles Python files ahead of time, with the image's own interpreter.

A sandbox's root is read-only, so nothing could be cached there later and every start would
compile again. The result depends only on the sources and the interpreter.
"""

import json
import platform
import subprocess
from pathlib import Path

from trilemma.errors import SandboxError

from .tree import Tree

_COMPILE = """
import json, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, target, shown in json.load(sys.stdin):
    try:
        py_compile.compile(source, target, shown, doraise=True, invalidation_mode=mode)
    except (py_compile.PyCompileError, UnicodeDecodeError):
        pass
"""


def add_bytecode(tree: Tree, pattern: str, interpreter: Path) -> None:
    """Compile every matching file of the tree and add the results beside them."""
    sources = [path for path in tree.files(pattern) if path.endswith(".py")]
    targets = [_cached(path) for path in sources]
    for target in targets:
        (tree.root / target).parent.mkdir(parents=True, exist_ok=True)
    jobs = [
        (str(tree.root / source), str(tree.root / target), f"/{source}")
        for source, target in zip(sources, targets, strict=True)
    ]
    _compile(jobs, interpreter)
    for target in targets:
        if (tree.root / target).exists():
            tree.add(target, (tree.root / target).read_bytes())


def _cached(path: str) -> str:
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.cpython-311.pyc"


def _compile(jobs: list[tuple[str, str, str]], root: Path) -> None:
    """Run the interpreter that lies in ``root`` through its own loader, without entering it."""
    libraries = root / "usr/lib" / f"{platform.machine()}-linux-gnu"
    loader = next(libraries.glob("ld-linux-*.so.*"))
    python = root / "usr/bin/python3.11"
    command = [loader, "--library-path", libraries, "--argv0", python, python]
    done = subprocess.run(
        [*map(str, command), "-I", "-S", "-B", "-c", _COMPILE],
        input=json.dumps(jobs),
        env={"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = done.stderr.strip().splitlines()[-1:]
        raise SandboxError(f"the image's interpreter cannot compile: {' '.join(words)}")
