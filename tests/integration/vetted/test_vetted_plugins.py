"""Code that a program loads instead of executing it: libraries that lie in the workspace.

``libpcprofile.so`` is glibc's own; as soon as it is loaded it makes the file that
``PCPROFILE_OUTPUT`` names, so that file is the canary.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]

LIBRARY = "/workspace/libpcprofile.so"


@dataclass(frozen=True)
class Plugin:
    """A command that loads a library from the workspace."""

    argv: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> dict[str, str]:
        """What the attack sets; a session's call cannot set any of it."""
        return {"PCPROFILE_OUTPUT": "/workspace/canary", **dict(self.variables)}


PLUGINS = {
    "LD_PRELOAD": Plugin(("/usr/bin/env",), (("LD_PRELOAD", LIBRARY),)),
    "LD_AUDIT": Plugin(("/usr/bin/env",), (("LD_AUDIT", LIBRARY),)),
    "LD_LIBRARY_PATH": Plugin(
        ("/usr/bin/sed", "p", "gconv-modules"), (("LD_LIBRARY_PATH", "/workspace/libraries"),)
    ),
    "GCONV_PATH": Plugin(
        ("/usr/bin/iconv", "-f", "PLANTED", "gconv-modules"), (("GCONV_PATH", "/workspace"),)
    ),
    "ssh-keygen -D": Plugin(("/usr/bin/ssh-keygen", "-D", LIBRARY)),
    "ssh PKCS11Provider": Plugin(
        ("/usr/bin/ssh", "-o", "ProxyCommand=-", "-o", f"PKCS11Provider={LIBRARY}", "host")
    ),
    "gawk -l": Plugin(("/usr/bin/gawk", "-l", LIBRARY, "BEGIN {}")),
}


@pytest.fixture(scope="module")
def work(vetted: Any, tools_image: str) -> Path:
    """The library in the workspace, also under the name of one that sed loads."""
    folder: Path = vetted.folder
    at = f"/usr/lib/{_machine()}-linux-gnu/libpcprofile.so"
    show = ("docker", "run", "--rm", "--network", "none", "--entrypoint", "/usr/bin/cat")
    library = subprocess.run([*show, tools_image, at], capture_output=True, check=True).stdout
    (folder / "libraries").mkdir()
    for name in ("libpcprofile.so", "libraries/libacl.so.1"):
        # Before it loads a provider, ssh looks for this text in the file.
        (folder / name).write_bytes(library + b"\0C_GetFunctionList\0")
    (folder / "gconv-modules").write_text("module PLANTED// INTERNAL libpcprofile 1\n")
    return folder


def _machine() -> str:
    return subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", PLUGINS)
def test_no_library_of_the_workspace_is_loaded(vetted: Any, work: Path, name: str) -> None:
    plugin = PLUGINS[name]
    vetted.harmless(plugin.argv)
    # Two walls: the environment is ours, and the workspace is mounted without execution.
    vetted.unharmed(vetted.ungated, plugin.argv, environment=plugin.environment)
    vetted.planted(vetted.executable, plugin.argv, environment=plugin.environment)


def test_the_loader_says_why(vetted: Any, work: Path) -> None:
    ran = vetted.run(PLUGINS["ssh-keygen -D"].argv)
    assert "failed to map segment" in ran.stderr


@pytest.mark.parametrize("file", ["ld.so.preload", "ld.so.cache", "ld.so.conf"])
def test_the_loaders_own_files_cannot_be_written(vetted: Any, work: Path, file: str) -> None:
    ran = vetted.run(("/usr/bin/sed", "-n", f"w /etc/{file}", "/workspace/gconv-modules"))
    assert "Read-only file system" in ran.stderr
