"""Three checkers of containers, from the registries that carry them, pinned by hash.

- ``amicontained`` (Go): what a container is made of, and which system calls it is refused;
- ``kdigger`` (Go): devices, mounts, processes, tokens, and which system calls pass;
- ``cepheus`` (PyPI): a shell script that lists what may help to escape, and an engine that matches
  it against known techniques.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
GO = {
    "amicontained": "github.com/genuinetools/amicontained",
    "kdigger": "github.com/quarkslab/kdigger",
}


def fetch() -> Path:
    """A folder with all three, built or downloaded once."""
    pins = sorted(path for path in HERE.rglob("*") if path.suffix in (".mod", ".sum", ".txt"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in pins)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "trilemma" / "checkers" / digest
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, package in GO.items():
            print(f"checkers: building {name}, once", file=sys.stderr)
            _go(name, package, folder / name)
        print("checkers: downloading cepheus, once", file=sys.stderr)
        _pip(folder)
        (folder / "complete").touch()
    return folder


def _go(name: str, package: str, target: Path) -> None:
    build = ["go", "build", "-mod=readonly", "-ldflags=-s -w", "-o", str(target), package]
    settings = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "CGO_ENABLED": "0", "GOWORK": "off"}
    subprocess.run(build, cwd=HERE / name, env=os.environ | settings, check=True)


def _pip(folder: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
    install += ["--target", str(folder / "cepheus"), "-r", str(HERE / "requirements.txt")]
    subprocess.run(install, check=True)
