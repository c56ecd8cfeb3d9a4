"""Real git in repositories that strangers made: nothing that their configuration names is run.

Each case is tried in a sandbox, where the planted program must not run, and again in a twin
without the gate, where the very same call does run it.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.root]

GIT = "/usr/bin/git"
PLANTED = "touch /workspace/canary"
HOOK = f"#!/bin/sh\n{PLANTED}\n"


@dataclass(frozen=True)
class Trap:
    """A repository with a trap in it, and the innocent command that walks into it."""

    command: str
    config: str = ""
    attributes: str = ""
    stdin: str = ""
    hook: str = ""
    more: tuple[str, ...] = ()
    """Words of the command that hold blanks."""
    environment: dict[str, str] = field(default_factory=dict)
    """What the twin sets besides; a session's call cannot set any."""
    mounted: bool = False
    """Two walls stand in the way: the twin's folder allows execution as well."""


TRAPS = {
    "core.fsmonitor": Trap("status", f"[core]\nfsmonitor = {PLANTED}; false"),
    "diff.external": Trap("diff", f"[diff]\nexternal = {PLANTED}; false"),
    "diff driver": Trap("diff", f'[diff "x"]\ncommand = {PLANTED}; false', "* diff=x"),
    "textconv": Trap("log -p", f'[diff "x"]\ntextconv = {PLANTED}; cat', "* diff=x"),
    "clean filter": Trap("add file", f'[filter "x"]\nclean = {PLANTED}; cat', "* filter=x"),
    "smudge filter": Trap(
        "checkout -f HEAD~ -- file", f'[filter "x"]\nsmudge = {PLANTED}; cat', "* filter=x"
    ),
    "process filter": Trap("add file", f'[filter "x"]\nprocess = {PLANTED}; cat', "* filter=x"),
    "merge driver": Trap(
        "cherry-pick side", f'[merge "x"]\ndriver = {PLANTED}; false', "* merge=x"
    ),
    # A plain word would be searched with compiled patterns, which take executable memory.
    "core.pager": Trap("grep -O thre[e]", f'[core]\npager = "{PLANTED}; :"'),
    "core.editor": Trap("commit --allow-empty", f'[core]\neditor = "{PLANTED}; :"'),
    "core.sshCommand": Trap("ls-remote ssh://host/x", f'[core]\nsshCommand = "{PLANTED}; :"'),
    "core.gitProxy": Trap("ls-remote git://host/x", "[core]\ngitProxy = ./proxy", mounted=True),
    "core.hooksPath": Trap("checkout -f HEAD~", "[core]\nhooksPath = traps", hook="post-checkout"),
    "a hook": Trap("commit --allow-empty -m x", hook=".git/hooks/pre-commit"),
    "ext::": Trap(
        "ls-remote",
        '[protocol "ext"]\nallow = always',
        more=(f"ext::sh -c {PLANTED.replace(' ', '% ')}",),
    ),
    "a remote of the configuration": Trap(
        "fetch origin", f'[remote "origin"]\nurl = .\nfetch = HEAD\nuploadpack = {PLANTED}; :'
    ),
    "--upload-pack": Trap("ls-remote", more=(f"--upload-pack={PLANTED}; :", ".")),
    "an alias": Trap("look", f'[alias]\nlook = "!{PLANTED}"'),
    "credential.helper": Trap(
        "credential fill",
        f'[credential]\nhelper = "!{PLANTED};:"',
        stdin="protocol=https\nhost=x\n",
    ),
    "gpg.ssh.defaultKeyCommand": Trap(
        "commit -S --allow-empty -m x",
        f'[gpg]\nformat = ssh\n[gpg "ssh"]\ndefaultKeyCommand = "sh -c \'{PLANTED}\'"',
    ),
    "a trailer": Trap(
        "interpret-trailers --trailer x=y", f'[trailer "x"]\ncommand = "{PLANTED}"', stdin="a\n"
    ),
    "rebase --exec": Trap("rebase --autostash", more=("--exec", PLANTED, "HEAD~")),
    "-c a setting": Trap("", more=("-c", f"core.fsmonitor={PLANTED}", "status")),
    "-c an alias": Trap("", more=("-c", f"alias.x=!{PLANTED}", "x")),
    "GIT_EXTERNAL_DIFF": Trap("diff", environment={"GIT_EXTERNAL_DIFF": f"{PLANTED};:"}),
    "GIT_SSH_COMMAND": Trap(
        "ls-remote ssh://host/x", environment={"GIT_SSH_COMMAND": f"{PLANTED};:"}
    ),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two commits, a branch that differs and a changed file."""
    at = tmp_path_factory.mktemp("repository")
    script = f"""
set -e
git init -q -b main .
git config user.name A; git config user.email a@example.org
echo one > file; git add file; git commit -qm one
git checkout -q -b side; echo side > file; git commit -qam side
git checkout -q main; echo two > file; git commit -qam two
echo three > file
printf '#!/bin/sh\\n{PLANTED}\\n' > proxy; chmod +x proxy
"""
    subprocess.run(["sh", "-c", script], cwd=at, check=True, capture_output=True)
    return at


@pytest.fixture
def prepare(vetted: Any, repository: Path) -> Any:
    """Puts a fresh repository with a trap into the workspace; the command that meets it."""
    at = vetted.folder / "repository"
    vetted.canary.unlink(missing_ok=True)

    def fresh(trap: Trap) -> list[str]:
        subprocess.run(["rm", "-rf", at], check=True)
        subprocess.run(["cp", "-a", repository, at], check=True)
        with (at / ".git/config").open("a") as config:
            config.write(f"\n{trap.config}\n")
        (at / ".git/info/attributes").write_text(trap.attributes + "\n")
        if trap.hook:
            hook = at / ("traps" if "/" not in trap.hook else ".") / trap.hook
            hook.parent.mkdir(parents=True, exist_ok=True)
            hook.write_text(HOOK)
            hook.chmod(0o755)
        return [GIT, "-C", "repository", *trap.command.split(), *trap.more]

    return fresh


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_in_a_repository_runs_nothing(vetted: Any, prepare: Any, name: str) -> None:
    trap = TRAPS[name]
    vetted.harmless(prepare(trap), trap.stdin)
    if trap.mounted or trap.hook:
        vetted.unharmed(vetted.ungated, prepare(trap), trap.stdin)
    twin = vetted.executable if trap.mounted or trap.hook else vetted.ungated
    vetted.planted(twin, prepare(trap), trap.stdin, trap.environment)


def test_git_is_useful_all_the_same(vetted: Any, prepare: Any) -> None:
    """Also where every trap of the configuration is set at once."""
    prepare(Trap("", "\n".join(trap.config for trap in TRAPS.values())))

    def git(*words: str) -> str:
        ran = vetted.run([GIT, "-C", "repository", *words])
        assert ran.exit_code == 0, ran
        return str(ran.stdout)

    assert git("log", "--format=%s") == "two\none\n"
    assert "+three" in git("diff", "--no-ext-diff", "--no-textconv")
    assert git("status", "--porcelain", "-uno") == " M file\n"
    assert git("show", "HEAD~:file") == "one\n"
    assert git("rev-parse", "--abbrev-ref", "HEAD") == "main\n"
    assert not vetted.canary.exists()


def test_a_search_that_compiles_its_pattern_fails_and_the_ways_on_work(
    vetted: Any, prepare: Any
) -> None:
    """The page about the sandbox names them."""
    prepare(Trap(""))
    grep = [GIT, "-C", "repository", "grep"]
    failed = vetted.run([*grep, "three"])
    assert failed.exit_code == 128
    assert "Couldn't JIT the PCRE2 pattern" in failed.stderr
    for words in (
        [*grep, "thre[e]"],
        [*grep, "-P", "(*NO_JIT)three"],
        ["/usr/bin/grep", "-r", "three", "repository/file"],
        ["/usr/bin/rg", "three", "repository/file"],
    ):
        ran = vetted.run(words)
        assert (ran.exit_code, ran.stdout.count("three")) == (0, 1), ran
