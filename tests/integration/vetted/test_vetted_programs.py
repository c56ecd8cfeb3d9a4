"""Real tar, find, sed, man, ssh and rsync: their ways to run a program are all refused.

The same call in a twin without the gate runs the planted program each time.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from trilemma.sandbox.toolhost.program import ENVIRONMENT

pytestmark = [pytest.mark.docker, pytest.mark.root]

PLANTED = "touch /workspace/canary"
SHELL = f"sh -c '{PLANTED}'"


@dataclass(frozen=True)
class Way:
    """A command line that makes a program run another."""

    argv: tuple[str, ...]
    stdin: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    """What the twin sets besides; a session's call cannot set any."""
    filtered: bool = False
    """The sandbox's other filters refuse it as well: the twin has none."""


def way(program: str, *words: str, stdin: str = "", **environment: str) -> Way:
    return Way((f"/usr/bin/{program}", *words), stdin, environment)


def filtered(program: str, *words: str, stdin: str = "") -> Way:
    """No names resolve, no program takes on another user: also without the gate."""
    return Way((f"/usr/bin/{program}", *words), stdin, filtered=True)


TAR = "a.tar"
WAYS = {
    "tar --checkpoint-action": way(
        "tar", "-cf", "/dev/null", "--checkpoint=1", f"--checkpoint-action=exec={PLANTED}", "."
    ),
    "tar --to-command": way("tar", "-xf", TAR, f"--to-command={PLANTED}"),
    "tar -I": way("tar", "-I", PLANTED, "-cf", "/tmp/b.tar", "text"),
    "tar --use-compress-program": way("tar", f"--use-compress-program={SHELL}", "-tf", TAR),
    "tar -F": way("tar", "-M", "-b1", "-L1", "-F", PLANTED, "-cf", "/tmp/c.tar", "large", "text"),
    "TAR_OPTIONS": way("tar", "-xf", TAR, TAR_OPTIONS=f"--to-command='{PLANTED}'"),
    "find -exec": way("find", "text", "-exec", *PLANTED.split(), ";"),
    "find -exec +": way("find", "text", "-exec", *PLANTED.split(), "{}", "+"),
    "find -execdir": way("find", "text", "-execdir", *PLANTED.split(), ";"),
    "find -ok": way("find", "text", "-ok", *PLANTED.split(), ";", stdin="y\n"),
    "find -okdir": way("find", "text", "-okdir", *PLANTED.split(), ";", stdin="y\n"),
    "sed e": way("sed", f"1e {PLANTED}", "text"),
    "sed s///e": way("sed", f"s|.*|{PLANTED}|e", "text"),
    "sed -f": way("sed", "-f", "script.sed", "text"),
    "man -H": filtered("man", f"-H{SHELL}", "./page.1"),
    "man -C": way("man", "-C", "man.conf", "./page.1"),
    "ssh ProxyCommand": way("ssh", "-o", f"ProxyCommand={PLANTED}", "host"),
    "ssh Match exec": way("ssh", "-F", "ssh.conf", "host"),
    "ssh KnownHostsCommand": filtered(
        *("ssh", "-o", "ProxyCommand=-", "-o", f"KnownHostsCommand=/usr/bin/{PLANTED}", "host"),
        stdin="SSH-2.0-x\r\n",
    ),
    "rsync -e": way("rsync", "-e", SHELL, "text", "host:x"),
    "rsync --rsync-path": way("rsync", "-e", "sh rsh", f"--rsync-path={PLANTED};", "text", "h:x"),
    "RSYNC_RSH": way("rsync", "text", "host:x", RSYNC_RSH=SHELL),
    "xargs": way("xargs", *PLANTED.split(), stdin="\n"),
    "env": way("env", *PLANTED.split()),
    "awk": way("awk", f'BEGIN {{ system("{PLANTED}") }}'),
    "make": filtered("make", "-f", "Makefile"),
    "BASH_ENV": way("bash", "-c", ":", BASH_ENV="environment"),
    "a shell": way("sh", "-c", PLANTED),
    "the loader": way("sh", "-c", f"/lib64/ld-linux-x86-64.so.2 /usr/bin/{PLANTED}"),
}
BY_ENVIRONMENT = [name for name, way in WAYS.items() if way.environment]


@pytest.fixture(scope="module")
def work(vetted: Any) -> Path:
    """Files for all of them in the workspace."""
    folder: Path = vetted.folder
    (folder / "text").write_text("one\ntwo\n")
    (folder / "large").write_bytes(bytes(4096))
    os.system(f"tar -C {folder} -cf {folder}/{TAR} text")
    (folder / "script.sed").write_text(f"1e {PLANTED}\n")
    (folder / "page.1").write_text(".TH PAGE 1\n.SH NAME\npage \\- a page\n")
    (folder / "man.conf").write_text(f"DEFINE nroff {SHELL}\n")
    (folder / "ssh.conf").write_text(f'Match exec "{PLANTED}"\nUser x\n')
    (folder / "rsh").write_text('shift; exec sh -c "$*"\n')
    # What tar takes for the remote shell's host, a shell takes for a script.
    (folder / "127.0.0.1").write_text(PLANTED)
    (folder / "environment").write_text(PLANTED)
    (folder / "Makefile").write_text(f"all:\n\t{PLANTED}\n")
    return folder


