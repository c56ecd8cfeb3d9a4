"""Python packages as wheels: resolved once, pinned by hash, fetched by pip as it is set up here."""

import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from trilemma.errors import SandboxError, SpecError

_REQUIREMENT = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
    r"(\[[A-Za-z0-9._,-]+\])?"
    r"((===|==|>=|<=|~=|!=|<|>)[A-Za-z0-9.*+!_-]+(,(===|==|>=|<=|~=|!=|<|>)[A-Za-z0-9.*+!_-]+)*)?"
)
_GLIBC = range(36, 4, -1)
"""Minor versions of glibc 2 that the image's own (2.36) can stand in for."""


def checked(packages: Sequence[str]) -> list[str]:
    """The requirements in one order, or an error that names the one that is none."""
    for package in packages:
        if not _REQUIREMENT.fullmatch(package):
            raise SpecError(
                f"{package!r} is not a package name with an optional version, such as "
                "'numpy' or 'numpy==2.4.1'; folders, addresses and options are not taken"
            )
    if not packages:
        raise SpecError("no package was named; say which, such as --with numpy")
    return sorted(set(packages))


def resolve(packages: list[str]) -> str:
    """The lock: each package and all it needs, with version and hash, one a line."""
    report = json.loads(
        _pip("install", "--dry-run", "--ignore-installed", "--report", "-", *packages)
    )
    lines = [
        f"{each['metadata']['name']}=={each['metadata']['version']} "
        f"--hash=sha256:{each['download_info']['archive_info']['hashes']['sha256']}"
        for each in report["install"]
    ]
    return "\n".join(sorted(lines)) + "\n"


def fetch(lock: Path, target: Path) -> list[Path]:
    """Download exactly what the lock names; pip refuses a file with another hash."""
    _pip("download", "--no-deps", "--require-hashes", "-d", str(target), "-r", str(lock))
    return sorted(target.glob("*.whl"))


def _pip(action: str, *arguments: str) -> str:
    """Run pip for the image's interpreter, whatever interpreter runs here."""
    command = [sys.executable, "-I", "-m", "pip", action, "--quiet", "--no-input", *_image()]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        words = (errors or done.stderr.strip().splitlines() or ["no output"])[-1]
        raise SandboxError(f"pip cannot get the packages: {words.removeprefix('ERROR: ')}")
    return done.stdout


def _image() -> list[str]:
    machine = platform.machine()
    names = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC]
    names += [f"manylinux2014_{machine}", f"linux_{machine}"]
    chosen = [f"--platform={name}" for name in names]
    return [*chosen, "--only-binary=:all:", "--python-version=3.11", "--implementation=cp"]
