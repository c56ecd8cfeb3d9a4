"""An apt of our own beside the host's: its sources and keys, but no installed packages."""

import hashlib
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from trilemma.errors import SandboxError

from .recipe import Recipe
from .sources import debian_sources

_LINE = re.compile(r"'[^']+' ([^_\s]+)_([^_\s]+)_([^_\s]+)\.deb \d+")
_MINE = """
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::Etc::sourcelist "{root}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
Acquire::Retries "3";
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One downloaded package; apt checked it against the archive's signature."""

    name: str
    version: str
    architecture: str
    file: Path
    sha256: str


class Apt:
    """A private apt root below ``root``; only the caller's own user needs to write there."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        for folder in ("state/lists/partial", "cache/archives/partial", "debs"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        (self._root / "status").write_text("")
        (self._root / "debian.sources").write_text(debian_sources())
        (self._root / "apt.conf").write_text(_acquire() + _MINE.format(root=self._root))

    def fetch(self, recipe: Recipe, progress: Callable[[str], None]) -> list[Package]:
        """Resolve and download what a recipe needs, in the order of names."""
        progress("reading the package lists")
        self._run("apt-get", "update", "-q")
        listing = self._run("apt-get", "install", "-qq", "-y", "--print-uris", *recipe.packages)
        wanted = [
            match.groups() for match in _LINE.finditer(listing) if match[1] not in recipe.without
        ]
        progress(f"fetching {len(wanted)} packages")
        names = [f"{name}={unquote(version)}" for name, version, _ in wanted]
        self._run("apt-get", "download", "-q", *names)
        return sorted((self._package(*each) for each in wanted), key=lambda each: each.name)

    def _package(self, name: str, version: str, architecture: str) -> Package:
        file = self._root / "debs" / f"{name}_{version}_{architecture}.deb"
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        return Package(name, unquote(version), architecture, file, digest)

    def _run(self, *command: str) -> str:
        environment = {"APT_CONFIG": str(self._root / "apt.conf"), "LC_ALL": "C"}
        return run(command, cwd=self._root / "debs", environment=environment)


def run(command: Sequence[str], *, cwd: Path, environment: dict[str, str]) -> str:
    """Run a program of the host and give its output, or fail with its last words."""
    full = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment}
    done = subprocess.run(
        command, cwd=cwd, env=full, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise SandboxError(f"{command[0]} {command[1]} failed while building an image: {words}")
    return done.stdout


def _acquire() -> str:
    """How the host's apt reaches its mirror: proxies, certificates, retries."""
    dump = run(("apt-config", "dump"), cwd=Path("/"), environment={"LC_ALL": "C"})
    kept = ("Acquire::", "APT::Architecture ")
    return "\n".join(line for line in dump.splitlines() if line.startswith(kept)) + "\n"