@pytest.mark.parametrize("name", WAYS)
def test_no_way_to_another_program(vetted: Any, work: Path, name: str) -> None:
    way = WAYS[name]
    vetted.harmless(way.argv, way.stdin)
    if way.filtered:
        vetted.unharmed(vetted.ungated, way.argv, way.stdin)
    twin = vetted.unconfined if way.filtered else vetted.ungated
    vetted.planted(twin, way.argv, way.stdin, way.environment)


@pytest.mark.parametrize("name", BY_ENVIRONMENT)
def test_the_environment_alone_would_have_done_it(vetted: Any, work: Path, name: str) -> None:
    vetted.unharmed(vetted.ungated, WAYS[name].argv, WAYS[name].stdin)


NOT_EVEN_TRIED = {
    "man -P": way("man", "-P", PLANTED, "./page.1"),
    "MANPAGER": way("man", "./page.1", MANPAGER=PLANTED),
    "tar --rmt-command": way(
        *("tar", "--rsh-command=/usr/bin/sh", "--rmt-command=x", "-cf", "127.0.0.1:x", "text")
    ),
}
"""A pager needs a terminal, tar's remote shell the right to change groups: there is neither."""


@pytest.mark.parametrize("name", NOT_EVEN_TRIED)
def test_what_is_not_even_tried(vetted: Any, work: Path, name: str) -> None:
    way = NOT_EVEN_TRIED[name]
    vetted.harmless(way.argv)
    vetted.unharmed(vetted.unconfined, way.argv, environment=way.environment)


def test_a_program_that_was_brought_along_does_not_run_either(vetted: Any, work: Path) -> None:
    """The mounts refuse that without the gate; with execution on them it runs."""
    argv = ("/usr/bin/sh", "-c", "cp /usr/bin/touch brought; ./brought canary")
    vetted.harmless(argv)
    vetted.unharmed(vetted.ungated, argv)
    vetted.planted(vetted.executable, argv)


def test_the_programs_are_useful_all_the_same(vetted: Any, work: Path) -> None:
    def out(program: str, *words: str, stdin: str = "") -> str:
        ran = vetted.run((f"/usr/bin/{program}", *words), stdin)
        assert ran.exit_code == 0, ran
        return str(ran.stdout)

    assert out("tar", "-tf", TAR) == "text\n"
    assert out("tar", "-xOf", TAR) == "one\ntwo\n"
    assert out("find", ".", "-name", "p*.1") == "./page.1\n"
    assert out("sed", "-n", "2p", "text") == "two\n"
    assert out("man", "--where", "-l", "./page.1").strip().endswith("page.1")
    assert "host h" in out("ssh", "-G", "h")
    out("rsync", "-a", "text", "copied")
    assert (work / "copied").read_text() == "one\ntwo\n"
    assert out("sort", "-r", stdin="a\nb\n") == "b\na\n"


def test_nothing_but_scratch_and_the_workspace_is_written(vetted: Any, work: Path) -> None:
    assert vetted.run(("/usr/bin/sed", "-n", "w /etc/passwd", "text")).exit_code != 0
    assert vetted.run(("/usr/bin/sed", "-n", "w /opt/trilemma/toolhost/x", "text")).exit_code != 0
    assert vetted.run(("/usr/bin/tar", "-C", "/", "-xf", f"/workspace/{TAR}")).exit_code != 0
    assert vetted.run(("/usr/bin/find", "text", "-fprint", "/run/trilemma/x")).exit_code != 0
    assert vetted.run(("/usr/bin/sed", "-n", "w /tmp/written", "text")).exit_code == 0


def test_words_arrive_as_they_are(vetted: Any) -> None:
    """No shell, no expansion, no splitting between a call and the program."""
    words = ("two words", "$(touch canary)", "`touch canary`", ";touch canary", "*", "a\nb", "'\"")
    argv = ("/usr/bin/cat", "--", "/proc/self/cmdline", *words, "\u00fc\U0001f600", "")
    shown = vetted.harmless(argv).stdout
    assert shown.split("\0")[:-1] == list(argv)


def test_the_environment_is_ours_and_the_place_is_the_workspace(vetted: Any) -> None:
    shown = vetted.run(("/usr/bin/env",)).stdout.splitlines()
    assert dict(line.split("=", 1) for line in shown) == ENVIRONMENT
    assert vetted.run(("/usr/bin/pwd",)).stdout == "/workspace\n"
